"""The sites of a demonstration in a browser: while it runs, and until somebody has seen enough."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from reefmesh.errors import ConfigurationError
from reefmesh.observability.http import pages, serve
from reefmesh_standalone.commands.context import people
from reefmesh_standalone.mesh import Mesh

USUAL_PORT: Final = 8080
ANY_PORT: Final = 0


@asynccontextmanager
async def served_sites(mesh: Mesh, *, port: int | None) -> AsyncIterator[str]:
    """Serve the pages of the mesh on this machine alone while the context lasts; yield the address of the sites.

    Without a ``port`` it is the usual one, or any other where that one is taken: the demonstration goes on beside a mesh that
    is up.

    Raises:
        ConfigurationError: the port that was asked for cannot be had.
    """
    app = pages(mesh.healths, mesh.metrics, routes=mesh.routes)
    counted = mesh.metrics[0]  # the pages are the process's: counted once, under its first service
    async with AsyncExitStack() as stack:
        try:
            served = serve(app, port=USUAL_PORT if port is None else port, metrics=counted)
            address = await stack.enter_async_context(served)
        except ConfigurationError:
            if port is not None:
                raise
            address = await stack.enter_async_context(serve(app, port=ANY_PORT, metrics=counted))
        yield f"{address.url}/"


async def show_until_stopped(mesh: Mesh, sites: str, *, stop: asyncio.Event, ended: asyncio.Event) -> None:
    """Say where the sites are once they have everything, and stay until ``stop``, or until the mesh has ended by itself."""
    if not await mesh.until_idle(stop=stop, ended=ended):
        return
    people.print(f"The sites of this fleet are at {sites} until Ctrl-C, their API at {sites}api/v1/reefs", soft_wrap=True)
    waits = [asyncio.create_task(stop.wait()), asyncio.create_task(ended.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
