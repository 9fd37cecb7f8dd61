"""Applying a message to its reef: once, in order, behind what is missing or parked."""

import asyncio
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import structlog

from reefmesh.broker.port import Publication
from reefmesh.clock import Clock
from reefmesh.contracts.envelope import FOLLOWS, Envelope
from reefmesh.contracts.schema import unknown_schema
from reefmesh.contracts.senders import REPLAYED
from reefmesh.errors import PoisonMessage
from reefmesh.observability import table
from reefmesh.observability.folded_log import FoldedLog
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.traceparent import traceparent_of
from reefmesh.observability.tracing import Tracer
from reefmesh.service.addressing import address
from reefmesh.service.earlier_outputs import EarlierOutputs
from reefmesh.service.gap_waiter import GapWaiter, GapWaits
from reefmesh.service.handler import Change, Handler, Output, Selective
from reefmesh.service.message_in_hand import MessageInHand
from reefmesh.service.reef_cache import Reef, ReefCache
from reefmesh.service.unit_of_work import UnitsOfWork
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.cursor import JUMP_LIMIT, Cursor
from reefmesh.store.port import Store, Unit

S = TypeVar("S")
log = structlog.get_logger()

BEHIND_PARKED: Final = "behind-parked"
NUMBER_JUMP: Final = "number-jump"
NUMBER_CONFLICT: Final = "number-conflict"


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
        self._schemas = handler.schemas if isinstance(handler, Selective) else None
        self._parks_behind = limits.poison_policy == "park"
        self._gap_waiter = GapWaiter(patience_seconds=limits.gap_patience_seconds, lanes=limits.lanes)
        self._folded = FoldedLog(log, subscription=inbox)
        self._clock = clock
        self._metrics = metrics
        self._tracer = tracer

    def gap_waits(self) -> GapWaits:
        """Return which reefs wait for missing messages, in the event loop's time."""
        return self._gap_waiter.waits(asyncio.get_running_loop().time())

    async def apply(self, in_hand: MessageInHand) -> None:
        """Bring the message's effect into the store, unless it is there; note in ``in_hand`` which of the two it was and which
        outputs are to go out with the acknowledgement. Waits for the reef's lock, and for the store.

        Raises:
            EarlierMissing: the message is to be released until a missing one comes.
            PoisonMessage: the handler refuses it, an earlier message of its reef is parked, or its number is not believed.
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
            self._gap_waiter.applied(message)
            if in_hand.missing or in_hand.is_late:
                self._count_disorder(in_hand, unit.cursor)

    async def _decide(self, reef: Reef[S], state: S, in_hand: MessageInHand) -> tuple[Unit, Change[S]] | None:
        """Let the handler decide, once nothing before the message is missing, parked or unsent; None: it was applied before."""
        message = in_hand.message
        is_doubtful = self._is_doubtful(reef.cursor, message)
        is_replayed = bool(message.headers.get(REPLAYED))
        if is_doubtful:  # another process may have had the reef meanwhile: then the gap, or the parked message, may be gone
            reef.fresh = False
            state = await self._units.load(reef)
        if reef.cursor.is_applied(self._inbox, message.seq):
            self._verify_number(reef.cursor, message)
            if in_hand.delivery.redelivered:  # tries of it may have been counted, and no commit will forget them
                await self._store.forget_attempts(self._inbox, message.event_id)
            return None
        if reef.cursor.is_jump(self._inbox, message.seq):
            last = reef.cursor.applied[self._inbox]
            raise PoisonMessage(NUMBER_JUMP, f"number {message.seq} is more than {JUMP_LIMIT} beyond {last}, the last applied")
        in_hand.missing = 0  # what a refused try counted is not true any more
        if is_doubtful and not is_replayed:
            self._refuse_behind_parked(reef.cursor)
            await self._accept_missing(reef.cursor, in_hand)
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
        """Return whether a message before this one seems to be missing, one of the reef parked, or this number another's."""
        return (
            cursor.missing_before(self._inbox, message.seq) > 0
            or cursor.follows_unapplied(self._inbox, message)
            or cursor.has_parked(self._inbox)
            or self._is_conflict(cursor, message)
        )

    def _refuse_behind_parked(self, cursor: Cursor) -> None:
        if self._parks_behind and cursor.has_parked(self._inbox):
            raise PoisonMessage(BEHIND_PARKED, "an earlier message of this reef is parked")

    def _is_conflict(self, cursor: Cursor, message: Envelope) -> bool:
        """Return whether the number was applied for another event: its sender gives numbers a second time."""
        inbox, seq = self._inbox, message.seq
        return seq is not None and cursor.is_applied(inbox, seq) and cursor.is_event_of(inbox, seq, message.event_id) is False

    def _verify_number(self, cursor: Cursor, message: Envelope) -> None:
        """Refuse an applied message whose number was another's: skipping it as a duplicate would lose it."""
        if self._is_conflict(cursor, message):
            self._metrics.count(table.NUMBER_CONFLICTS, self._inbox)
            raise PoisonMessage(NUMBER_CONFLICT, f"number {message.seq} was applied for another event")
        if message.seq is not None and cursor.is_event_of(self._inbox, message.seq, message.event_id) is None:
            self._metrics.count(table.NUMBERS_UNVERIFIED, self._inbox)

    def _refuse_unreadable(self, message: Envelope) -> None:
        """Refuse a message before it waits, if its handler will refuse it in any case."""
        if self._schemas is not None and message.schema_id not in self._schemas:
            raise unknown_schema(message.schema_id, self._schemas)

    async def _accept_missing(self, cursor: Cursor, in_hand: MessageInHand) -> None:
        """Note how many messages before this one are given up as missing, and why.

        Raises:
            EarlierMissing: this message is to wait for them.
            PoisonMessage: it need not wait, because it will be refused in any case.
        """
        message = in_hand.message
        self._refuse_unreadable(message)
        missing = cursor.missing_before(self._inbox, message.seq)
        is_claim = missing == 0
        if cursor.follows_unapplied(self._inbox, message):
            missing += not await self._store.is_applied(message.reef_id, self._inbox, message.headers[FOLLOWS])
        if missing:
            now_seconds = asyncio.get_running_loop().time()
            in_hand.accepted = self._gap_waiter.accept(
                message, missing, is_claim=is_claim, now_seconds=now_seconds, user_id=in_hand.delivery.user_id
            )
            in_hand.missing = missing

    def _after(self, cursor: Cursor, message: Envelope, is_replayed: bool) -> Cursor:
        was_parked = is_replayed and (message.seq is None or cursor.is_missing(self._inbox, message.seq))
        cursor = cursor.advance(self._inbox, message.seq, message.event_id).note_producer(self._inbox, message)
        return cursor.unpark(self._inbox) if was_parked else cursor

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
            self._metrics.count(table.GAPS_ACCEPTED, self._inbox, in_hand.accepted)
            self._folded.write("warning", "sequence gap", kind=in_hand.accepted, gap=in_hand.missing, accepted=in_hand.accepted)
        if in_hand.is_late:
            self._metrics.count(table.ORDER_VIOLATIONS, self._inbox)
            log.error("out of order", applied=cursor.applied.get(self._inbox, 0))
