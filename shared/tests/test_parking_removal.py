"""Law 14: what was set aside leaves the parking for its age, counted and logged; nothing else does."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from reefmesh.broker.connect import open_broker
from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import Broker, BrokerUnavailable, Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service import parking_removal
from reefmesh.service.assembly import Blueprint, assemble
from reefmesh.service.handler import Change
from reefmesh.service.parking_removal import MESSAGES_AT_ONCE, ParkingRemoval
from reefmesh.settings import ServiceSettings

START = datetime(2026, 3, 1, tzinfo=UTC)
PLAIN = Subscription("alpha", Channel("test.plain", numbered=False))
NUMBERED = Subscription("alpha", Channel("test.numbered", numbered=True))
PATIENCE_SECONDS = 60.0


@pytest.fixture
async def broker(clock: ManualClock) -> AsyncIterator[Broker]:
    made = open_broker("embedded://", clock=clock)
    await made.connect()
    await made.declare([PLAIN, NUMBERED])
    yield made
    await made.close()


def publication(subscription: Subscription, number: int) -> Publication:
    message = Envelope(
        event_id=f"e{number}", reef_id=f"reef-{number}", schema_id="test/1", produced_at=START, body=b"{}", seq=1
    )
    return Publication(channel=subscription.channel.name, message=message)


async def park(broker: Broker, subscription: Subscription, count: int, *, reason: str = "bad-body") -> None:
    await broker.publish([publication(subscription, number) for number in range(count)])
    consumer = broker.consumer(subscription, lanes=1)
    await consumer.start()
    for _ in range(count):
        delivery = await consumer.lanes[0].receive()
        assert delivery is not None
        await consumer.lanes[0].park(delivery, reason=reason, detail="", attempts=1)
    await consumer.drain()


def removal_of(broker: Broker, clock: ManualClock, metrics: Metrics) -> ParkingRemoval:
    quota = ParkingQuota(age_limit=timedelta(days=30))
    return ParkingRemoval(subscription=PLAIN, broker=broker, quota=quota, clock=clock, metrics=metrics)


async def parked(broker: Broker, subscription: Subscription = PLAIN) -> int:
    return len(await broker.parking(subscription).list(limit=10_000))


async def test_old_messages_leave_a_few_at_a_time_counted_by_reason_and_logged(broker: Broker, clock: ManualClock) -> None:
    metrics = Metrics("alpha")
    await park(broker, PLAIN, MESSAGES_AT_ONCE + 5, reason="forged")
    clock.advance(timedelta(days=30))
    removal = removal_of(broker, clock, metrics)
    assert 0 == await removal.remove_some()
    await park(broker, PLAIN, 1)
    clock.advance(timedelta(seconds=1))
    with capture_logs() as lines:
        assert [MESSAGES_AT_ONCE, 5, 0] == [await removal.remove_some() for _ in range(3)]
    assert 1 == await parked(broker)
    assert MESSAGES_AT_ONCE + 5 == metrics.value(table.PARKED_REMOVED, str(PLAIN), "forged")
    assert [MESSAGES_AT_ONCE, 5] == [line["messages"] for line in lines if line["reason"] == "forged"]


class Away:
    """Stands for a broker that comes back after the second time that it is asked."""

    def __init__(self) -> None:
        self.times = 0
        self.is_back = asyncio.Event()

    def parking(self, _: Subscription) -> "Away":
        return self

    async def remove_old(self, _: ParkingQuota, *, now: datetime, limit: int) -> Mapping[str, int]:
        self.times += 1
        if self.times <= 2:
            raise BrokerUnavailable("away")
        self.is_back.set()
        return {}


async def test_broker_that_is_away_only_delays_it(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking_removal, "INTERVAL_SECONDS", 0.001)
    away, stop = Away(), asyncio.Event()
    running = asyncio.create_task(removal_of(cast(Broker, away), clock, Metrics("alpha")).run(stop))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await away.is_back.wait()
        stop.set()
        await running


class Noting:
    """Says when it has handled a message."""

    def __init__(self) -> None:
        self.handled = asyncio.Event()

    async def load(self, reef_id: str, state: bytes | None) -> None:
        return None

    def dump(self, state: None) -> bytes:
        return b""

    async def handle(self, message: Envelope, state: None) -> Change[None]:
        return Change(state=None, committed=self.handled.set)


@pytest.mark.parametrize(
    ("options", "days", "left"),
    [
        ({}, 31, {PLAIN: 0, NUMBERED: 2}),
        ({}, 366, {PLAIN: 0, NUMBERED: 0}),
        ({"parking_age_limit_days": 0}, 366, {PLAIN: 2, NUMBERED: 0}),
        ({"parking_own_age_limit_days": 0}, 366, {PLAIN: 0, NUMBERED: 2}),
        ({"poison_policy": "park"}, 366, {PLAIN: 2, NUMBERED: 2}),
    ],
)
async def test_service_removes_by_its_settings_and_nothing_that_a_reef_waits_for(
    options: dict[str, Any],
    days: int,
    left: dict[Subscription, int],
    broker: Broker,
    clock: ManualClock,
) -> None:
    """On an engine without logins whoever sends on a numbered channel is its owner. With the policy ``park`` a reef stands
    until its message is replayed, so that message stays."""
    for subscription in left:
        await park(broker, subscription, 2)
    clock.advance(timedelta(days=days))
    handler = Noting()
    blueprint = Blueprint(name="alpha", handlers=dict.fromkeys(left, lambda _: handler))
    settings = ServiceSettings(broker_url="embedded://", store_url="sqlite://", lanes=1, **options)
    async with assemble(blueprint, settings, broker=broker, clock=clock) as assembled:
        stop = asyncio.Event()
        running = asyncio.create_task(assembled.service.run(stop))
        await broker.publish([publication(PLAIN, 7)])
        async with asyncio.timeout(PATIENCE_SECONDS):
            await handler.handled.wait()
            stop.set()
            assert await running
    assert left == {subscription: await parked(broker, subscription) for subscription in left}
