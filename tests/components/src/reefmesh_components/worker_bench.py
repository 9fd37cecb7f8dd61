"""A worker on the embedded engine and SQLite, both in memory, for the tests of a worker's laws."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Final

from reefmesh.backoff import Backoff
from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Consumer, Parking, Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope, event_id_of
from reefmesh.contracts.senders import ANYBODY_WITH_THE_JOURNAL, Senders
from reefmesh.errors import PoisonMessage
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.service.breaker import PoisonBreaker
from reefmesh.service.handler import Change, Output
from reefmesh.service.worker import Worker
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.cursor import Cursor
from reefmesh.store.database import DatabaseStore
from reefmesh.store.migrations import read_migrations
from reefmesh.store.port import CommitResult, Stale, Store, Unit
from reefmesh.store.sqlite import SqliteDatabase

START: Final = datetime(2026, 3, 1, tzinfo=UTC)
NEXT: Final = Subscription("next", channels.SCORES)
INBOX: Final = str(channels.SCORING)
QUICK: Final = Backoff(first_seconds=0.001, max_seconds=0.002)
PATIENCE_SECONDS: Final = 60.0

Act = Callable[[str, int], object]
"""Called with a message's text and the number of its attempt: refuses it by an error, or returns a coroutine to await."""


@dataclass
class Collector:
    """A handler whose state is the texts that it was given; each comes out again. ``act`` runs before the effect."""

    act: Act = lambda text, attempt: None
    attempts: dict[str, int] = field(default_factory=dict)
    handled: list[tuple[str, str]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def load(self, reef_id: str, state: bytes | None) -> list[str]:
        return json.loads(state) if state else []

    def dump(self, state: list[str]) -> bytes:
        return json.dumps(state).encode()

    async def handle(self, message: Envelope, state: list[str]) -> Change[list[str]]:
        text = message.body.decode()
        self.attempts[text] = self.attempts.get(text, 0) + 1
        async with self.changed:
            self.changed.notify_all()
        acted = self.act(text, self.attempts[text])
        if asyncio.iscoroutine(acted):
            await acted
        self.handled.append((message.reef_id, text))
        state.append(text)  # in place, as a handler may
        return Change(state=state, outputs=[Output(channel=channels.SCORES, step="echo", schema_id="x/1", body=message.body)])

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self.changed:
            await self.changed.wait_for(condition)


def poisoned(poison: str) -> Act:
    """Return an ``act`` to which one text is poison."""

    def act(text: str, attempt: int) -> None:
        if text == poison:
            raise PoisonMessage("bad-body", "it is")

    return act


class AwaitedMetrics(Metrics):
    """Metrics whose counts a test can wait for."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self._counted = asyncio.Event()

    def count(self, row: table.Counter, *labels: str, amount: float = 1) -> None:
        super().count(row, *labels, amount=amount)
        self._counted.set()

    async def until(self, row: table.Counter, *labels: str, reaches: float) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.value(row, *labels) < reaches:
                self._counted.clear()
                await self._counted.wait()


@dataclass
class WorkerBench:
    """``worker_broker``: the client that workers get, where a test puts another implementation before ``broker``."""

    broker: Broker
    store: Store
    metrics: AwaitedMetrics
    clock: ManualClock
    worker_broker: Broker | None = None

    def worker(
        self,
        handler: Collector,
        *,
        subscription: Subscription = channels.SCORING,
        breaker: PoisonBreaker | None = None,
        senders: Senders = ANYBODY_WITH_THE_JOURNAL,
        **limits: object,
    ) -> Worker[list[str]]:
        """Return a worker with these ``limits`` in place of the bench's (fields of WorkerLimits)."""
        return Worker(
            subscription=subscription,
            broker=self.worker_broker or self.broker,
            store=self.store,
            handler=handler,
            clock=self.clock,
            metrics=self.metrics,
            progress=Progress(),
            senders=senders,
            limits=replace(WorkerLimits(lanes=8, backoff=QUICK), **limits),  # type: ignore[arg-type]  # the tests' keywords are its fields
            breaker=breaker,
            random=Random(1),
        )

    @property
    def parking(self) -> Parking:
        return self.broker.parking(channels.SCORING)

    async def send(self, reef_id: str, *texts: str, first_seq: int = 1, headers: Mapping[str, str] | None = None) -> None:
        messages = [
            Envelope(
                event_id=event_id_of(reef_id, text),
                reef_id=reef_id,
                schema_id="x/1",
                produced_at=START,
                body=text.encode(),
                seq=first_seq + index,
                headers=dict(headers or {}),
            )
            for index, text in enumerate(texts)
        ]
        await self.broker.publish([Publication(channel=channels.READINGS.name, message=message) for message in messages])

    async def received(self, count: int) -> list[Envelope]:
        """Receive and acknowledge the next ``count`` outputs."""
        consumer = self.broker.consumer(NEXT, lanes=1)
        await consumer.start()
        messages = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in range(count):
                delivery = await consumer.lanes[0].receive()
                assert delivery is not None
                messages.append(delivery.message)
                await consumer.lanes[0].settle(delivery, [])
        await consumer.drain()
        return messages

    async def state(self, reef_id: str) -> list[str]:
        row = await self.store.load(reef_id)
        return json.loads(row.state) if row.state else []

    async def parked(self) -> Sequence[tuple[str, str]]:
        """Return text and reason of each parked message."""
        return [(each.message.body.decode(), each.reason) for each in await self.parking.list()]

    async def until_parked(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(await self.parked()) < count:  # noqa: ASYNC110  # parking has no event; this only yields to the loop
                await asyncio.sleep(0)

    async def replay_parked(self) -> int:
        return await self.parking.replay([each.parking_id for each in await self.parking.list()])

    async def lose_in_hand(self, count: int = 1) -> None:
        """Take the next ``count`` messages and lose them, as a process does that dies with them in hand."""
        consumer: Consumer = self.broker.consumer(channels.SCORING, lanes=count)
        await consumer.start()
        assert all([await lane.receive() for lane in consumer.lanes])
        await consumer.close()


@asynccontextmanager
async def open_worker_bench(
    store: Store | None = None, worker_broker: Callable[[Broker], Broker] | None = None
) -> AsyncIterator[WorkerBench]:
    """Open a bench. ``store`` and ``worker_broker`` are for tests that bring an implementation of their own."""
    clock = ManualClock(START)
    broker = open_broker("embedded://", clock=clock)
    store = store or DatabaseStore(memory_database(clock), clock=clock)
    await broker.connect()
    await store.open()
    await broker.declare([channels.SCORING, NEXT])
    yield WorkerBench(broker, store, AwaitedMetrics("test"), clock, worker_broker and worker_broker(broker))
    await broker.close()
    await store.close()


@asynccontextmanager
async def elsewhere(bench: WorkerBench) -> AsyncIterator[WorkerBench]:
    """Open a second broker beside a bench's store: what goes through it happens in another process."""
    broker = open_broker("embedded://", clock=bench.clock)
    await broker.connect()
    await broker.declare([channels.SCORING, NEXT])
    yield WorkerBench(broker, bench.store, AwaitedMetrics("elsewhere"), bench.clock)
    await broker.close()


@asynccontextmanager
async def running(worker: Worker[list[str]]) -> AsyncIterator["asyncio.Task[None]"]:
    """Run a worker; it is drained at the end."""
    task = asyncio.create_task(worker.run())
    try:
        yield task
        async with asyncio.timeout(PATIENCE_SECONDS):
            await worker.drain()
            await task
    finally:
        task.cancel()


def memory_database(clock: ManualClock) -> SqliteDatabase:
    """Return a database for a store of a test's own, with the store's tables alone."""
    return SqliteDatabase(None, migrations=(read_migrations("store", "reefmesh.store"),), clock=clock)


class ContestedStore(DatabaseStore):
    """A store in which another process is faster with a reef's row for the first ``refusals`` units of an inbox."""

    def __init__(self, inbox: str, *, refusals: int, clock: ManualClock, database: SqliteDatabase | None = None) -> None:
        super().__init__(database or memory_database(clock), clock=clock)
        self._inbox = inbox
        self.refusals_left = refusals

    async def commit(self, unit: Unit) -> CommitResult:
        if unit.inbox == self._inbox and self.refusals_left:
            self.refusals_left -= 1
            row = await self.load(unit.reef_id)
            other = Unit(
                reef_id=unit.reef_id,
                inbox="other",
                event_id=str(row.version),
                expected_version=row.version,
                cursor=row.cursor,
                state=row.state or b"",
            )
            await super().commit(other)
            return Stale(row.version + 1)
        return await super().commit(unit)


def telemetry(text: str, *, follows: str | None = None, producer_id: str = "p") -> Publication:
    """Return a message as a device sends it: without a number of its reef."""
    message = Envelope(
        event_id=f"a/{text}",
        reef_id="a",
        schema_id="x/1",
        produced_at=START,
        body=text.encode(),
        headers={PRODUCER_ID: producer_id} if follows is None else {PRODUCER_ID: producer_id, FOLLOWS: follows},
    )
    return Publication(channel=channels.READINGS.name, message=message)


def left_elsewhere(text: str, *, inbox: str = INBOX) -> Unit:
    """Return the unit of another process for the first message of reef a, whose output it left in the outbox."""
    cause = event_id_of("a", text)
    output = Envelope(
        event_id=event_id_of(cause, "echo"), reef_id="a", schema_id="x/1", produced_at=START, body=text.encode(), seq=1
    )
    return Unit(
        reef_id="a",
        inbox=inbox,
        event_id=cause,
        expected_version=0,
        cursor=Cursor(applied={INBOX: 1} if inbox == INBOX else {}, published={channels.SCORES.name: 1}),
        state=json.dumps([text]).encode(),
        outputs=[Publication(channel=channels.SCORES.name, message=output)],
    )
