"""The whole mesh in one process: three services on one broker client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker
from reefmesh.clock import Clock
from reefmesh.contracts import channels
from reefmesh.observability.broker_events import log_broker_event
from reefmesh.observability.health import Health
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Assembled, Parts, assemble
from reefmesh.service.stop_event import is_set_within
from reefmesh.settings import ServiceSettings
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store
from reefmesh_alerts import bootstrap as alerts
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_alerts.ticker import Ticker
from reefmesh_ingest import bootstrap as ingest
from reefmesh_ingest.settings import IngestSettings
from reefmesh_scoring import bootstrap as scoring
from reefmesh_scoring.settings import ScoringSettings
from reefmesh_standalone.home import Home

POLL_SECONDS: Final = 0.05

Kind = TypeVar("Kind", bound=ServiceSettings)

SUBSCRIPTIONS: Final = (channels.INGEST, channels.SCORING, channels.ALERTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The three databases, for those who look: nothing of another service is written through them."""

    ingest: Store
    scoring: Store
    alerts: Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Three services, assembled and not yet running. ``ticker`` looks at alerts' deadlines when it is told to, beside the
    one that the service runs."""

    broker: Broker
    ingest: Assembled
    scoring: Assembled
    alerts: Assembled
    ticker: Ticker

    @property
    def services(self) -> tuple[Assembled, ...]:
        return (self.ingest, self.scoring, self.alerts)

    @property
    def healths(self) -> list[Health]:
        return [each.health for each in self.services]

    @property
    def metrics(self) -> list[Metrics]:
        return [each.metrics for each in self.services]

    @property
    def stores(self) -> Stores:
        return Stores(ingest=self.ingest.store, scoring=self.scoring.store, alerts=self.alerts.store)

    async def run(self, stop: asyncio.Event) -> None:
        """Run all three until ``stop``; each drains by itself. When one ends by a fault, the others drain too."""
        together = asyncio.Event()

        async def run_one(assembled: Assembled) -> None:
            try:
                await assembled.service.run(together)
            finally:
                together.set()

        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(_pass_on(stop, together))
            running = [tasks.create_task(run_one(each), name=each.service.name) for each in self.services]
            await asyncio.wait(running)
            waiting.cancel()

    async def until_idle(self, *, stop: asyncio.Event, ended: asyncio.Event) -> bool:
        """Wait until nothing waits for a service or is in its hands; False when ``stop`` or the mesh's end came first.

        Only for an engine that sees its queues whole: the embedded one does, in one look.
        """
        while not stop.is_set() and not ended.is_set():
            known = (await self.broker.statistics()).subscriptions
            if not any(known[each].waiting_messages or known[each].in_flight_messages for each in SUBSCRIPTIONS):
                return True
            await is_set_within(stop, POLL_SECONDS)
        return False


async def _pass_on(stop: asyncio.Event, together: asyncio.Event) -> None:
    await stop.wait()
    together.set()


@asynccontextmanager
async def open_mesh(home: Home, *, clock: Clock, config: Path | None = None, **overrides: Any) -> AsyncIterator[Mesh]:
    """Connect to the broker, declare every subscription and put the three services together.

    ``overrides`` are settings for the alerts service (``tick_grace_seconds=...``).

    Raises:
        ConfigurationError: a setting, the home, the broker's or a database's address is wrong.
        TransientError: the broker or a database cannot be reached.
    """

    def settings_of(kind: type[Kind], **extra: Any) -> Kind:
        return kind.load(config=config, overrides=addresses(home, kind.SECTION) | extra)

    # Every mistake in the settings is told before anything is made or opened.
    for_ingest, for_scoring = settings_of(IngestSettings), settings_of(ScoringSettings)
    for_alerts = settings_of(AlertsSettings, **overrides)
    blueprints = (ingest.blueprint(for_ingest), scoring.blueprint(for_scoring), alerts.blueprint(for_alerts))
    broker = open_broker(home.broker_address(), clock=clock)
    home.create()
    async with AsyncExitStack() as stack:
        broker.on_event(log_broker_event)
        stack.push_async_callback(broker.close)
        await broker.connect()
        await broker.declare(SUBSCRIPTIONS)
        ingesting, scored, alerting = [
            await stack.enter_async_context(assemble(blueprint, settings, broker=broker, clock=clock))
            for blueprint, settings in zip(blueprints, (for_ingest, for_scoring, for_alerts), strict=True)
        ]
        parts = Parts(store=alerting.store, broker=broker, clock=clock, metrics=alerting.metrics)
        yield Mesh(
            broker=broker, ingest=ingesting, scoring=scored, alerts=alerting, ticker=alerts.lone_ticker(for_alerts, parts)
        )


def ticker_beside(home: Home, stores: Stores, broker: Broker, clock: Clock, config: Path | None = None) -> Ticker:
    """Return a ticker of our own beside an alerts service that runs elsewhere; the version fence keeps the two apart.

    Raises:
        ConfigurationError: a setting of alerts is wrong.
    """
    settings = AlertsSettings.load(config=config, overrides=addresses(home, AlertsSettings.SECTION))
    return alerts.lone_ticker(settings, Parts(store=stores.alerts, broker=broker, clock=clock, metrics=Metrics("alerts")))


def addresses(home: Home, service: str) -> dict[str, Any]:
    """Return the settings of one service that the home decides."""
    return {"broker_url": home.broker_address(), "store_url": home.store_address(service)}


@asynccontextmanager
async def open_stores(home: Home) -> AsyncIterator[Stores]:
    """Open the three databases beside whoever else uses them."""
    async with AsyncExitStack() as stack:

        async def opened(service: str, migrations: Any) -> Store:
            store = open_store(home.store_address(service), migrations=migrations)
            stack.push_async_callback(store.close)
            await store.open()
            return store

        yield Stores(
            ingest=await opened("ingest", ingest.MIGRATIONS),
            scoring=await opened("scoring", scoring.MIGRATIONS),
            alerts=await opened("alerts", alerts.MIGRATIONS),
        )
