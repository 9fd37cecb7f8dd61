"""The worker's laws, on the embedded engine and SQLite in memory: order, effect once, retry, poison, drain."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random

import pytest

from reefmesh.backoff import Backoff
from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Consumer, Delivery, Lane, LaneLost, Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope, event_id_of
from reefmesh.errors import PoisonMessage, TransientError
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.service.breaker import PoisonBreaker, TooMuchPoison
from reefmesh.service.handler import Change, Output
from reefmesh.service.worker import Worker
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.connect import open_store
from reefmesh.store.port import Committed, Cursor, Store, Unit

START = datetime(2026, 3, 1, tzinfo=UTC)
NEXT = Subscription("next", channels.SCORES)
INBOX = str(channels.SCORING)
QUICK = Backoff(first_seconds=0.001, max_seconds=0.002)


@dataclass
class Handler:
    """Adds up what it is given. ``act`` may refuse a message, or wait, before its effect."""

    act: Callable[[str, int], object] = lambda text, attempt: None
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

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(what)


class AwaitedMetrics(Metrics):
    """Metrics on whose counts a test may wait."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self._counted = asyncio.Event()

    def count(self, row: table.Counter, *labels: str, amount: float = 1) -> None:
        super().count(row, *labels, amount=amount)
        self._counted.set()

    async def until(self, row: table.Counter, *labels: str, reaches: float) -> None:
        async with asyncio.timeout(10):
            while self.value(row, *labels) < reaches:
                self._counted.clear()
                await self._counted.wait()


@dataclass
class Bench:
    broker: Broker
    store: Store
    metrics: AwaitedMetrics
    clock: ManualClock

    def worker(self, handler: Handler, **limits: object) -> Worker[list[str]]:
        breaker = limits.pop("breaker", None)
        subscription = limits.pop("subscription", channels.SCORING)
        assert isinstance(subscription, Subscription)
        return Worker(
            subscription=subscription,
            broker=self.broker,
            store=self.store,
            handler=handler,
            clock=self.clock,
            metrics=self.metrics,
            progress=Progress(),
            limits=replace(WorkerLimits(lanes=8, backoff=QUICK), **limits),  # type: ignore[arg-type]  # the tests' keywords are its fields
            breaker=breaker if isinstance(breaker, PoisonBreaker) else None,
            random=Random(1),
        )

    async def send(self, reef_id: str, *texts: str, first_seq: int = 1) -> None:
        messages = [
            Envelope(
                event_id=event_id_of(reef_id, text),
                reef_id=reef_id,
                schema_id="x/1",
                produced_at=START,
                body=text.encode(),
                seq=first_seq + index,
            )
            for index, text in enumerate(texts)
        ]
        await self.broker.publish([Publication(channel=channels.READINGS.name, message=message) for message in messages])

    async def received(self, count: int) -> list[Envelope]:
        """The next ``count`` messages that came out, acknowledged."""
        consumer = self.broker.consumer(NEXT, lanes=1)
        await consumer.start()
        messages = []
        async with asyncio.timeout(10):
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


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = ManualClock(START)
    broker = open_broker("embedded://", clock=clock)
    store = open_store("sqlite://", migrations=[], clock=clock)
    await broker.connect()
    await store.open()
    await broker.declare([channels.SCORING, NEXT])
    yield Bench(broker, store, AwaitedMetrics("test"), clock)
    await broker.close()
    await store.close()


@asynccontextmanager
async def running(worker: Worker[list[str]]) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(worker.run())
    try:
        yield task
        async with asyncio.timeout(10):
            await worker.drain()
            await task
    finally:
        task.cancel()


async def parked(bench: Bench) -> Sequence[tuple[str, str]]:
    return [(each.message.body.decode(), each.reason) for each in await bench.broker.parking(channels.SCORING).list()]


