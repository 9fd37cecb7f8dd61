"""Parking a poison message: the hole that it leaves is recorded in its reef's row, then the broker moves it."""

from typing import Final, Generic, TypeVar

import structlog

from reefmesh.errors import PoisonMessage
from reefmesh.observability import table
from reefmesh.observability.folded_log import FoldedLog
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.tracing import Tracer
from reefmesh.service.application import NUMBER_CONFLICT, NUMBER_JUMP
from reefmesh.service.handler import Change, Handler
from reefmesh.service.message_in_hand import MessageInHand
from reefmesh.service.reef_cache import Reef, ReefCache
from reefmesh.service.unit_of_work import UnitsOfWork
from reefmesh.store.port import Store, Unit

S = TypeVar("S")
PARKED_LENGTH: Final = 10_000
"""Parked messages remembered per reef: only what is remembered can be replayed. As many as the broker lists."""
log = structlog.get_logger()

WITHOUT_HOLE: Final = frozenset({NUMBER_JUMP, NUMBER_CONFLICT})
"""Reasons of messages whose number is not believed: it is no place in the reef's sequence, so parking them moves nothing."""


def parked_inbox(inbox: str) -> str:
    """Return the inbox in which the store remembers the messages that were parked from ``inbox``."""
    return f"{inbox}#parked"


class MessageParking(Generic[S]):
    """Parks messages of one inbox (the broker's dead-letter queue of the subscription)."""

    def __init__(
        self,
        *,
        inbox: str,
        store: Store,
        handler: Handler[S],
        reefs: ReefCache[S],
        units: UnitsOfWork[S],
        metrics: Metrics,
        tracer: Tracer | None,
    ) -> None:
        self._inbox = inbox
        self._folded = FoldedLog(log, subscription=inbox)
        self._store = store
        self._handler = handler
        self._reefs = reefs
        self._units = units
        self._metrics = metrics
        self._tracer = tracer

    async def park(self, in_hand: MessageInHand, poison: PoisonMessage) -> None:
        """Park the message; returns when the broker has confirmed that.

        Raises:
            TransientError: it is not parked, or not known to be; call again. The hole may be recorded already, which is not
                repeated. A message is never parked without it: neither would a replay be applied, nor would later messages
                of its reef be held back.
        """
        message, attempts = in_hand.message, in_hand.attempts + 1
        if self._tracer is not None:
            self._tracer.fail(poison.reason)
        if poison.reason not in WITHOUT_HOLE:
            reef = self._reefs.get(message.reef_id)
            async with reef.lock:
                await self._units.run(reef, self._record_hole, in_hand)
        if in_hand.delivery.redelivered:
            await self._store.forget_attempts(self._inbox, message.event_id)
        await in_hand.lane.park(in_hand.delivery, reason=poison.reason, detail=poison.detail, attempts=attempts)
        self._metrics.count(table.PARKED, self._inbox, poison.reason)
        kind = poison.reason
        self._folded.write("error", "parked", kind=kind, reason=poison.reason, detail=poison.detail, attempts=attempts)

    async def _record_hole(self, reef: Reef[S], state: S, in_hand: MessageInHand) -> tuple[Unit, Change[S]]:
        message = in_hand.message
        unit = Unit(
            reef_id=message.reef_id,
            inbox=parked_inbox(self._inbox),
            event_id=message.event_id,
            expected_version=reef.version,
            cursor=reef.cursor.park(self._inbox, message.seq, message.event_id).note_producer(self._inbox, message),
            state=self._handler.dump(state),
            inbox_length=PARKED_LENGTH,
            tried=False,  # its tries are noted under the inbox itself, and forgotten when it is parked
        )
        return unit, Change(state=state)
