"""A fresh broker and the services as separate processes on it, with the load's reefs registered."""

import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg

from load import Load
from reefmesh.broker.activemq.destinations import channel_topic
from reefmesh.broker.rabbitmq.topology import channel_exchange
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Channel
from reefmesh.contracts.services import INGEST
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.mesh_processes import MeshProcesses
from reefmesh_components.postgresql import postgresql_server
from reefmesh_components.rabbitmq import local_rabbitmq
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import Stores, open_stores

SHARDS: Final = 8
"""Of each subscription on RabbitMQ: enough for the processes of one machine."""
HEAP: Final = "1g"
ENVIRONMENT: Final = {"REEFMESH_LOG_LEVEL": "warning"}


RealBroker = ActivemqProcess | RabbitmqProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """``broker`` is ``activemq`` or ``rabbitmq``; ``store`` is ``sqlite`` (a file each) or ``postgresql`` (a database of this
    run's own, a schema each); ``lanes`` of each service, None: as many as the services take by themselves; ``tls``: between
    services and broker; ``subscriptions``: in the address of ActiveMQ, None: not named there. ``command_of`` a service: what
    Python runs instead of the service's own module, if anything."""

    store: str
    lanes: int | None
    broker: str = "activemq"
    tls: bool = False
    subscriptions: int | None = None
    command_of: Callable[[str], Sequence[str]] = lambda _: ()

    def environment(self) -> dict[str, str]:
        return ENVIRONMENT | ({} if self.lanes is None else {"REEFMESH_LANES": str(self.lanes)})

    def broker_url(self, broker: RealBroker, user: str) -> str:
        """Return the address that a service is given."""
        parameters = "" if self.subscriptions is None else f"subscriptions={self.subscriptions}"
        if self.broker == "rabbitmq":
            parameters = f"shards={SHARDS}"
        return broker.url(user, tls=self.tls, parameters=parameters)

    def place(self, channel: Channel) -> str:
        """Return where the load process publishes to this channel, and where it hears it. It hears a topic: a durable queue
        more, with a write to disk for every acknowledgement, would be measured too."""
        return channel_exchange(channel.name) if self.broker == "rabbitmq" else channel_topic(channel.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshUnderLoad:
    broker: RealBroker
    services: MeshProcesses
    stores: Stores
    setup: Setup

    @property
    def entry(self) -> str:
        """Where telemetry goes."""
        return self.setup.place(channels.TELEMETRY)

    def pids(self) -> dict[str, int]:
        """Return the process id of everything that runs, the broker included."""
        pids = {process.name.removesuffix("-1"): process.pid for process in self.services.processes}
        pids["broker"] = self.broker.pid
        return {name: pid for name, pid in pids.items() if pid is not None}


@asynccontextmanager
async def mesh_under_load(load: Load, *, setup: Setup) -> AsyncIterator[MeshUnderLoad]:
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reefmesh-bench-")))
        broker: RealBroker
        if setup.broker == "rabbitmq":
            broker = stack.enter_context(local_rabbitmq())
        else:
            broker = stack.enter_context(local_activemq(heap=HEAP))
        store_url = await stack.enter_async_context(_database()) if setup.store == "postgresql" else None
        services = stack.enter_context(
            MeshProcesses(
                home,
                broker_url_of=partial(setup.broker_url, broker),
                store_url=store_url,
                environment=setup.environment(),
                command_of=setup.command_of,
            )
        )
        services.start(scoring=1)
        stores = await stack.enter_async_context(
            open_stores(Home(path=home, broker_url=setup.broker_url(broker, "operator"), store_url=store_url))
        )
        await Register(stores[INGEST]).upsert(reefs=load.reef_entries(), buoys=load.buoy_entries())
        yield MeshUnderLoad(broker=broker, services=services, stores=stores, setup=setup)
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
