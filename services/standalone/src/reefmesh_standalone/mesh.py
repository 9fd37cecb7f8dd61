"""The whole mesh in one process: every service of the list on one broker client."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker
from reefmesh.clock import Clock
from reefmesh.contracts.schema import SCORES_2
from reefmesh.contracts.services import SCORING, SERVICES, ServiceEntry, subscriptions_of
from reefmesh.observability.broker_events import broker_event_log
from reefmesh.observability.health import Health
from reefmesh.observability.http import PageRoute
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Assembled, assemble
from reefmesh.service.program import load_program
from reefmesh.service.stamps import require_stamps
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store
from reefmesh_standalone.home import Home

POLL_SECONDS: Final = 0.05

ONE_VERSION: Final[Mapping[ServiceEntry, Mapping[str, Any]]] = {SCORING: {"scores_schema": SCORES_2}}
"""In one process the consumers of a body are of its producer's version, so the newest major can be published."""

Stores = Mapping[ServiceEntry, Store]
"""The database of each service that has one, for reading: only a service itself writes to its database, and ``repair``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """The services, upstream first, assembled and not yet running."""

    broker: Broker
    services: Mapping[ServiceEntry, Assembled]

    @property
    def healths(self) -> list[Health]:
        return [each.health for each in self.services.values()]

    @property
    def metrics(self) -> list[Metrics]:
        return [each.metrics for each in self.services.values()]

    @property
    def routes(self) -> list[PageRoute]:
        return [route for each in self.services.values() for route in each.routes]

    @property
    def stores(self) -> Stores:
        return {entry: each.store for entry, each in self.services.items() if entry.has_database}

    async def run(self, stop: asyncio.Event) -> None:
        """Run all services until ``stop``; each drains by itself. When one ends by a fault, the others drain too."""
        together = asyncio.Event()

        async def run_one(assembled: Assembled) -> None:
            try:
                await assembled.service.run(together)
            finally:
                together.set()

        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(_pass_on(stop, together))
            running = [tasks.create_task(run_one(each), name=each.service.name) for each in self.services.values()]
            await asyncio.wait(running)
            waiting.cancel()

    async def until_idle(self, *, stop: asyncio.Event, ended: asyncio.Event) -> bool:
        """Wait until no message waits for a service or is in its hands; False when ``stop`` or the mesh's end came first.

        Only for an engine that sees all of its queues at one instant, as the embedded one does.
        """
        subscriptions = subscriptions_of(tuple(self.services))
        while not stop.is_set() and not ended.is_set():
            known = (await self.broker.statistics()).subscriptions
            if not any(known[each].waiting_messages or known[each].in_flight_messages for each in subscriptions):
                return True
            await is_set_within(stop, POLL_SECONDS)
        return False


async def _pass_on(stop: asyncio.Event, together: asyncio.Event) -> None:
    await stop.wait()
    together.set()


@asynccontextmanager
async def open_mesh(
    home: Home,
    *,
    clock: Clock,
    config: Path | None = None,
    services: Sequence[ServiceEntry] = SERVICES,
    overrides: Mapping[ServiceEntry, Mapping[str, Any]] | None = None,
) -> AsyncIterator[Mesh]:
    """Connect to the broker, declare every subscription and put the services together.

    ``overrides``: settings of single services that win over file and environment.

    Raises:
        ConfigurationError: a setting, the home, the broker's or a database's address is wrong.
        TransientError: the broker or a database cannot be reached.
    """
    plans = {}
    for entry in services:  # every mistake in the settings is reported before anything is made or opened
        program = load_program(entry)
        given = {**addresses(home, entry), **ONE_VERSION.get(entry, {}), **(overrides or {}).get(entry, {})}
        settings = program.settings.load(config=config, overrides=given, services=services)
        plans[entry] = (program.blueprint(settings), settings)
    broker = open_broker(home.broker_address(), clock=clock)
    home.create()
    async with AsyncExitStack() as stack:
        broker.on_event(broker_event_log())
        stack.push_async_callback(broker.close)
        await broker.connect()
        await broker.declare(subscriptions_of(services))
        roles = [entry.name for entry in services]
        await require_stamps(broker, roles[0])
        assembled = {
            entry: await stack.enter_async_context(assemble(blueprint, settings, broker=broker, clock=clock, roles=roles))
            for entry, (blueprint, settings) in plans.items()
        }
        yield Mesh(broker=broker, services=assembled)


def addresses(home: Home, entry: ServiceEntry) -> dict[str, Any]:
    """Return the settings of one service that the home decides."""
    store = {"store_url": home.store_address(entry.name)} if entry.has_database else {}
    return {"broker_url": home.broker_address(), **store}


@asynccontextmanager
async def open_stores(home: Home, *, services: Sequence[ServiceEntry] = SERVICES) -> AsyncIterator[Stores]:
    """Open the database of each service, beside a mesh that is up or without one."""
    async with AsyncExitStack() as stack:
        stores: dict[ServiceEntry, Store] = {}
        for entry in services:
            if entry.has_database:
                store = open_store(home.store_address(entry.name), migrations=load_program(entry).migrations)
                stack.push_async_callback(store.close)
                await store.open()
                stores[entry] = store
        yield stores
