"""Applying a message to its reef: once, in order, behind what is missing or parked."""

import asyncio
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import structlog

from reefmesh.broker.port import Publication
from reefmesh.clock import Clock
from reefmesh.contracts.envelope import FOLLOWS, Envelope
from reefmesh.errors import PoisonMessage
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.traceparent import traceparent_of
from reefmesh.observability.tracing import Tracer
from reefmesh.service.addressing import address
from reefmesh.service.earlier_outputs import EarlierOutputs
from reefmesh.service.gap_waiter import GapWaiter
from reefmesh.service.handler import Change, Handler, Output
from reefmesh.service.message_in_hand import MessageInHand
from reefmesh.service.reef_cache import Reef, ReefCache
from reefmesh.service.unit_of_work import UnitsOfWork
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Store, Unit

S = TypeVar("S")
log = structlog.get_logger()

REPLAYED_HEADER: Final = "replayed"
BEHIND_PARKED: Final = "behind-parked"


class Application(Generic[S]):
    """Applies the messages of one inbox."""

    def __init__(
        self,
        *,
        inbox: str,
        store: Store,
        handler: Handler[S],
        reefs: ReefCache[S],
        units: UnitsOfWork[S],
        earlier_outputs: EarlierOutputs,
        limits: WorkerLimits,
        clock: Clock,
        metrics: Metrics,
        tracer: Tracer | None,
    ) -> None:
        self._inbox = inbox
        self._store = store
        self._handler = handler
        self._reefs = reefs
        self._units = units
        self._earlier_outputs = earlier_outputs
        self._parks_behind = limits.poison_policy == "park"
        self._gap_waiter = GapWaiter(patience_seconds=limits.gap_patience_seconds)
        self._clock = clock
        self._metrics = metrics
        self._tracer = tracer

    async def apply(self, in_hand: MessageInHand) -> None:
        """Bring the message's effect into the store, unless it is there; note in ``in_hand`` which of the two it was and which
        outputs are to go out with the acknowledgement. Waits for the reef's lock, and for the store.

        Raises:
            EarlierMissing: the message is to be released until a missing one comes.
            PoisonMessage: the handler refuses it, or an earlier message of its reef is parked.
            TransientError: store, broker or handler cannot now; the effect is there in full or not at all.
        """
        message = in_hand.message
        reef = self._reefs.get(message.reef_id)
        async with reef.lock:
            unit = await self._units.run(reef, self._decide, in_hand)
            if unit is None:
                await self._heal(reef, in_hand)
            elif unit.outputs:
                in_hand.outputs = unit.outputs
                reef.unconfirmed.add(message.event_id)
        in_hand.is_applied = True
        if unit is not None:
            self._gap_waiter.applied(message.reef_id, now_seconds=asyncio.get_running_loop().time())
            if in_hand.missing or in_hand.is_late:
                self._count_disorder(in_hand, unit.cursor)

    async def _decide(self, reef: Reef[S], state: S, in_hand: MessageInHand) -> tuple[Unit, Change[S]] | None:
        """Let the handler decide, once nothing before the message is missing, parked or unsent; None: it was applied before."""
        message = in_hand.message
        is_doubtful = self._is_doubtful(reef.cursor, message)
        if is_doubtful:  # another process may have had the reef meanwhile: then the gap, or the parked message, may be gone
            reef.fresh = False
            state = await self._units.load(reef)
        if reef.cursor.is_applied(self._inbox, message.seq):
            if in_hand.delivery.redelivered:  # tries of it may have been counted, and no commit will forget them
                await self._store.forget_attempts(self._inbox, message.event_id)
            return None
        is_replayed = bool(message.headers.get(REPLAYED_HEADER))
        in_hand.missing = 0  # what a refused try counted is not true any more
        if is_doubtful and not is_replayed:
            self._refuse_behind_parked(reef.cursor)
            in_hand.missing = await self._accept_missing(reef.cursor, message)
        in_hand.is_late = not is_replayed and reef.cursor.is_late(self._inbox, message.seq)
        if reef.has_outputs or reef.unconfirmed:
            in_hand.is_healed |= await self._earlier_outputs.send(reef, message)
        reef.fresh = False  # the handler may change the state in place
        change = await self._handler.handle(message, state)
        after, outputs = self._address(message, self._after(reef.cursor, message, is_replayed), change.outputs)
        unit = Unit(
            reef_id=message.reef_id,
            inbox=self._inbox,
            event_id=message.event_id,
            expected_version=reef.version,
            cursor=after,
            state=self._handler.dump(change.state),
            writes=change.writes,
            outputs=outputs,
            in_inbox=message.seq is None,  # a number is remembered by the cursor, which the version fence keeps true
            tried=in_hand.delivery.redelivered,
        )
        return unit, change

    async def _heal(self, reef: Reef[S], in_hand: MessageInHand) -> None:
        """Finish what an earlier attempt at an applied message left: its outputs, if they are still in the outbox."""
        if not reef.fresh:
            await self._units.load(reef)
        in_hand.is_healed |= await self._earlier_outputs.send(reef, in_hand.message)
        in_hand.is_duplicate = True
        self._metrics.count(table.DUPLICATES, self._inbox)
        if in_hand.is_healed:
            self._metrics.count(table.REDELIVERIES_HEALED, self._inbox)

    def _is_doubtful(self, cursor: Cursor, message: Envelope) -> bool:
        """Return whether a message before this one seems to be missing, or one of the reef parked."""
        return (
            cursor.missing_before(self._inbox, message.seq) > 0
            or cursor.follows_unapplied(self._inbox, message)
            or cursor.has_parked(self._inbox)
        )

    def _refuse_behind_parked(self, cursor: Cursor) -> None:
        if self._parks_behind and cursor.has_parked(self._inbox):
            raise PoisonMessage(BEHIND_PARKED, "an earlier message of this reef is parked")

    async def _accept_missing(self, cursor: Cursor, message: Envelope) -> int:
        """Return how many messages before this one are given up as missing.

        Raises:
            EarlierMissing: this message is to wait for them.
        """
        missing = cursor.missing_before(self._inbox, message.seq)
        if cursor.follows_unapplied(self._inbox, message):
            missing += not await self._store.is_applied(message.reef_id, self._inbox, message.headers[FOLLOWS])
        if missing:
            self._gap_waiter.accept(message, missing, now_seconds=asyncio.get_running_loop().time())
        return missing

    def _after(self, cursor: Cursor, message: Envelope, is_replayed: bool) -> Cursor:
        cursor = cursor.advance(self._inbox, message.seq).note_producer(self._inbox, message)
        return cursor.unpark(self._inbox) if is_replayed else cursor

    def _address(self, message: Envelope, cursor: Cursor, outputs: Sequence[Output]) -> tuple[Cursor, Sequence[Publication]]:
        if not outputs:
            return cursor, ()
        return address(
            outputs,
            cause=message.event_id,
            reef_id=message.reef_id,
            cursor=cursor,
            now=self._clock.now(),
            traceparent=traceparent_of(message),
            tracer=self._tracer,
        )

    def _count_disorder(self, in_hand: MessageInHand, cursor: Cursor) -> None:
        if in_hand.missing:
            self._metrics.count(table.SEQUENCE_GAPS, self._inbox, amount=in_hand.missing)
            log.warning("sequence gap", gap=in_hand.missing)
        if in_hand.is_late:
            self._metrics.count(table.ORDER_VIOLATIONS, self._inbox)
            log.error("out of order", applied=cursor.applied.get(self._inbox, 0))