async def test_messages_of_reefs_come_out_in_order_numbered_and_with_deterministic_ids(bench: Bench) -> None:
    """Laws 1 and 4: in order per reef; outputs carry the reef's next numbers and ids made from their cause."""
    handler = Handler()
    for reef_id in ("a", "b"):
        await bench.send(reef_id, *(f"{reef_id}{number}" for number in range(20)))
    async with running(bench.worker(handler)):
        out = await bench.received(40)
    for reef_id in ("a", "b"):
        own = [message for message in out if message.reef_id == reef_id]
        assert [message.body.decode() for message in own] == [f"{reef_id}{number}" for number in range(20)]
        assert [message.seq for message in own] == list(range(1, 21))
        assert [message.event_id for message in own] == [
            event_id_of(event_id_of(reef_id, f"{reef_id}{number}"), "echo") for number in range(20)
        ]
        assert await bench.state(reef_id) == [f"{reef_id}{number}" for number in range(20)]


async def test_transient_fault_holds_its_reef_and_no_other(bench: Bench) -> None:
    """Law 8: retried in its lane while the reef waits; law 2: the others flow."""

    def act(text: str, attempt: int) -> None:
        if text == "a0" and attempt <= 4:
            raise TransientError("not yet")

    handler = Handler(act)
    await bench.send("a", "a0", "a1")
    await bench.send("b", "b0")
    async with running(bench.worker(handler)):
        out = await bench.received(3)
    assert [message.body for message in out if message.reef_id == "a"] == [b"a0", b"a1"]
    assert handler.attempts == {"a0": 5, "a1": 1, "b0": 1}
    assert bench.metrics.value(table.RETRIES, INBOX, "TransientError") == 4
    assert await parked(bench) == []


async def test_redelivery_after_commit_has_one_effect_and_sends_the_outputs(bench: Bench) -> None:
    """Law 4: a process that died between its commit and the acknowledgement is healed by inbox and outbox."""
    message_id = event_id_of("a", "a0")
    output = Envelope(
        event_id=event_id_of(message_id, "echo"), reef_id="a", schema_id="x/1", produced_at=START, body=b"a0", seq=1
    )
    died = Unit(
        reef_id="a",
        inbox=INBOX,
        event_id=message_id,
        expected_version=0,
        cursor=replace((await bench.store.load("a")).cursor, applied={INBOX: 1}, published={channels.SCORES.name: 1}),
        state=b'["a0"]',
        outputs=[Publication(channel=channels.SCORES.name, message=output)],
    )
    assert isinstance(await bench.store.commit(died), Committed)
    handler = Handler()
    await bench.send("a", "a0", "a1")
    async with running(bench.worker(handler)):
        out = await bench.received(2)
    assert [(message.body, message.seq) for message in out] == [(b"a0", 1), (b"a1", 2)]
    assert handler.handled == [("a", "a1")]
    assert await bench.state("a") == ["a0", "a1"]
    assert bench.metrics.value(table.REDELIVERIES_HEALED, INBOX) == 1


async def test_effect_once_numbered_messages_leave_nothing_in_the_inbox(bench: Bench) -> None:
    """Law 4: the cursor says which numbers were applied; a redelivery, and what was tried of it, are known by that."""
    message_id = event_id_of("a", "a0")
    await bench.store.commit(left_elsewhere("a0"))
    await bench.store.outputs_sent([message_id])
    await bench.send("a", "a0", "a1")
    consumer = bench.broker.consumer(channels.SCORING, lanes=1)
    await consumer.start()
    assert await consumer.lanes[0].receive() is not None
    await consumer.close()  # as if the process had died with a0, which it had committed
    handler = Handler()
    async with running(bench.worker(handler)):
        await bench.received(1)
    assert handler.handled == [("a", "a1")]
    assert await bench.store.fetch("SELECT event_id FROM mesh_inbox WHERE event_id <> ?", (message_id,)) == []
    assert await bench.store.attempts(INBOX, message_id) == 0


async def test_zombie_with_an_old_version_is_refused_and_starts_over(bench: Bench) -> None:
    """Law 5: a row that somebody else wrote meanwhile refuses the unit; the handler then sees the new state."""
    handler = Handler()
    intruded = False

    async def intrude() -> None:
        row = await bench.store.load("a")
        other = Unit(
            reef_id="a", inbox="other", event_id="e", expected_version=row.version, cursor=row.cursor, state=b'["other"]'
        )
        assert isinstance(await bench.store.commit(other), Committed)

    def act(text: str, attempt: int) -> object:
        nonlocal intruded
        if text == "a0" and not intruded:
            intruded = True
            return intrude()
        return None

    handler.act = act
    await bench.send("a", "a0")
    async with running(bench.worker(handler)):
        await bench.received(1)
    assert await bench.state("a") == ["other", "a0"]
    assert bench.metrics.value(table.FENCE_REFUSALS, INBOX) == 1


