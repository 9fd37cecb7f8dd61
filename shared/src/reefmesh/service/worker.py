"""The lanes of one service on one subscription: from a delivery to a safe effect.

One message's way: receive -> skip if applied -> handle -> commit (state + inbox mark + rows + outbox, behind the version
fence) -> settle (outputs + acknowledgement at the broker) -> forget the outbox rows. A crash anywhere in between heals on
redelivery: the inbox says "applied", the outbox says what is still to be sent.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Generic, TypeVar

import structlog

from reefmesh.broker.port import Broker, Consumer, Delivery, Lane, LaneLost, Publication
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import FOLLOWS, Envelope
from reefmesh.errors import PoisonMessage, TransientError
from reefmesh.observability import table
from reefmesh.observability.carried import CARRIED, Carried
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.observability.traceparent import traceparent_of
from reefmesh.observability.tracing import Tracer
from reefmesh.service import positions
from reefmesh.service.breaker import PoisonBreaker, TooMuchPoison
from reefmesh.service.earlier_outputs import EarlierOutputs
from reefmesh.service.gaps import EarlierMissing, Gaps
from reefmesh.service.handler import Handler, Output
from reefmesh.service.outbox import address
from reefmesh.service.reefs import Reefs
from reefmesh.service.suspects import Suspects
from reefmesh.service.waiting import is_set_within
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.port import AlreadyApplied, Committed, Cursor, Stale, Store, Unit

S = TypeVar("S")
log = structlog.get_logger()

REPLAYED_HEADER: Final = "replayed"
BEHIND_PARKED: Final = "behind-parked"
STALE_RETRIES_LIMIT: Final = 100
GAP_WAITS_GROW_LIMIT: Final = 5
"""Waits before a message is given back for a missing one stop growing here (0.8 s): while in hand, it keeps the other away."""


@dataclass(slots=True, kw_only=True)
class _Carried:
    """A delivery on its way, and what is settled about it so far."""

    lane: Lane
    delivery: Delivery
    attempts: int = 0
    faults: int = 0
    outcome: str = ""
    outputs: Sequence[Publication] | None = None
    poison: PoisonMessage | None = None


class Worker(Generic[S]):
    """Runs K lanes until it is drained; ``run`` returns when every lane has handed back what it held.

    Workers of one service share ``reefs``: with caches of their own each would make the other's versions stale.
    """

    def __init__(
        self,
        *,
        subscription: Subscription,
        broker: Broker,
        store: Store,
        handler: Handler[S],
        clock: Clock,
        metrics: Metrics,
        progress: Progress,
        limits: WorkerLimits | None = None,
        reefs: Reefs[S] | None = None,
        breaker: PoisonBreaker | None = None,
        random: Random | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.subscription = subscription
        self._inbox = str(subscription)
        self._broker = broker
        self._store = store
        self._handler = handler
        self._clock = clock
        self._metrics = metrics
        self._progress = progress
        self._limits = limits or WorkerLimits()
        self._breaker = breaker or PoisonBreaker()
        self._random = random or Random()  # noqa: S311  # jitter, not secrets
        self._reefs = reefs if reefs is not None else Reefs(store=store, handler=handler, limit=self._limits.reefs_cached_limit)
        self._suspects = Suspects(store=store, inbox=self._inbox, crash_limit=self._limits.crash_limit)
        self._gaps = Gaps(patience_seconds=self._limits.gap_patience_seconds)
        self._draining = asyncio.Event()
        self._earlier = EarlierOutputs(store=store, broker=broker, metrics=metrics, draining=self._draining)
        self._consumer: Consumer | None = None
        self._tracer = tracer
        self._tells_each = False
        self._handling = metrics.histogram(table.HANDLING_SECONDS, self._inbox)
        self._settling = metrics.histogram(table.PUBLISH_SECONDS, self._inbox)
        for row in (table.ORDER_VIOLATIONS, table.SEQUENCE_GAPS, table.DUPLICATES, table.REDELIVERIES_HEALED):
            metrics.counter(row, self._inbox)  # from 0 on, so that a rule sees the first rise
        metrics.set(table.POISON_BREAKER_OPEN, 0, self._inbox)

    @property
    def reefs_cached(self) -> int:
        return len(self._reefs)

    async def run(self) -> None:
        """Subscribe and work until drained.

        Raises:
            TooMuchPoison: the breaker opened; nothing more is taken, what was in hand was given back.
        """
        if self._draining.is_set():
            return
        self._tells_each = logging.getLogger().isEnabledFor(logging.DEBUG)
        consumer = self._consumer = self._broker.consumer(self.subscription, lanes=self._limits.lanes)
        await consumer.start()
        try:
            async with asyncio.TaskGroup() as lanes:
                for lane in consumer.lanes:
                    lanes.create_task(self._work(lane), name=f"{self._inbox}/{lane.index}")
        except* TooMuchPoison as stopped:
            raise stopped.exceptions[0] from None
        finally:
            await consumer.close()

    async def drain(self) -> None:
        """Take nothing new, let what is in flight finish (a message that waits for its next try is given back), then
        unsubscribe. Returns when that is done; bound it from outside. Idempotent, safe before ``run``."""
        self._draining.set()
        self._progress.draining()
        if self._consumer is not None:
            await self._consumer.drain()

    async def _work(self, lane: Lane) -> None:
        busy = self._metrics.gauge(table.LANES_BUSY, self._inbox)
        received = self._metrics.counter(table.MESSAGES_RECEIVED, self._inbox)
        waiting = self._metrics.histogram(table.WAITING_SECONDS, self._inbox)
        while (delivery := await lane.receive()) is not None:
            message = delivery.message
            self._progress.received(self._inbox, lane.index, reef_id=message.reef_id, event_id=message.event_id)
            received.inc()
            waiting.observe(max(0.0, (self._clock.now() - message.produced_at).total_seconds()))
            busy.inc()
            outcome = "released"
            span = self._tracer.process(delivery) if self._tracer is not None else None
            noted = CARRIED.set(Carried(message, lane.index, self._inbox, span.traceparent if span is not None else None))
            try:
                outcome = await self._carry(lane, delivery)
            finally:
                CARRIED.reset(noted)
                if span is not None:
                    span.end(outcome)
                busy.dec()
                if outcome == "released":
                    self._progress.released(self._inbox, lane.index)
                else:
                    self._progress.finished(self._inbox, lane.index)
                self._metrics.count(table.MESSAGES_HANDLED, self._inbox, outcome)

    async def _carry(self, lane: Lane, delivery: Delivery) -> str:
        """Bring one delivery to its end, however often that must be tried; returns the outcome for the metrics."""
        carried = _Carried(lane=lane, delivery=delivery)
        started = asyncio.get_running_loop().time()
        while True:
            try:
                outcome = await self._try_once(carried)
            except LaneLost as lost:
                log.warning("lane lost its delivery", reason=str(lost))
                return "released"
            except EarlierMissing as missing:
                self._metrics.count(table.RETRIES, self._inbox, type(missing).__name__)
                log.warning("given back until what is missing has come", reason=str(missing), times=missing.times)
                await self._wait_before_retry(min(missing.times, GAP_WAITS_GROW_LIMIT))
                await self._give_back(lane, delivery)
                return "released"
            except TransientError as error:
                carried.attempts += 1
                self._metrics.count(table.RETRIES, self._inbox, type(error).__name__)
                self._progress.retrying(self._inbox, lane.index, str(error))
                log.warning("retry", attempt=carried.attempts, reason=str(error))
                if not await self._wait_before_retry(carried.attempts):
                    await self._give_back(lane, delivery)
                    return "released"
                self._progress.attempting(self._inbox, lane.index)
            else:
                handling_seconds = asyncio.get_running_loop().time() - started
                self._handling.observe(handling_seconds)
                return outcome

    async def _try_once(self, carried: "_Carried") -> str:
        """One attempt. What an earlier attempt finished (the commit, the verdict "poison") is not done again."""
        message = self._read(carried.delivery)
        if carried.poison is None and carried.outputs is None:
            try:
                redelivered = carried.delivery.redelivered
                apply = self._apply_again if redelivered and carried.attempts == 0 else self._apply
                carried.outcome, carried.outputs = await apply(message, tried=redelivered)
            except PoisonMessage as poison:
                await self._judge_poison(carried, poison)
            except TransientError:
                raise
            except Exception as error:  # a bug that one message meets must not stop the lanes of the other reefs
                log.exception("handler fault", attempt=carried.attempts + 1)
                carried.faults += 1
                if carried.faults < self._limits.fault_attempts_limit:
                    raise TransientError(f"{type(error).__name__}: {error}") from error
                await self._judge_poison(carried, PoisonMessage("handler-fault", f"{type(error).__name__}: {error}"[:500]))
        if carried.poison is not None:
            await self._park(carried.lane, carried.delivery, carried.poison, carried.attempts + 1)
            return "parked"
        outputs = carried.outputs or ()
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._tracer is not None and outputs:
            with self._tracer.send(outputs):
                await carried.lane.settle(carried.delivery, outputs)
        else:
            await carried.lane.settle(carried.delivery, outputs)
        self._settling.observe(loop.time() - began)
        for output in outputs:
            self._metrics.count(table.PUBLISHED, output.channel)
        if outputs:
            self._reefs.outputs_confirmed(message.reef_id, message.event_id)
            await self._store.outputs_sent([message.event_id])
        self._breaker.note(poison=False)
        if self._tells_each:
            log.debug("message settled", outcome=carried.outcome, outputs=[output.message.event_id for output in outputs])
        return carried.outcome

    def _read(self, delivery: Delivery) -> Envelope:
        """Return the message. A number counts where the mesh gives it; one that a sender of telemetry brings along is its own
        affair: it begins anew with the device, and the reef's other devices have the same."""
        message = delivery.message
        if message.seq is None or self.subscription.is_numbered:
            return message
        return message.model_copy(update={"seq": None})

    async def _judge_poison(self, carried: "_Carried", poison: PoisonMessage) -> None:
        carried.poison = poison
        if poison.reason == BEHIND_PARKED:
            return
        self._breaker.note(poison=True)
        if self._breaker.open:
            self._metrics.set(table.POISON_BREAKER_OPEN, 1, self._inbox)
            log.error("too much poison, consumer stops", reason=poison.reason, detail=poison.detail)
            await self._give_back(carried.lane, carried.delivery)
            raise TooMuchPoison(f"{self._inbox} stopped: too many messages are poison, the last by {poison}")

    async def _apply(self, message: Envelope, *, tried: bool) -> tuple[str, Sequence[Publication]]:
        """Commit what the message does, once; return the outcome and the outputs that are not known to be out.

        ``tried``: whether tries of it may have been counted. A message with a number needs no row in the inbox: the cursor,
        which the version fence keeps true, says that it was applied.
        """
        reef = self._reefs.hold(message.reef_id)
        async with reef.lock:
            for _ in range(STALE_RETRIES_LIMIT):
                state = await self._reefs.load(reef)
                if self._may_be_outdated(reef.cursor, message):
                    reef.fresh = False
                    state = await self._reefs.load(reef)
                if positions.is_applied(reef.cursor, self._inbox, message.seq):
                    await self._earlier.send(reef, message)
                    if tried:  # no commit will forget it
                        await self._store.forget_attempts(self._inbox, message.event_id)
                    return self._healed(await self._store.pending_outputs(message.reef_id, message.event_id))
                self._refuse_behind_parked(reef.cursor, message)
                missing = await self._refuse_before_missing(reef.cursor, message)
                await self._earlier.send(reef, message)
                reef.fresh = False  # until the commit says otherwise: the handler may change the state in place
                change = await self._handler.handle(message, state)
                cursor = self._after(reef.cursor, message)
                cursor, outputs = self._address(message, cursor, change.outputs)
                result = await self._store.commit(
                    Unit(
                        reef_id=message.reef_id,
                        inbox=self._inbox,
                        event_id=message.event_id,
                        expected_version=reef.version,
                        cursor=cursor,
                        state=self._handler.dump(change.state),
                        writes=change.writes,
                        outputs=outputs,
                        in_inbox=message.seq is None,
                        tried=tried,
                    )
                )
                match result:
                    case Committed(version):
                        self._note_order(reef.cursor, message, missing)
                        self._gaps.closed(message.reef_id, now_seconds=asyncio.get_running_loop().time())
                        reef.state, reef.version, reef.cursor, reef.fresh = change.state, version, cursor, True
                        if outputs:
                            reef.unsent.add(message.event_id)
                        if change.committed is not None:
                            change.committed()
                        return "handled", outputs
                    case AlreadyApplied(pending):
                        return self._healed(pending)
                    case Stale(version):
                        self._metrics.count(table.FENCE_REFUSALS, self._inbox)
                        log.info("stale version refused", had=reef.version, row=version)
            raise TransientError("the reef's row changes faster than it can be read")

    def _healed(self, pending: Sequence[Publication]) -> tuple[str, Sequence[Publication]]:
        self._metrics.count(table.DUPLICATES, self._inbox)
        if pending:
            self._metrics.count(table.REDELIVERIES_HEALED, self._inbox)
        return "duplicate", pending

    def _note_order(self, before: Cursor, message: Envelope, missing: int) -> None:
        """Count what a committed message says about the order in which its reef's messages came."""
        if missing:
            self._metrics.count(table.SEQUENCE_GAPS, self._inbox, amount=missing)
            log.warning("sequence gap", gap=missing)
        if positions.is_late(before, self._inbox, message.seq) and not message.headers.get(REPLAYED_HEADER):
            self._metrics.count(table.ORDER_VIOLATIONS, self._inbox)
            log.error("out of order", applied=before.applied.get(self._inbox, 0))

    def _after(self, cursor: Cursor, message: Envelope) -> Cursor:
        cursor = positions.hear(positions.advance(cursor, self._inbox, message.seq), self._inbox, message)
        return positions.take_back(cursor, self._inbox) if message.headers.get(REPLAYED_HEADER) else cursor

    def _address(self, message: Envelope, cursor: Cursor, outputs: Sequence[Output]) -> tuple[Cursor, Sequence[Publication]]:
        if not outputs:
            return cursor, ()
        now, trace = self._clock.now(), traceparent_of(message)
        cursor, addressed = address(
            outputs, cause=message.event_id, reef_id=message.reef_id, cursor=cursor, now=now, traceparent=trace
        )
        if self._tracer is not None:
            addressed = [self._traced(self._tracer, each) for each in addressed]
        return cursor, addressed

    @staticmethod
    def _traced(tracer: Tracer, output: Publication) -> Publication:
        created = tracer.create(output.channel, output.message)
        return Publication(channel=output.channel, message=output.message.model_copy(update={"traceparent": created}))

    def _may_be_outdated(self, cursor: Cursor, message: Envelope) -> bool:
        """What looks like a hole, or like a parked message, may be what another process did while it had the reef."""
        return (
            positions.missing_before(cursor, self._inbox, message.seq) > 0
            or positions.follows_unheard(cursor, self._inbox, message)
            or cursor.parked.get(self._inbox, 0) > 0
        )

    def _refuse_behind_parked(self, cursor: Cursor, message: Envelope) -> None:
        waits = self._limits.poison_policy == "park" and cursor.parked.get(self._inbox, 0) > 0
        if waits and not message.headers.get(REPLAYED_HEADER):
            raise PoisonMessage(BEHIND_PARKED, "an earlier message of this reef is parked")

    async def _refuse_before_missing(self, cursor: Cursor, message: Envelope) -> int:
        """Return how many messages before this one have not come, although it waited for them."""
        if message.headers.get(REPLAYED_HEADER):
            return 0
        missing = positions.missing_before(cursor, self._inbox, message.seq)
        if positions.follows_unheard(cursor, self._inbox, message):
            missing += not await self._store.is_applied(message.reef_id, self._inbox, message.headers[FOLLOWS])
        if missing:
            self._gaps.refuse(message, missing, now_seconds=asyncio.get_running_loop().time())
        return missing

    async def _apply_again(self, message: Envelope, *, tried: bool) -> tuple[str, Sequence[Publication]]:
        async with self._suspects.trying(message):
            return await self._apply(message, tried=tried)

    async def _park(self, lane: Lane, delivery: Delivery, poison: PoisonMessage, attempts: int) -> None:
        """Remember the hole in the reef's row first, then move the message: a crash in between only repeats this."""
        message = self._read(delivery)
        if self._tracer is not None:
            self._tracer.fail(poison.reason)
        reef = self._reefs.hold(message.reef_id)
        async with reef.lock:
            for _ in range(STALE_RETRIES_LIMIT):
                state = await self._reefs.load(reef)
                cursor = positions.hear(positions.set_aside(reef.cursor, self._inbox, message.seq), self._inbox, message)
                result = await self._store.commit(
                    Unit(
                        reef_id=message.reef_id,
                        inbox=f"{self._inbox}#parked",
                        event_id=message.event_id,
                        expected_version=reef.version,
                        cursor=cursor,
                        state=self._handler.dump(state),
                        tried=False,  # it is forgotten below
                    )
                )
                if isinstance(result, Committed):
                    reef.version, reef.cursor = result.version, cursor
                    break
                reef.fresh = False
                if isinstance(result, AlreadyApplied):
                    break
        if delivery.redelivered:
            await self._store.forget_attempts(self._inbox, message.event_id)
        await lane.park(delivery, reason=poison.reason, detail=poison.detail, attempts=attempts)
        self._metrics.count(table.PARKED, self._inbox, poison.reason)
        log.error("parked", reason=poison.reason, detail=poison.detail, attempts=attempts)

    async def _wait_before_retry(self, attempt: int) -> bool:
        """Wait for the backoff; False when the worker drains meanwhile."""
        delay_seconds = self._limits.backoff.delay_seconds(attempt, self._random)
        return not await is_set_within(self._draining, delay_seconds)

    async def _give_back(self, lane: Lane, delivery: Delivery) -> None:
        try:
            if delivery.redelivered:
                await self._store.forget_attempts(self._inbox, delivery.message.event_id)
            await lane.release(delivery)
        except TransientError as error:
            # The broker is away: it redelivers by itself what was never acknowledged.
            log.info("not given back, the broker redelivers", reason=str(error))
