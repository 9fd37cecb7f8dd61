"""A mesh to send to: one that runs in this process for as long as it is needed, or one that is up already."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reefmesh.broker.connect import open_broker
from reefmesh.broker.embedded.errors import JournalOwned
from reefmesh.broker.port import Broker
from reefmesh.clock import Clock
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import SUBSCRIPTIONS, Mesh, Stores, open_mesh, open_stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Where to publish and where to look. ``mesh`` is the one that runs in this process, if it does; ``ended`` is set when it
    ended by itself."""

    broker: Broker
    stores: Stores
    mesh: Mesh | None
    ended: asyncio.Event


@asynccontextmanager
async def mesh_session(
    home: Home, *, clock: Clock, run_services: bool = True, config: Path | None = None, **overrides: Any
) -> AsyncIterator[Session]:
    """Run the mesh here, or join the one that is up in this home; with ``run_services=False`` only join.

    Leaving the session drains the mesh that runs here. A fault of that mesh sets ``ended`` and is raised on leaving.
    """
    if run_services:
        try:
            async with open_mesh(home, clock=clock, config=config, **overrides) as mesh, _running(mesh) as session:
                yield session
                return
        except JournalOwned:
            pass  # a mesh is up in this home: send to it
    if not home.embedded:
        home.require()  # what becomes of a message is read from the services' databases
    broker = open_broker(home.broker_address(publisher_only=True), clock=clock)
    await broker.connect()
    try:
        # Ours may be the first message ever: without the subscriptions nobody would ever get it.
        await broker.declare(SUBSCRIPTIONS)
        async with open_stores(home) as stores:
            yield Session(broker=broker, stores=stores, mesh=None, ended=asyncio.Event())
    finally:
        await broker.close()


@asynccontextmanager
async def _running(mesh: Mesh) -> AsyncIterator[Session]:
    stop, ended = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        try:
            await mesh.run(stop)
        finally:
            ended.set()

    task = asyncio.create_task(run(), name="mesh")
    try:
        yield Session(broker=mesh.broker, stores=mesh.stores, mesh=mesh, ended=ended)
    finally:
        stop.set()
        await task
