"""The worker's laws on the embedded engine: order per reef, taking reefs over, drain."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from reefmesh.backoff import Backoff
from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import PARKING_FOLDED, UNREADABLE_PARKED, Broker, BrokerEvent, Consumer
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.senders import UNAUTHENTICATED, BrokerUsers, senders_to
from reefmesh.errors import TransientError
from reefmesh.observability import table
from reefmesh.service.breaker import PoisonBreaker, TooMuchPoison
from reefmesh.service.handler import Change
from reefmesh.store.port import Committed, Unit
from reefmesh_components.worker_bench import INBOX, Collector, WorkerBench, running


async def test_messages_of_reefs_come_out_in_order_numbered_and_with_deterministic_ids(bench: WorkerBench) -> None:
    """Laws 1 and 4: in order per reef; outputs carry the reef's next numbers and ids made from their cause."""
    handler = Collector()
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


class TellingBroker:
    """Tells its listeners what a test wants them to hear."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._listeners: list[Callable[[BrokerEvent], None]] = []
        self.quota: ParkingQuota | None = None

    def consumer(self, subscription: Subscription, *, lanes: int, quota: ParkingQuota | None = None) -> Consumer:
        self.quota = quota
        return self._broker.consumer(subscription, lanes=lanes, quota=quota)

    def on_event(self, listener: Callable[[BrokerEvent], None]) -> None:
        self._listeners.append(listener)

    def tell(self, name: str, **facts: str) -> None:
        for listener in self._listeners:
            listener(BrokerEvent(name=name, facts={"subscription": INBOX, "reason": "unreadable", **facts}))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


def telling(bench: WorkerBench) -> TellingBroker:
    broker = TellingBroker(bench.broker)
    bench.worker_broker = cast(Broker, broker)
    return broker


async def test_message_that_the_engine_parked_by_itself_is_counted_once_by_its_own_worker(bench: WorkerBench) -> None:
    """Law 13: everything set aside is counted, and no number of a stranger's unreadable messages opens the breaker."""
    breaker = PoisonBreaker(minimum=2)
    broker = telling(bench)
    bench.worker(Collector(), breaker=breaker)
    for number in range(2):
        broker.tell(UNREADABLE_PARKED, user_id="buoy", reef_id=f"reef-{number}")
    broker.tell(UNREADABLE_PARKED, subscription="other:reef.scores")
    broker.tell(PARKING_FOLDED, user_id="buoy")
    assert bench.metrics.value(table.PARKED, INBOX, "unreadable") == 2
    assert bench.metrics.value(table.PARKED_FOLDED, INBOX, "unreadable") == 1
    assert not breaker.open


async def test_garbage_of_many_reefs_from_the_service_that_owns_the_channel_stops_the_consumer(bench: WorkerBench) -> None:
    """Law 8: a bad deployment upstream does not end in the parking, also when nothing of it can be read."""
    broker = telling(bench)
    worker = bench.worker(Collector(), breaker=PoisonBreaker(minimum=4))
    run = asyncio.create_task(worker.run())
    for number in range(4):
        broker.tell(UNREADABLE_PARKED, user_id=UNAUTHENTICATED, reef_id=f"reef-{number}")
    with pytest.raises(TooMuchPoison, match="cannot be read"):
        await asyncio.wait_for(run, 60)
    assert bench.metrics.value(table.POISON_BREAKER_OPEN, INBOX) == 1


async def test_garbage_on_telemetry_never_stops_the_consumer(bench: WorkerBench) -> None:
    broker = telling(bench)
    async with running(bench.worker(Collector(), subscription=channels.INGEST, breaker=PoisonBreaker(minimum=4))):
        for number in range(20):
            broker.tell(UNREADABLE_PARKED, subscription=str(channels.INGEST), user_id=UNAUTHENTICATED, reef_id=f"reef-{number}")
    assert bench.metrics.value(table.PARKED, str(channels.INGEST), "unreadable") == 20
    assert bench.metrics.value(table.POISON_BREAKER_OPEN, str(channels.INGEST)) == 0


@pytest.mark.parametrize("subscription", [channels.SCORING, channels.INGEST], ids=str)
async def test_quota_binds_everybody_on_telemetry_and_else_strangers_alone(
    subscription: Subscription, bench: WorkerBench
) -> None:
    """Law 3: of what the service that owns a channel sends nothing is lost; nor of what only waits behind a parked message."""
    broker = telling(bench)
    senders = senders_to(subscription, BrokerUsers())
    async with running(bench.worker(Collector(), subscription=subscription, senders=senders)) as run:
        while broker.quota is None and not run.done():  # noqa: ASYNC110  # a worker has no event; this only yields to the loop
            await asyncio.sleep(0)
    assert broker.quota is not None
    bound = {user for user in ("ingest", "operator", "scoring", "buoy", None) if broker.quota.binds(user, "bad-body")}
    assert bound == ({"buoy", None} if subscription.is_numbered else {"ingest", "operator", "scoring", "buoy", None})
    assert not broker.quota.binds("buoy", "behind-parked")


async def test_zombie_with_an_old_version_is_refused_and_starts_over(bench: WorkerBench) -> None:
    """Law 5: a row that somebody else wrote meanwhile refuses the unit; the handler then sees the new state."""
    handler = Collector()
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


async def test_reef_that_was_elsewhere_meanwhile_is_loaded_anew_without_a_gap_or_a_refusal(bench: WorkerBench) -> None:
    """Law 7: a reef that went to another process and came back continues from what was done there."""
    handler = Collector()
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


async def test_drain_gives_back_a_message_that_waits_for_its_next_try(bench: WorkerBench) -> None:
    """Law 6: the drain does not wait for a backoff; law 8: an interrupted attempt is no attempt."""

    def act(text: str, attempt: int) -> None:
        raise TransientError("away")

    handler = Collector(act)
    await bench.send("a", "a0")
    worker = bench.worker(handler, backoff=Backoff(first_seconds=3600, max_seconds=3600))
    async with running(worker):
        await handler.until(lambda: bool(handler.attempts))
    healthy = Collector()
    async with running(bench.worker(healthy)):
        out = await bench.received(1)
    assert out[0].body == b"a0"


async def test_what_a_message_counts_is_counted_once_however_often_it_is_tried(bench: WorkerBench) -> None:
    """Law 4 for figures: an attempt whose commit was refused has counted nothing."""
    counted: list[str] = []

    class Counting(Collector):
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
