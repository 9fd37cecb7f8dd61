"""The demonstration's fleet, lived through from its first day to its last: every report arrives at its time, and the alerts
service looks at its deadlines before and after. ``reefmesh demo`` replays all but the last two days."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.contracts.alerts import Alert
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Parts
from reefmesh_alerts.bootstrap import lone_ticker
from reefmesh_alerts.queries import export_alerts
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.commands.demo import NO_LOOK_SECONDS
from reefmesh_standalone.following import Follower
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import addresses
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import MeshSession, mesh_session
from reefmesh_standalone.simulator.arrivals import Arrival
from reefmesh_standalone.simulator.fleet import Fleet
from reefmesh_standalone.simulator.late_clock import LateClock
from reefmesh_standalone.simulator.registering import register_sites

TOGETHER: Final = timedelta(minutes=1)
"""Reports with less between them are handled at one instant."""

LOOK_EVERY_SECONDS: Final = 0.002


async def alerts_of(fleet: Fleet, *, report: Callable[[int, int], None]) -> list[Alert]:
    """Return the ledger after the whole life of the fleet; ``report`` is called with (messages through the mesh, all)."""
    arrivals = fleet.arrivals()
    clock = LateClock(SystemClock())
    clock.go_to(fleet.begins_at)
    through = 0
    with TemporaryDirectory(prefix="reefmesh-year-") as folder:
        home = Home(path=Path(folder))
        own_ticks = {services.ALERTS: {"tick_grace_seconds": NO_LOOK_SECONDS}}
        async with mesh_session(home, clock=clock, overrides=own_ticks) as session:
            store = session.stores[services.ALERTS]
            settings = AlertsSettings.load(config=None, overrides=addresses(home, services.ALERTS))
            parts = Parts(store=store, broker=session.broker, clock=clock, metrics=Metrics("alerts"))
            ticker = lone_ticker(settings, parts)
            await register_sites(Register(session.stores[services.INGEST]), fleet.sites)
            for together in clusters(arrivals):
                clock.go_to(together[-1].received_at)
                await ticker.look_once()
                await _pass_through(session, together)
                await ticker.look_once()
                through += len(together)
                report(through, len(arrivals))
            return [each async for each in export_alerts(store)]


def clusters(arrivals: Sequence[Arrival]) -> Iterator[Sequence[Arrival]]:
    """Yield the arrivals, in order, those together that come within a minute of one another."""
    first = 0
    for place in range(1, len(arrivals) + 1):
        if place == len(arrivals) or arrivals[place].received_at - arrivals[place - 1].received_at >= TOGETHER:
            yield arrivals[first:place]
            first = place


async def _pass_through(session: MeshSession, together: Sequence[Arrival]) -> None:
    messages = [each.envelope() for each in together]
    follower = Follower(session.stores, [(message.event_id, message.reef_id) for message in messages])
    stop = asyncio.Event()
    await send_all(session.broker, messages, report=lambda _: None, stop=stop)
    if not await follower.until_done(lambda _: None, stop=stop, ended=session.ended, look_every_seconds=LOOK_EVERY_SECONDS):
        raise RuntimeError("the mesh ended by a fault")
