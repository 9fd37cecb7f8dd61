"""A fresh broker and the services as separate processes on it, with the load's reefs registered."""

import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg

from load import Load
from reefmesh.contracts import channels
from reefmesh.contracts.services import INGEST
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.mesh_processes import MeshProcesses
from reefmesh_components.postgresql import postgresql_server
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import Stores, open_stores

SCORES_EXIT: Final = f"/topic/VirtualTopic.{channels.SCORES}"
ALERTS_EXIT: Final = f"/topic/VirtualTopic.{channels.ALERTS}"
"""Heard as topics: a durable queue more, with a write to disk for every acknowledgement, would be measured too."""
HEAP: Final = "1g"
ENVIRONMENT: Final = {"REEFMESH_LOG_LEVEL": "warning"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """``store`` is ``sqlite`` (a file each) or ``postgresql`` (a database of this run's own, a schema each); ``lanes`` of each
    service, None: as many as the services take by themselves; ``tls``: between services and broker; ``subscriptions``: in the
    broker's address, None: not named there."""

    store: str
    lanes: int | None
    tls: bool = False
    subscriptions: int | None = None

    def environment(self) -> dict[str, str]:
        return ENVIRONMENT | ({} if self.lanes is None else {"REEFMESH_LANES": str(self.lanes)})

    def broker_url(self, broker: ActivemqProcess, user: str) -> str:
        """Return the address that a service is given."""
        parameters = "" if self.subscriptions is None else f"subscriptions={self.subscriptions}"
        return broker.url(user, tls=self.tls, parameters=parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshUnderLoad:
    broker: ActivemqProcess
    services: MeshProcesses
    stores: Stores

    def pids(self) -> dict[str, int]:
        """Return the process id of everything that runs, the broker included."""
        pids = {process.name.removesuffix("-1"): process.pid for process in self.services.processes}
        pids["broker"] = self.broker.pid
        return {name: pid for name, pid in pids.items() if pid is not None}


@asynccontextmanager
async def mesh_under_load(load: Load, *, setup: Setup) -> AsyncIterator[MeshUnderLoad]:
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reefmesh-bench-")))
        broker = stack.enter_context(local_activemq(heap=HEAP))
        store_url = await stack.enter_async_context(_database()) if setup.store == "postgresql" else None
        services = stack.enter_context(
            MeshProcesses(
                home,
                broker_url_of=partial(setup.broker_url, broker),
                store_url=store_url,
                environment=setup.environment(),
            )
        )
        services.start(scoring=1)
        stores = await stack.enter_async_context(open_stores(Home(path=home, broker_url=broker.url(), store_url=store_url)))
        await Register(stores[INGEST]).upsert(reefs=load.reef_entries(), buoys=load.buoy_entries())
        yield MeshUnderLoad(broker=broker, services=services, stores=stores)
        codes = services.drain()
        if any(codes.values()):
            raise RuntimeError(f"a service did not drain: {codes}")


@asynccontextmanager
async def _database() -> AsyncIterator[str]:
    """A database that nobody else uses, dropped afterwards."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with postgresql_server() as server:
        await _execute(server.url, f'CREATE DATABASE "{name}"')
        try:
            address, mark, parameters = server.url.partition("?")
            yield f"{address.rpartition('/')[0]}/{name}{mark}{parameters}"
        finally:
            await _execute(server.url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
