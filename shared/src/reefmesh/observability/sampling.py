"""Copies what store, broker and workers count themselves (``statistics()``) into the metrics at each scrape."""

from collections import Counter
from collections.abc import Callable, Mapping

from reefmesh.broker.port import Broker, SubscriptionStatistics
from reefmesh.contracts.channels import Subscription
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.observability.table import Counter as CounterRow
from reefmesh.store.port import Store


class Sampling:
    """Give ``sample`` to ``Metrics.add_sampler``. A figure that an engine does not have (None) keeps its last value.

    ``reefs_cached``: for each subscription of the service, how many reefs its worker has at hand.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        store: Store,
        broker: Broker,
        progress: Progress,
        reefs_cached: Mapping[Subscription, Callable[[], int]],
    ) -> None:
        self._metrics = metrics
        self._store = store
        self._broker = broker
        self._progress = progress
        self._reefs_cached = reefs_cached
        self._totals: dict[str, float] = {}

    async def sample(self) -> None:
        stuck = Counter(held.subscription for held in self._progress.stuck())
        for subscription, count in self._reefs_cached.items():
            name = str(subscription)
            self._metrics.set(table.LANES_STUCK, stuck[name], name)
            self._metrics.set(table.REEFS_CACHED, count(), name)
        self._sample_store()
        await self._sample_broker()

    def _sample_store(self) -> None:
        seen = self._store.statistics()
        self._metrics.set(table.STORE_UNITS_WAITING, seen.units_waiting)
        self._raise_to(table.STORE_COMMITS, seen.commits)
        self._raise_to(table.STORE_COMMIT_SECONDS, seen.commit_seconds)
        self._raise_to(table.STORE_UNITS, seen.units)
        self._raise_to(table.STORE_FAILURES, seen.failures)

    async def _sample_broker(self) -> None:
        seen = await self._broker.statistics()
        self._metrics.set(table.BROKER_CONNECTED, int(seen.connected))
        self._raise_to(table.RECONNECTS, seen.reconnects)
        if seen.last_heard_seconds is not None:
            self._metrics.set(table.BROKER_LAST_HEARD_SECONDS, seen.last_heard_seconds)
        for subscription in self._reefs_cached:
            if own := seen.subscriptions.get(subscription):
                self._sample_subscription(str(subscription), own)

    def _sample_subscription(self, name: str, seen: SubscriptionStatistics) -> None:
        self._metrics.set(table.LANES, seen.lanes, name)
        # No age: nothing waits, or nothing is in hand where the engine sees no more than that.
        self._metrics.set(table.OLDEST_MESSAGE_AGE_SECONDS, seen.oldest_age_seconds or 0.0, name)
        if seen.waiting_messages is not None:
            self._metrics.set(table.MESSAGES_WAITING, seen.waiting_messages, name)
        if seen.parked_messages is not None and seen.parked_bytes is not None:
            self._metrics.set(table.PARKING_MESSAGES, seen.parked_messages, name)
            self._metrics.set(table.PARKING_BYTES, seen.parked_bytes, name)

    def _raise_to(self, row: CounterRow, total: float) -> None:
        """Add the growth of a total; a total that fell comes from a client that started anew."""
        before = self._totals.get(row.name, 0.0)
        self._totals[row.name] = total
        self._metrics.count(row, amount=total - before if total >= before else total)