async def test_poison_is_parked_alone_and_later_messages_go_on(bench: Bench) -> None:
    """Law 8, policy continue; replayed after the mend it is applied once, and its number is no longer missing."""
    mended = False

    def act(text: str, attempt: int) -> None:
        if text == "a1" and not mended:
            raise PoisonMessage("bad-body", "no")

    handler = Handler(act)
    await bench.send("a", "a0", "a1", "a2")
    async with running(bench.worker(handler)):
        await bench.received(2)
        assert await parked(bench) == [("a1", "bad-body")]
        assert (await bench.store.load("a")).cursor.missing == {INBOX: (2,)}
        mended = True
        parking = bench.broker.parking(channels.SCORING)
        assert await parking.replay([each.parking_id for each in await parking.list()]) == 1
        out = await bench.received(1)
    assert out[0].body == b"a1"
    assert await bench.state("a") == ["a0", "a2", "a1"]
    cursor = (await bench.store.load("a")).cursor
    assert (cursor.missing.get(INBOX, ()), cursor.parked, await parked(bench)) == ((), {}, [])


async def test_reef_parks_behind_its_poison_until_all_is_replayed_in_order(bench: Bench) -> None:
    """Law 8, policy park: every later message of the reef joins the poison, other reefs go on, replay keeps the order."""
    mended = False

    def act(text: str, attempt: int) -> None:
        if text == "a1" and not mended:
            raise PoisonMessage("bad-body", "no")

    handler = Handler(act)
    await bench.send("a", "a0", "a1", "a2", "a3")
    await bench.send("b", "b0")
    async with running(bench.worker(handler, poison_policy="park")):
        await bench.received(2)
        await until_parked(bench, 3)
        assert await parked(bench) == [("a1", "bad-body"), ("a2", "behind-parked"), ("a3", "behind-parked")]
        mended = True
        parking = bench.broker.parking(channels.SCORING)
        await parking.replay([each.parking_id for each in await parking.list()])
        await bench.received(3)
        await bench.send("a", "a4", first_seq=5)
        await bench.received(1)
    assert await bench.state("a") == ["a0", "a1", "a2", "a3", "a4"]
    assert await bench.state("b") == ["b0"]


async def until_parked(bench: Bench, count: int) -> None:
    async with asyncio.timeout(10):
        while len(await parked(bench)) < count:  # noqa: ASYNC110  # parking tells no event; this only yields to the loop
            await asyncio.sleep(0)


async def test_handler_that_always_fails_on_a_message_parks_it_after_its_attempts(bench: Bench) -> None:
    """Law 8: a bug that one message meets is tried as often as is set, then parked with the bug's own words."""

    def act(text: str, attempt: int) -> None:
        if text == "a0":
            raise ZeroDivisionError("of the tests")

    handler = Handler(act)
    await bench.send("a", "a0", "a1")
    async with running(bench.worker(handler, fault_attempts_limit=3)):
        await bench.received(1)
        await until_parked(bench, 1)
    assert handler.attempts == {"a0": 3, "a1": 1}
    (only,) = await bench.broker.parking(channels.SCORING).list()
    assert (only.reason, only.detail) == ("handler-fault", "ZeroDivisionError: of the tests")


def _poisoned(wanted: str) -> Callable[[str, int], object]:
    def act(text: str, attempt: int) -> None:
        if text == wanted:
            raise PoisonMessage("bad", "it is")

    return act


async def test_too_much_poison_stops_the_consumer_instead_of_parking_everything(bench: Bench) -> None:
    """Law 8: when most is poison the fault is not the messages'; what was not parked stays in the queue."""

    def act(text: str, attempt: int) -> None:
        raise PoisonMessage("bad-body", text)

    handler = Handler(act)
    await bench.send("a", *(f"a{number}" for number in range(30)))
    breaker = PoisonBreaker(ratio=0.5, window=20, minimum=10)
    with pytest.raises(TooMuchPoison, match="too many messages are poison"):
        await bench.worker(handler, breaker=breaker).run()
    assert len(await parked(bench)) == 9
    async with running(bench.worker(Handler())):
        out = await bench.received(21)
    assert [message.body.decode() for message in out] == [f"a{number}" for number in range(9, 30)]


