"""A message of a sender that may not speak on its channel is parked as forged and changes nothing."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import Broker, Consumer, Delivery, Lane, Publication
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.senders import REPLAY_OF, BrokerUsers, Senders, senders_to
from reefmesh.observability import table
from reefmesh_components.worker_bench import INBOX, START, Collector, WorkerBench, open_worker_bench, poisoned, running

SENDERS = senders_to(channels.SCORING, BrokerUsers())


@dataclass
class StampedLane:
    """States as sender of each message what ``sender_of`` holds under its text, else ingest."""

    lane: Lane
    sender_of: dict[str, str | None]

    @property
    def index(self) -> int:
        return self.lane.index

    async def receive(self) -> Delivery | None:
        delivery = await self.lane.receive()
        return delivery and replace(delivery, user_id=self.sender_of.get(delivery.message.body.decode(), "ingest"))

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        await self.lane.settle(delivery, outputs)

    async def park(self, delivery: Delivery, *, reason: str, detail: str, attempts: int) -> None:
        await self.lane.park(delivery, reason=reason, detail=detail, attempts=attempts)

    async def release(self, delivery: Delivery, *, again_after_seconds: float = 0.0) -> None:
        await self.lane.release(delivery, again_after_seconds=again_after_seconds)


class StampedConsumer:
    def __init__(self, consumer: Consumer, sender_of: dict[str, str | None]) -> None:
        self._consumer = consumer
        self.lanes: Sequence[Lane] = [StampedLane(lane, sender_of) for lane in consumer.lanes]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)


@dataclass
class StampedBroker:
    """An engine with logins, made of one without."""

    broker: Broker
    sender_of: dict[str, str | None] = field(default_factory=dict)

    def consumer(self, subscription: Subscription, *, lanes: int, quota: ParkingQuota | None = None) -> Consumer:
        consumer: Consumer = StampedConsumer(self.broker.consumer(subscription, lanes=lanes, quota=quota), self.sender_of)
        return consumer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.broker, name)


@pytest.fixture
async def stamped() -> AsyncIterator[tuple[WorkerBench, dict[str, str | None]]]:
    sender_of: dict[str, str | None] = {}

    def wrap(broker: Broker) -> Broker:
        wrapped: Broker = StampedBroker(broker, sender_of)
        return wrapped

    async with open_worker_bench(worker_broker=wrap) as bench:
        yield bench, sender_of


Stamped = tuple[WorkerBench, dict[str, str | None]]


@pytest.mark.parametrize("sender", ["buoy", "scoring", "alerts", "operator", None])
async def test_nobody_speaks_for_another_what_is_forged_is_parked_and_changes_nothing(
    stamped: Stamped, sender: str | None
) -> None:
    """Law 12: neither state nor cursor nor inbox nor breaker; the honest message of the same number is applied after it."""
    bench, sender_of = stamped
    sender_of["forged"] = sender
    handler = Collector()
    await bench.send("a", "a0")
    async with running(bench.worker(handler, senders=SENDERS)):
        await bench.received(1)
        before = await bench.store.load("a")
        await bench.send("a", "forged", first_seq=1_000_000_000)
        await bench.until_parked(1)
        after = await bench.store.load("a")
        assert (before.version, before.cursor, before.state) == (after.version, after.cursor, after.state)
        await bench.send("a", "a1", first_seq=2)
        await bench.received(1)
    assert ["a0", "a1"] == await bench.state("a")
    assert [("forged", "forged")] == await bench.parked()
    assert "forged" not in handler.attempts
    assert 1 == bench.metrics.value(table.PARKED, INBOX, "forged")


async def test_reserved_schema_is_believed_of_its_own_senders_alone_also_from_before_an_upgrade(stamped: Stamped) -> None:
    """A speaker of the channel who may not send this schema is forged; so is one whom the broker does not name."""
    bench, sender_of = stamped
    sender_of |= {"a0": "operator", "by-publisher": "publisher", "by-nobody": None}
    senders = Senders(
        speakers=frozenset({"operator", "publisher"}),
        reserved={"x/1": frozenset({"operator"})},
        unstamped_until=START + timedelta(days=1),
    )
    async with running(bench.worker(Collector(), senders=senders)):
        await bench.send("a", "a0")
        await bench.received(1)
        await bench.send("a", "by-publisher", first_seq=2)
        await bench.send("b", "by-nobody")
        await bench.until_parked(2)
    assert (["a0"], []) == (await bench.state("a"), await bench.state("b"))
    assert [("by-nobody", "forged"), ("by-publisher", "forged")] == sorted(await bench.parked())


async def test_forgeries_never_open_the_breaker(stamped: Stamped) -> None:
    """Law 13: however many are forged, the consumer goes on."""
    bench, sender_of = stamped
    texts = [f"f{number}" for number in range(80)]
    sender_of |= dict.fromkeys(texts, "buoy")
    async with running(bench.worker(Collector(), senders=SENDERS)):
        await bench.send("a", *texts)
        await bench.until_parked(len(texts))
        await bench.send("a", "a0")
        await bench.received(1)
    assert 0 == bench.metrics.value(table.POISON_BREAKER_OPEN, INBOX)


async def test_replay_by_an_operator_is_believed_of_what_was_parked_here_alone(stamped: Stamped) -> None:
    """Law 8 with law 12: parked for its body and replayed it is applied; forged and replayed it is forged again."""
    bench, sender_of = stamped
    sender_of["forged"] = "buoy"
    handler = Collector(poisoned("a0"))
    async with running(bench.worker(handler, senders=SENDERS)):
        await bench.send("a", "a0")
        await bench.send("b", "forged")
        await bench.until_parked(2)
        handler.act = lambda text, attempt: None
        sender_of |= {"a0": "operator", "forged": "operator"}  # who replays them
        assert 2 == await bench.replay_parked()
        await bench.received(1)
        await bench.until_parked(1)
    assert ["a0"] == await bench.state("a")
    assert [("forged", "forged")] == await bench.parked()
    assert [] == await bench.state("b")


async def test_replay_by_another_service_is_forged(stamped: Stamped) -> None:
    bench, sender_of = stamped
    handler = Collector(poisoned("a0"))
    async with running(bench.worker(handler, senders=SENDERS)):
        await bench.send("a", "a0")
        await bench.until_parked(1)
        handler.act = lambda text, attempt: None
        sender_of["a0"] = "alerts"
        await bench.replay_parked()
        await bench.metrics.until(table.PARKED, INBOX, "forged", reaches=1)
    assert [] == await bench.state("a")


async def test_message_from_before_the_upgrade_is_believed_until_the_end_date(stamped: Stamped) -> None:
    bench, sender_of = stamped
    sender_of |= {"a0": None, "a1": None}
    senders = senders_to(channels.SCORING, BrokerUsers(), unstamped_until=START + timedelta(days=1))
    async with running(bench.worker(Collector(), senders=senders)):
        await bench.send("a", "a0")
        await bench.received(1)
        bench.clock.advance(timedelta(days=1))
        await bench.send("a", "a1", first_seq=2)
        await bench.until_parked(1)
    assert (["a0"], [("a1", "forged")]) == (await bench.state("a"), await bench.parked())


async def test_mark_of_a_replay_is_believed_of_replayers_alone(stamped: Stamped) -> None:
    """A speaker of the channel cannot pass what it sends off as a replay of another message."""
    bench, _ = stamped
    seen: list[dict[str, str]] = []

    class Seeing(Collector):
        async def handle(self, message: Any, state: list[str]) -> Any:
            seen.append(message.headers)
            return await super().handle(message, state)

    async with running(bench.worker(Seeing(), senders=SENDERS)):
        await bench.send("a", "a0", headers={"replayed": "true", REPLAY_OF: "another", "device": "d"})
        await bench.received(1)
    assert [{"device": "d"}] == seen
