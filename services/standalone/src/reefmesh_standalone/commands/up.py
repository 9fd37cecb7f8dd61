"""``reefmesh up``: the mesh on one machine, until it is stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer

from reefmesh.broker.embedded.errors import JournalOwned
from reefmesh.clock import SystemClock
from reefmesh.contracts.services import EVERY_SERVICE
from reefmesh.errors import ConfigurationError
from reefmesh.observability.http import pages, serve
from reefmesh.observability.logs import LogLevel
from reefmesh.service.start import start_until
from reefmesh_standalone.commands.context import (
    BrokerOption,
    ConfigOption,
    HomeOption,
    HostOption,
    PortOption,
    StoreOption,
    home_of,
    people,
    run,
)
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import Mesh, open_mesh

log = structlog.get_logger()


def up(
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8080,
    log_level: Annotated[LogLevel, typer.Option(help="Least level of what is logged to standard error.")] = "info",
) -> None:
    """Run the whole mesh in one process until stopped.

    Ctrl-C or SIGTERM drain it: what is in hand is finished, nothing is lost. The pages are / (the sites), /api/v1, /health and
    /metrics.

    Examples:
      reefmesh up
      reefmesh up --home /srv/reefmesh --port 9000
      reefmesh up --store postgresql://reefmesh@localhost/reefmesh
    """
    place = home_of(home, broker, store, config)

    async def main(stop: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            async with start_until(stop) as start:
                mesh = await stack.enter_async_context(_sole_mesh(place, config))
                app = pages(mesh.healths, mesh.metrics, routes=mesh.routes)
                # The pages are the process's: counted once, under its first service.
                served = serve(app, host=host, port=port, metrics=mesh.metrics[0])
                address = await stack.enter_async_context(served)
            if start.stopped:
                return
            said = f"reefmesh is up in {place.path}: {address.url}/ (the sites), {address.url}/health, {address.url}/metrics"
            said += " (Ctrl-C drains)"
            people.print(said, soft_wrap=True)  # on one line, for scripts that wait for it
            log.info("mesh up", home=str(place.path), url=address.url)
            await mesh.run(stop)

    run(main, log_level=log_level, serves=True)


@asynccontextmanager
async def _sole_mesh(place: Home, config: Path | None) -> AsyncIterator[Mesh]:
    try:
        async with open_mesh(place, clock=SystemClock(), config=config, services=EVERY_SERVICE) as mesh:
            yield mesh
    except JournalOwned as owned:
        raise ConfigurationError(
            f"a mesh is up in {place.path} already, as process {owned.pid}; stop it first, or give another --home"
        ) from None