async def test_message_that_kills_its_process_is_parked_after_the_limit(bench: Bench) -> None:
    """Law 8: redelivered messages are counted before they are tried; one that never comes to an end is parked."""
    message_id = event_id_of("a", "a0")
    for tries in range(1, 4):
        assert await bench.store.count_attempt(INBOX, message_id) == tries
    handler = Handler()
    await bench.send("a", "a0", "a1")
    consumer = bench.broker.consumer(channels.SCORING, lanes=1)
    await consumer.start()
    assert await consumer.lanes[0].receive() is not None
    await consumer.close()  # as if the process had died with it
    async with running(bench.worker(handler, crash_limit=3)):
        await bench.received(1)
        await until_parked(bench, 1)
    assert await parked(bench) == [("a0", "kills-its-process")]
    assert handler.handled == [("a", "a1")]


async def test_suspects_are_tried_one_at_a_time_while_others_flow(bench: Bench) -> None:
    """Law 8: of several messages that may have killed the process only one is in hand, so its neighbours are not blamed."""
    in_hand: list[str] = []
    together: list[tuple[str, ...]] = []
    gate = asyncio.Event()

    async def act(text: str, attempt: int) -> None:
        if text.startswith("suspect"):
            in_hand.append(text)
            together.append(tuple(in_hand))
            await gate.wait()
            in_hand.remove(text)

    reefs = ("a", "b", "c")
    for reef_id in reefs:
        await bench.send(reef_id, f"suspect-{reef_id}")
        await bench.store.count_attempt(INBOX, event_id_of(reef_id, f"suspect-{reef_id}"))
    consumer = bench.broker.consumer(channels.SCORING, lanes=3)
    await consumer.start()
    assert all([await lane.receive() for lane in consumer.lanes])
    await consumer.close()  # as if the process had died with them
    handler = Handler(act)
    await bench.send("d", "innocent-0", "innocent-1")
    async with running(bench.worker(handler, crash_limit=3)):
        await handler.until(lambda: "innocent-1" in handler.attempts)
        await handler.until(lambda: len(in_hand) == 1)
        gate.set()
        await bench.received(5)
    assert [1, 1, 1] == [len(names) for names in together]
    assert await parked(bench) == []
    tries = [await bench.store.attempts(INBOX, event_id_of(reef_id, f"suspect-{reef_id}")) for reef_id in reefs]
    assert [0, 0, 0] == tries  # forgotten with what they became


async def test_drain_gives_back_a_message_that_waits_for_its_next_try(bench: Bench) -> None:
    """Law 6: the drain does not wait for a backoff; law 8: an interrupted attempt is no attempt."""

    def act(text: str, attempt: int) -> None:
        raise TransientError("away")

    handler = Handler(act)
    await bench.send("a", "a0")
    worker = bench.worker(handler, backoff=Backoff(first_seconds=3600, max_seconds=3600))
    async with running(worker):
        await handler.until(lambda: bool(handler.attempts))
    healthy = Handler()
    async with running(bench.worker(healthy)):
        out = await bench.received(1)
    assert out[0].body == b"a0"


async def test_sequence_gap_is_counted_and_what_was_missing_is_applied_when_it_comes(bench: Bench) -> None:
    """A number that is passed over is remembered as missing: late is not a duplicate."""
    await bench.send("a", "a0")
    await bench.send("a", "a2", first_seq=3)
    await bench.send("a", "a1", first_seq=2)
    await bench.send("a", "a1-again", first_seq=2)
    handler = Handler()
    async with running(bench.worker(handler, gap_patience_seconds=0.0)):
        await bench.received(3)
    assert await bench.state("a") == ["a0", "a2", "a1"]
    assert bench.metrics.value(table.SEQUENCE_GAPS, INBOX) == 1
    assert bench.metrics.value(table.ORDER_VIOLATIONS, INBOX) == 1
    assert bench.metrics.value(table.DUPLICATES, INBOX) == 1


