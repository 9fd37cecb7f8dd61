"""What others count themselves (``statistics()`` of store, broker and lanes), brought into the metrics at each scrape."""

from collections.abc import Callable

from reefmesh.broker.port import Broker
from reefmesh.contracts.channels import Subscription
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.observability.table import Counter
from reefmesh.store.port import Store


class Sampling:
    """Give ``sample`` to ``Metrics.add_sampler``. What an engine cannot tell (None) keeps its last value."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        store: Store,
        broker: Broker,
        subscription: Subscription,
        progress: Progress,
        reefs_cached: Callable[[], int],
    ) -> None:
        self._metrics = metrics
        self._store = store
        self._broker = broker
        self._subscription = subscription
        self._progress = progress
        self._reefs_cached = reefs_cached
        self._totals: dict[str, float] = {}

    async def sample(self) -> None:
        name = str(self._subscription)
        self._metrics.set(table.LANES_STUCK, sum(held.subscription == name for held in self._progress.stuck()), name)
        self._metrics.set(table.REEFS_CACHED, self._reefs_cached(), name)
        self._sample_store()
        await self._sample_broker(name)

    def _sample_store(self) -> None:
        seen = self._store.statistics()
        self._metrics.set(table.STORE_UNITS_WAITING, seen.units_waiting)
        self._raise_to(table.STORE_COMMITS, seen.commits)
        self._raise_to(table.STORE_COMMIT_SECONDS, seen.commit_seconds)
        self._raise_to(table.STORE_UNITS, seen.units)
        self._raise_to(table.STORE_FAILURES, seen.failures)

    async def _sample_broker(self, name: str) -> None:
        seen = await self._broker.statistics()
        self._metrics.set(table.BROKER_CONNECTED, int(seen.connected))
        self._raise_to(table.RECONNECTS, seen.reconnects)
        if seen.last_heard_seconds is not None:
            self._metrics.set(table.BROKER_LAST_HEARD_SECONDS, seen.last_heard_seconds)
        own = seen.subscriptions.get(self._subscription)
        if own is None:
            return
        self._metrics.set(table.LANES, own.lanes, name)
        # No age: nothing waits, or nothing is in hand where the engine sees no more than that.
        self._metrics.set(table.OLDEST_MESSAGE_AGE_SECONDS, own.oldest_age_seconds or 0.0, name)
        if own.waiting_messages is not None:
            self._metrics.set(table.MESSAGES_WAITING, own.waiting_messages, name)

    def _raise_to(self, row: Counter, total: float) -> None:
        """Add what the total grew by; one that fell belongs to a client that started anew."""
        before = self._totals.get(row.name, 0.0)
        self._totals[row.name] = total
        self._metrics.count(row, amount=total - before if total >= before else total)
