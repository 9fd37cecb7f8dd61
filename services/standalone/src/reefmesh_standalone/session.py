"""A mesh to publish to: one that runs in this process while a command needs it, or one that is up already."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reefmesh.broker.connect import open_broker
from reefmesh.broker.embedded.errors import JournalOwned
from reefmesh.broker.port import Broker
from reefmesh.clock import Clock
from reefmesh.contracts.services import EVERY_SERVICE, SERVICES, ServiceEntry, subscriptions_of
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import Mesh, Stores, open_mesh, open_stores


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSession:
    """Where to publish and which databases to read. ``mesh``: the one that runs in this process, if one does; ``ended`` is set
    when it ended by itself."""

    broker: Broker
    stores: Stores
    mesh: Mesh | None
    ended: asyncio.Event


@asynccontextmanager
async def mesh_session(
    home: Home,
    *,
    clock: Clock,
    run_services: bool = True,
    config: Path | None = None,
    overrides: Mapping[ServiceEntry, Mapping[str, Any]] | None = None,
    pages: bool = False,
) -> AsyncIterator[MeshSession]:
    """Run the mesh here, or join the one that is up in this home; with ``run_services=False`` only join.

    On the embedded broker all services run, so that the dashboard misses nothing; in a temporary home only if somebody looks at
    its ``pages`` before that is deleted. At a broker elsewhere the dashboard does not run: what waits for it there would wait
    until one is run again.

    Services that run at a broker elsewhere do not believe services that run here under another user: join them.

    At the end of the session the mesh that runs here drains. A fault of that mesh sets ``ended``, and is raised at the end.
    """
    if run_services:
        services = EVERY_SERVICE if home.embedded and (pages or not home.temporary) else SERVICES
        try:
            async with (
                open_mesh(home, clock=clock, config=config, services=services, overrides=overrides) as mesh,
                _running(mesh) as session,
            ):
                yield session
                return
        except JournalOwned:
            pass  # a mesh is up in this home: send to it
    if not home.embedded:
        home.require()  # the databases of the services show what became of a message
    broker = open_broker(home.broker_address(publisher_only=True), clock=clock)
    await broker.connect()
    try:
        # Ours may be the first message ever: without subscriptions the broker would drop it.
        await broker.declare(subscriptions_of(SERVICES))
        async with open_stores(home) as stores:
            yield MeshSession(broker=broker, stores=stores, mesh=None, ended=asyncio.Event())
    finally:
        await broker.close()


@asynccontextmanager
async def _running(mesh: Mesh) -> AsyncIterator[MeshSession]:
    stop, ended = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        try:
            await mesh.run(stop)
        finally:
            ended.set()

    task = asyncio.create_task(run(), name="mesh")
    try:
        yield MeshSession(broker=mesh.broker, stores=mesh.stores, mesh=mesh, ended=ended)
    finally:
        stop.set()
        await task