async def test_message_replayed_from_parking_breaks_no_order(bench: Bench) -> None:
    """It comes after later ones because a person decided so: the objective "reordered = 0" is not about it."""
    handler = Handler(_poisoned("a0"))
    async with running(bench.worker(handler)):
        await bench.send("a", "a0", "a1")
        await bench.received(1)
    handler.act = lambda text, attempt: None
    parking = bench.broker.parking(channels.SCORING)
    await parking.replay([each.parking_id for each in await parking.list()])
    async with running(bench.worker(handler)):
        await bench.received(1)
    assert await bench.state("a") == ["a1", "a0"]
    assert bench.metrics.value(table.ORDER_VIOLATIONS, INBOX) == 0


async def test_what_a_message_counts_is_counted_once_however_often_it_is_tried(bench: Bench) -> None:
    """Law 4 for figures: an attempt whose commit was refused has counted nothing."""
    counted: list[str] = []

    class Counting(Handler):
        async def handle(self, message: Envelope, state: list[str]) -> Change[list[str]]:
            change = await super().handle(message, state)
            return replace(change, committed=lambda: counted.append(message.body.decode()))

    zombie = bench.worker(Counting())
    async with running(zombie):
        await bench.send("a", "a0")
        await bench.received(1)
        row = await bench.store.load("a")
        await bench.store.commit(
            Unit(
                reef_id="a",
                inbox="another",
                event_id="e1",
                expected_version=row.version,
                cursor=row.cursor,
                state=b'["a0", "else"]',
            )
        )
        await bench.send("a", "a1", first_seq=2)
        await bench.received(1)
    assert bench.metrics.value(table.FENCE_REFUSALS, INBOX) == 1
    assert counted == ["a0", "a1"]


async def test_order_message_before_which_one_is_missing_waits_until_that_was_applied_elsewhere(bench: Bench) -> None:
    """Law 1: a broker that is being stopped may hand out a message while the one before it is in another process's hands."""
    handler = Handler()
    elsewhere = open_broker("embedded://", clock=bench.clock)
    await elsewhere.connect()
    await elsewhere.declare([channels.SCORING, NEXT])
    other = Bench(elsewhere, bench.store, AwaitedMetrics("other"), bench.clock)
    await bench.send("a", "a0")
    await bench.send("a", "a2", first_seq=3)
    async with running(bench.worker(handler)):
        await bench.metrics.until(table.RETRIES, INBOX, "EarlierMissing", reaches=3)
        assert [("a", "a0")] == handler.handled
        await other.send("a", "a1", first_seq=2)
        async with running(other.worker(Handler())):
            await other.received(1)
        await handler.until(lambda: "a2" in handler.attempts)
    assert ["a0", "a1", "a2"] == await bench.state("a")
    assert 0 == bench.metrics.value(table.SEQUENCE_GAPS, INBOX)
    await elsewhere.close()


def telemetry(text: str, *, follows: str | None = None, producer_id: str = "p") -> Publication:
    """What a device sends: without a number of its reef."""
    message = Envelope(
        event_id=f"a/{text}",
        reef_id="a",
        schema_id="x/1",
        produced_at=START,
        body=text.encode(),
        headers={PRODUCER_ID: producer_id} if follows is None else {PRODUCER_ID: producer_id, FOLLOWS: follows},
    )
    return Publication(channel=channels.READINGS.name, message=message)


async def test_nothing_lost_numbers_that_devices_give_their_telemetry_mean_nothing(bench: Bench) -> None:
    """Law 3: two devices of a reef that both count from 1, one of which starts again: none is a duplicate or too early."""
    await bench.broker.declare([channels.INGEST])
    numbers = {"x1": 1, "y1": 1, "x2": 2, "y7": 7, "x1-again": 1}
    messages = [
        Envelope(event_id=f"a/{text}", reef_id="a", schema_id="x/1", produced_at=START, body=text.encode(), seq=seq)
        for text, seq in numbers.items()
    ]
    await bench.broker.publish([Publication(channel=channels.TELEMETRY.name, message=message) for message in messages])
    async with running(bench.worker(Handler(_poisoned("x2")), subscription=channels.INGEST)):
        await bench.received(4)
    assert ["x1", "y1", "y7", "x1-again"] == await bench.state("a")
    cursor = (await bench.store.load("a")).cursor
    assert ({}, {}) == (cursor.applied, cursor.missing)
    counted = (table.DUPLICATES, table.SEQUENCE_GAPS, table.ORDER_VIOLATIONS)
    assert [0, 0, 0] == [bench.metrics.value(row, str(channels.INGEST)) for row in counted]
    assert all([await bench.store.is_applied("a", str(channels.INGEST), f"a/{text}") for text in ("x1", "y7", "x1-again")])


