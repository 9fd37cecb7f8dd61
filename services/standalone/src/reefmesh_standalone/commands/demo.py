"""``reefmesh demo``: sends a simulated fleet's telemetry through the whole mesh and shows the results."""

import asyncio
import shlex
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from reefmesh.clock import Clock, SystemClock
from reefmesh.contracts import services
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Parts
from reefmesh_alerts.bootstrap import lone_ticker
from reefmesh_alerts.queries import export_alerts
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_alerts.ticker import Ticker
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.register.table import Register
from reefmesh_scoring.queries import latest_scores
from reefmesh_standalone.commands.context import (
    BrokerOption,
    ConfigOption,
    HomeOption,
    JoinOption,
    JsonOption,
    Outcome,
    StoreOption,
    home_or_scratch,
    print_json,
    refuse_unfinished,
    results,
    run,
)
from reefmesh_standalone.commands.demo_pages import served_sites, show_until_stopped
from reefmesh_standalone.commands.demo_report import Outcomes, document, fleet_table, show
from reefmesh_standalone.commands.progress import bars
from reefmesh_standalone.following import Follower
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import addresses
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import MeshSession, mesh_session
from reefmesh_standalone.simulator.arrivals import Arrival
from reefmesh_standalone.simulator.fleet import ON_THE_WAY, Fleet, demonstration
from reefmesh_standalone.simulator.late_clock import LateClock
from reefmesh_standalone.simulator.registering import register_sites

STEP: Final = timedelta(hours=3)
"""How often an agent sends."""
UNDER_WAY: Final = 1_000
"""Messages in the mesh at a time. For each message that it dispatches, ActiveMQ goes through all that wait: a longer
queue of only nine reefs would be slow."""
NO_LOOK_SECONDS: Final = 86_400.0
"""The demonstration checks deadlines itself, once all earlier telemetry is through the mesh."""


