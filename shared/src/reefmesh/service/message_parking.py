"""Parking a poison message: the hole that it leaves is recorded in its reef's row, then the broker moves it."""

from typing import Generic, TypeVar

import structlog

from reefmesh.errors import PoisonMessage
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.tracing import Tracer
from reefmesh.service.handler import Change, Handler
from reefmesh.service.message_in_hand import MessageInHand
from reefmesh.service.reef_cache import Reef, ReefCache
from reefmesh.service.unit_of_work import UnitsOfWork
from reefmesh.store.port import Store, Unit

S = TypeVar("S")
log = structlog.get_logger()


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
        reef = self._reefs.get(message.reef_id)
        async with reef.lock:
            await self._units.run(reef, self._record_hole, in_hand)
        if in_hand.delivery.redelivered:
            await self._store.forget_attempts(self._inbox, message.event_id)
        await in_hand.lane.park(in_hand.delivery, reason=poison.reason, detail=poison.detail, attempts=attempts)
        self._metrics.count(table.PARKED, self._inbox, poison.reason)
        log.error("parked", reason=poison.reason, detail=poison.detail, attempts=attempts)

    async def _record_hole(self, reef: Reef[S], state: S, in_hand: MessageInHand) -> tuple[Unit, Change[S]]:
        message = in_hand.message
        unit = Unit(
            reef_id=message.reef_id,
            inbox=f"{self._inbox}#parked",
            event_id=message.event_id,
            expected_version=reef.version,
            cursor=reef.cursor.park(self._inbox, message.seq).note_producer(self._inbox, message),
            state=self._handler.dump(state),
            tried=False,  # its tries are noted under the inbox itself, and forgotten when it is parked
        )
        return unit, Change(state=state)