async def test_order_telemetry_waits_until_what_it_follows_was_applied_elsewhere(bench: Bench) -> None:
    """Law 1: as above, of messages whose senders are many, so that they have no numbers."""
    handler = Handler()
    elsewhere = open_broker("embedded://", clock=bench.clock)
    await elsewhere.connect()
    await elsewhere.declare([channels.SCORING, NEXT])
    other = Bench(elsewhere, bench.store, AwaitedMetrics("other"), bench.clock)
    await bench.broker.publish([telemetry("t0"), telemetry("t2", follows="a/t1")])
    async with running(bench.worker(handler)):
        await bench.metrics.until(table.RETRIES, INBOX, "EarlierMissing", reaches=3)
        assert [("a", "t0")] == handler.handled
        await elsewhere.publish([telemetry("t1", follows="a/t0")])
        async with running(other.worker(Handler())):
            await other.received(1)
        await handler.until(lambda: "t2" in handler.attempts)
    assert ["t0", "t1", "t2"] == await bench.state("a")
    await elsewhere.close()


async def test_repeat_of_what_a_message_follows_does_not_make_it_wait(bench: Bench) -> None:
    """A sender that starts again says other things of the same messages; the inbox knows them."""
    await bench.broker.publish([telemetry("t0"), telemetry("t1", follows="a/t0"), telemetry("t2", follows="a/t1")])
    async with running(bench.worker(Handler())):
        await bench.received(3)
        await bench.broker.publish([telemetry("t3", follows="a/t1", producer_id="again")])
        await bench.received(1)
    assert ["t0", "t1", "t2", "t3"] == await bench.state("a")
    assert 0 == bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")


async def test_message_that_follows_nothing_known_waits_once_and_its_reef_then_no_more_for_a_while(bench: Bench) -> None:
    """Wrong links, or hostile ones, delay their own reef for a bounded time."""
    await bench.broker.publish([telemetry("t0", follows="a/never")])
    async with running(bench.worker(Handler(), gap_patience_seconds=0.05)):
        await bench.received(1)
        waited = bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")
        assert waited > 0
        await bench.broker.publish([telemetry("t1", follows="a/nowhere")])
        await bench.received(1)
    assert waited == bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")
    assert 2 == bench.metrics.value(table.SEQUENCE_GAPS, INBOX)
    assert ["t0", "t1"] == await bench.state("a")


def left_elsewhere(text: str) -> Unit:
    """Return what another process committed for the first message of reef a, with its output."""
    left = Envelope(event_id="left", reef_id="a", schema_id="x/1", produced_at=START, body=b"left", seq=1)
    return Unit(
        reef_id="a",
        inbox=INBOX,
        event_id=event_id_of("a", text),
        expected_version=0,
        cursor=Cursor(applied={INBOX: 1}, published={channels.SCORES.name: 1}),
        state=f'["{text}"]'.encode(),
        outputs=[Publication(channel=channels.SCORES.name, message=left)],
    )


async def test_order_outputs_that_another_process_left_go_out_before_later_ones(bench: Bench) -> None:
    """Law 1: it was killed between its commit and the broker's, and the broker does not give its message again at once."""
    await bench.store.commit(left_elsewhere("a0"))
    await bench.send("a", "a1", first_seq=2)
    async with running(bench.worker(Handler())):
        out = await bench.received(2)
    assert [(message.seq, message.body) for message in out] == [(1, b"left"), (2, b"a1")]
    assert 1 == bench.metrics.value(table.OUTPUTS_RESENT)
    assert () == await bench.store.unsent_outputs("a")