def demo(
    days: Annotated[int, typer.Option(min=120, max=400, help="Days of the fleet's life.")] = 126,
    seed: Annotated[str, typer.Option(help="Another seed, another sea.")] = "reefmesh",
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="The end of the fleet's life, UTC; now, unless given."),
    ] = None,
    join: JoinOption = False,
    clock_file: Annotated[
        Path | None, typer.Option(help="With --join: where those services read the demonstration's time.", hidden=True)
    ] = None,
    pages: Annotated[
        bool | None,
        typer.Option("--pages/--no-pages", help="Serve the sites, and stay until Ctrl-C. Without either: on a terminal."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="With --pages: port of the pages; 0: any free one.", show_default="8080, or any"),
    ] = None,
    home: HomeOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a fleet through the whole mesh, then show reefs, alerts and the accounting.

    Nine reefs, both Nemo-Pi generations and our own format: heat waves, a buoy that is offline for three weeks and then
    sends its backlog, duplicates, reordering, a clock at 1970, dead probes, a wrong unit, a buoy that falls silent, and one
    that nobody registered.

    Without --home (or REEFMESH_HOME) the mesh lives in a folder that is removed afterwards. On a terminal the sites are served
    meanwhile, and until Ctrl-C.
    Exit code 0 means that every message is accounted for.

    Examples:
      reefmesh demo
      reefmesh demo --pages --port 9000
      reefmesh demo --json | jq .accounting
      reefmesh demo --seed monday --until 2026-11-01
      reefmesh demo --home ~/reefs && reefmesh status --home ~/reefs
    """
    now = datetime.now(UTC).replace(microsecond=0)
    ends_at = until.replace(tzinfo=UTC) if until else now
    if ends_at > now:
        raise typer.BadParameter(
            f"{ends_at:%Y-%m-%dT%H:%M:%S} is still to come: name an instant before now", param_hint="--until"
        )
    with home_or_scratch(home, broker, store, config, purpose="demo") as place:
        clock = LateClock(SystemClock(), told=clock_file)
        fleet = demonstration(ends_at, seed=seed, days=days)
        served = _is_served(pages, place, join=join, as_json=as_json)
        run(
            lambda stop: demonstrate(place, clock, config, fleet, stop, join=join, pages=served, port=port, as_json=as_json),
            alerts_in_log=False,
        )


def _is_served(asked: bool | None, place: Home, *, join: bool, as_json: bool) -> bool:
    """Return whether the sites are served: if nobody said, where a person sits in front of the mesh that runs here."""
    has_dashboard = place.embedded and not join
    if asked and not has_dashboard:
        raise typer.BadParameter(
            "the mesh at that broker has pages of its own: 'reefmesh up' and 'make up' say where", param_hint="--pages"
        )
    return has_dashboard and not as_json and results().is_terminal if asked is None else asked


async def demonstrate(
    place: Home,
    clock: LateClock,
    config: Path | None,
    fleet: Fleet,
    stop: asyncio.Event,
    *,
    join: bool = False,
    pages: bool = False,
    port: int | None = None,
    as_json: bool = False,
) -> None:
    """Send the fleet's telemetry through the mesh and show what came of it; with ``pages`` stay until ``stop``.

    Raises:
        Outcome: not all of it went through, or not all of it is accounted for.
        ConfigurationError: a setting, the home or the port is wrong.
    """
    if not as_json:
        results().print(fleet_table(fleet))
    no_own_ticks = {services.ALERTS: {"tick_grace_seconds": NO_LOOK_SECONDS}}
    running = mesh_session(place, clock=clock, run_services=not join, config=config, overrides=no_own_ticks, pages=pages)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(running)
        sites = None
        if pages and session.mesh is not None:
            sites = await stack.enter_async_context(served_sites(session.mesh, port=port))
        ticker = _ticker_beside(place, session, clock, config)
        await register_sites(Register(session.stores[services.INGEST]), fleet.sites)
        before = await accounting(session.stores[services.INGEST])
        arrivals = fleet.arrivals()
        with bars(quiet=as_json) as add:
            sent, done = add("telemetry sent", len(arrivals)), add("through the mesh", len(arrivals))
            for part, heard_at in _in_steps(arrivals, fleet):
                clock.go_to(heard_at)
                complete = await _pass_through(session, arrivals[part], part.start, sent, done, stop)
                refuse_unfinished(complete, session, kept="the fleet's telemetry did not all go through the mesh.")
                await ticker.look_once()
        outcomes = Outcomes(
            scores=await latest_scores(session.stores[services.SCORING]),
            alerts=[each async for each in export_alerts(session.stores[services.ALERTS])],
            books=await accounting(session.stores[services.INGEST]),
            sent=len(arrivals),
            received_before=before.messages.received,
            at=clock.now(),
        )
        if as_json:
            print_json(document(fleet, outcomes))
        else:
            show(results(), fleet, outcomes)
        if sites is not None and session.mesh is not None:
            await show_until_stopped(session.mesh, sites, stop=stop, ended=session.ended)
        elif not as_json and not join:
            results().print(_where_to_look(place, is_up=session.mesh is None), soft_wrap=True)
    if outcomes.unexplained or outcomes.books.discrepancies:
        raise Outcome(1)


def _where_to_look(place: Home, *, is_up: bool) -> str:
    """Return how to see the sites in a browser: this demonstration ends now. ``is_up``: it was sent to a mesh that goes on."""
    if is_up:
        return f"The sites are where 'reefmesh up' of {place.path} said."
    if place.temporary or not place.embedded:
        return "To see the sites in a browser: reefmesh demo --pages (make demo ARGS=--pages)"
    return f"To see the sites in a browser: reefmesh up --home {shlex.quote(str(place.path))}"


def _in_steps(arrivals: Sequence[Arrival], fleet: Fleet) -> Iterator[tuple[slice, datetime]]:
    """Yield spans of the arrivals, in order, and the time at which the mesh receives each.

    All before the last two days is a replay: it does not show what is silent or stale today. Through those two days
    the mesh lives step by step, with its clock at each, so that alerts come as they would in the field.
    """
    received = [arrival.received_at for arrival in arrivals]
    heard_at = fleet.silence_at + ON_THE_WAY
    first = 0
    while first < len(arrivals):
        last = bisect_right(received, heard_at)
        if last > first:
            yield slice(first, last), heard_at
        first, heard_at = last, heard_at + STEP


async def _pass_through(
    session: MeshSession,
    arrivals: Sequence[Arrival],
    first: int,
    sent: Callable[[int], None],
    done: Callable[[int], None],
    stop: asyncio.Event,
) -> bool:
    """Send these, of which ``first`` went before, and follow them to the end of the mesh; False when stopped before."""
    messages = [arrival.envelope() for arrival in arrivals]
    for start in range(0, len(messages), UNDER_WAY):
        part, before = messages[start : start + UNDER_WAY], first + start
        follower = Follower(session.stores, [(message.event_id, message.reef_id) for message in part])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send_all(session.broker, part, report=_onward(sent, before), stop=stop))
            following = tasks.create_task(follower.until_done(_onward(done, before), stop=stop, ended=session.ended))
        if not following.result():
            return False
    return True


def _onward(report: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda count: report(before + count)


def _ticker_beside(place: Home, session: MeshSession, clock: Clock, config: Path | None) -> Ticker:
    """Return a ticker of our own beside that of the alerts service, wherever it runs; the version fence keeps the two apart.

    Raises:
        ConfigurationError: a setting of alerts is wrong.
    """
    settings = AlertsSettings.load(config=config, overrides=addresses(place, services.ALERTS))
    store = session.stores[services.ALERTS]
    return lone_ticker(settings, Parts(store=store, broker=session.broker, clock=clock, metrics=Metrics("alerts")))
