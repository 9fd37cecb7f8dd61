"""Messages of a sender that may not speak on their channel: recognised before anything else, and set aside."""

import time
from collections.abc import Callable
from typing import Final

import structlog

from reefmesh.clock import Clock
from reefmesh.contracts.senders import Senders
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service.message_in_hand import MessageInHand
from reefmesh.service.message_parking import parked_inbox
from reefmesh.store.port import Store

FORGED: Final = "forged"
LOG_EVERY_SECONDS: Final = 60.0

log = structlog.get_logger()


class ForgeryCheck:
    """Judges the messages of one inbox by who sent them.

    A forged message is parked as ``forged`` and changes nothing: no cursor, no inbox, no attempts, no breaker. It is counted;
    the log has one line a minute at most, because whoever forges may send any number.
    """

    def __init__(
        self,
        *,
        inbox: str,
        senders: Senders,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inbox = inbox
        self._senders = senders
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._now_seconds = now_seconds
        self._logged_seconds: float | None = None
        self._unlogged = 0
        metrics.count(table.PARKED, inbox, FORGED, amount=0)  # from 0 on, so that a rule sees the first rise

    def speaks(self, in_hand: MessageInHand) -> bool:
        """Return whether the sender of a message may say it."""
        return self._senders.speaks(in_hand.delivery.user_id, in_hand.message)

    async def is_believed(self, in_hand: MessageInHand) -> bool:
        """Return whether a message is believed although its sender is no speaker: one of a broker that did not state senders
        yet, or a replay of what was parked here.

        Raises:
            StoreUnavailable: try again later.
        """
        user_id, message = in_hand.delivery.user_id, in_hand.message
        if user_id is None:
            return message.schema_id not in self._senders.reserved and self._senders.accepts_unstamped(self._clock.now())
        if not self._senders.may_replay(user_id, message):
            return False
        return await self._store.is_applied(message.reef_id, parked_inbox(self._inbox), message.event_id)

    async def park(self, in_hand: MessageInHand) -> None:
        """Set the message aside. Raises TransientError: it is not parked, or not known to be; call again."""
        user_id = in_hand.delivery.user_id
        may_not = f"send {in_hand.message.schema_id}" if user_id in self._senders.speakers else "speak"
        detail = f"sent by {user_id or 'nobody that the broker names'}, who may not {may_not} here"
        await in_hand.lane.park(in_hand.delivery, reason=FORGED, detail=detail, attempts=1)
        self._metrics.count(table.PARKED, self._inbox, FORGED)
        self._unlogged += 1
        now_seconds = self._now_seconds()
        if self._logged_seconds is None or now_seconds - self._logged_seconds >= LOG_EVERY_SECONDS:
            log.error("forged, parked", detail=detail, since_last_line=self._unlogged)
            self._logged_seconds, self._unlogged = now_seconds, 0