async def test_drain_outputs_that_another_process_is_about_to_note_as_out_do_not_go_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 6: it published them, acknowledged and gave the reef away, and its next transaction tells the outbox."""
    await bench.store.commit(left_elsewhere("a0"))
    unsent_outputs = bench.store.unsent_outputs

    async def noted_meanwhile(reef_id: str) -> Sequence[tuple[str, Publication]]:
        found = await unsent_outputs(reef_id)
        await bench.store.outputs_sent([event_id_of("a", "a0")])
        return found

    monkeypatch.setattr(bench.store, "unsent_outputs", noted_meanwhile)
    await bench.send("a", "a1", first_seq=2)
    async with running(bench.worker(Handler())):
        out = await bench.received(1)
    assert [(message.seq, message.body) for message in out] == [(2, b"a1")]
    assert 0 == bench.metrics.value(table.OUTPUTS_RESENT)


class LosingConsumer:
    """A consumer whose lanes lose their first delivery as it is settled, and each time that it comes again but for the last:
    then it does not come any more while the test lasts, as a broker does that is being stopped. Its outputs do not go out."""

    def __init__(self, consumer: Consumer, *, losses: int) -> None:
        self.lanes = [LosingLane(lane, losses) for lane in consumer.lanes]
        self.start, self.drain, self.close = consumer.start, consumer.drain, consumer.close


class LosingLane:
    def __init__(self, lane: Lane, losses: int) -> None:
        self._lane = lane
        self._losses = losses
        self._again: Delivery | None = None
        self.index, self.release = lane.index, lane.release

    async def receive(self) -> Delivery | None:
        again, self._again = self._again, None
        return again or await self._lane.receive()

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        if self._losses == 0:
            await self._lane.settle(delivery, outputs)
            return
        self._losses -= 1
        if self._losses:
            self._again = replace(delivery, redelivered=True)
        else:
            await self._lane.settle(delivery, ())
        raise LaneLost("the connection is gone")


@pytest.mark.parametrize("losses", [1, 2])
async def test_order_outputs_that_a_lost_connection_left_go_out_before_later_ones(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, losses: int
) -> None:
    """Law 1: the same process has the reef at hand, and goes on with it over its next connection."""
    await bench.send("a", "a0", "a1")
    consumer, losing = bench.broker.consumer, LosingConsumer(bench.broker.consumer(channels.SCORING, lanes=1), losses=losses)

    def consumer_of(subscription: Subscription, *, lanes: int) -> object:
        return losing if subscription == channels.SCORING else consumer(subscription, lanes=lanes)

    monkeypatch.setattr(bench.broker, "consumer", consumer_of)
    async with running(bench.worker(Handler(), lanes=1)):
        out = await bench.received(2)
    assert [(message.seq, message.body) for message in out] == [(1, b"a0"), (2, b"a1")]
    assert 1 == bench.metrics.value(table.OUTPUTS_RESENT)


async def test_restarts_during_an_outage_do_not_make_a_message_a_killer(bench: Bench) -> None:
    """Law 8: an interrupted attempt is no attempt, however often the process is stopped cleanly meanwhile."""

    def act(text: str, attempt: int) -> None:
        raise TransientError("away")

    await bench.send("a", "a0")
    for _ in range(5):
        handler = Handler(act)
        async with running(bench.worker(handler, crash_limit=2, backoff=Backoff(first_seconds=3600, max_seconds=3600))):
            await handler.until(lambda: bool(handler.attempts))  # noqa: B023  # awaited inside this turn of the loop
    async with running(bench.worker(Handler(), crash_limit=2)):
        out = await bench.received(1)
    assert out[0].body == b"a0"
    assert await parked(bench) == []


async def test_reef_that_was_elsewhere_meanwhile_is_loaded_anew_without_a_gap_or_a_refusal(bench: Bench) -> None:
    """Law 7: a reef that went to another process and came back continues from what was done there."""
    handler = Handler()
    async with running(bench.worker(handler)):
        await bench.send("a", "a0")
        await bench.received(1)
        row = await bench.store.load("a")
        elsewhere = Unit(
            reef_id="a",
            inbox=INBOX,
            event_id=event_id_of("a", "a1"),
            expected_version=row.version,
            cursor=replace(row.cursor, applied={INBOX: 2}),
            state=b'["a0", "a1"]',
        )
        assert isinstance(await bench.store.commit(elsewhere), Committed)
        await bench.send("a", "a2", first_seq=3)
        await bench.received(1)
    assert await bench.state("a") == ["a0", "a1", "a2"]
    assert bench.metrics.value(table.SEQUENCE_GAPS, INBOX) == 0
    assert bench.metrics.value(table.FENCE_REFUSALS, INBOX) == 0
