"""What store and broker count themselves reaches the scrape, and counters only rise."""

from typing import Any, cast

from reefmesh.broker.port import Broker, BrokerStatistics, SubscriptionStatistics
from reefmesh.contracts.channels import SCORING
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.observability.sampling import Sampling
from reefmesh.store.port import Store, StoreStatistics

NAME = str(SCORING)


class Counting:
    """Stands for a store and a broker: only their statistics are asked."""

    def __init__(self, statistics: Any) -> None:
        self.seen = statistics


class CountingStore(Counting):
    def statistics(self) -> Any:
        return self.seen


class CountingBroker(Counting):
    async def statistics(self) -> Any:
        return self.seen


def broker_seen(*, reconnects: int, waiting: int | None, age_seconds: float | None) -> BrokerStatistics:
    own = SubscriptionStatistics(
        waiting_messages=waiting, in_flight_messages=1, oldest_age_seconds=age_seconds, lanes=32, lanes_busy=1
    )
    return BrokerStatistics(
        connected=True, last_heard_seconds=0.5, publishes_in_flight=0, reconnects=reconnects, subscriptions={SCORING: own}
    )


def store_seen(commits: int, units: int) -> StoreStatistics:
    return StoreStatistics(
        units_waiting=4, commits=commits, units=units, units_per_commit_max=9, commit_seconds=commits / 100, failures=2
    )


def store_totals(metrics: Metrics) -> tuple[float, float, float]:
    return metrics.value(table.STORE_COMMITS), metrics.value(table.STORE_UNITS), metrics.value(table.RECONNECTS)


async def test_sampling_follows_totals_and_gauges() -> None:
    metrics = Metrics("scoring")
    store = CountingStore(store_seen(10, 50))
    broker = CountingBroker(broker_seen(reconnects=1, waiting=7, age_seconds=3.5))
    sampling = Sampling(
        metrics,
        store=cast(Store, store),
        broker=cast(Broker, broker),
        progress=Progress(),
        reefs_cached={SCORING: lambda: 12},
    )
    await sampling.sample()
    assert store_totals(metrics) == (
        10,
        50,
        1,
    )
    assert metrics.value(table.OLDEST_MESSAGE_AGE_SECONDS, NAME) == 3.5
    store.seen = store_seen(15, 60)
    broker.seen = broker_seen(reconnects=0, waiting=0, age_seconds=None)  # a new client counts from 0
    await sampling.sample()
    assert store_totals(metrics) == (
        15,
        60,
        1,
    )
    assert (metrics.value(table.MESSAGES_WAITING, NAME), metrics.value(table.OLDEST_MESSAGE_AGE_SECONDS, NAME)) == (0, 0)
    assert (metrics.value(table.LANES, NAME), metrics.value(table.REEFS_CACHED, NAME)) == (32, 12)


async def test_engine_that_sees_only_what_is_in_hand_tells_its_age() -> None:
    metrics = Metrics("scoring")
    broker = CountingBroker(broker_seen(reconnects=0, waiting=None, age_seconds=42.0))
    sampling = Sampling(
        metrics,
        store=cast(Store, CountingStore(store_seen(0, 0))),
        broker=cast(Broker, broker),
        progress=Progress(),
        reefs_cached={SCORING: lambda: 0},
    )
    await sampling.sample()
    assert metrics.value(table.OLDEST_MESSAGE_AGE_SECONDS, NAME) == 42
    broker.seen = broker_seen(reconnects=0, waiting=None, age_seconds=None)
    await sampling.sample()
    assert metrics.value(table.OLDEST_MESSAGE_AGE_SECONDS, NAME) == 0


async def test_engine_that_cannot_tell_leaves_the_gauge_alone() -> None:
    metrics = Metrics("scoring")
    metrics.set(table.MESSAGES_WAITING, 5, NAME)
    sampling = Sampling(
        metrics,
        store=cast(Store, CountingStore(store_seen(0, 0))),
        broker=cast(Broker, CountingBroker(broker_seen(reconnects=0, waiting=None, age_seconds=None))),
        progress=Progress(),
        reefs_cached={SCORING: lambda: 0},
    )
    await sampling.sample()
    assert metrics.value(table.MESSAGES_WAITING, NAME) == 5
