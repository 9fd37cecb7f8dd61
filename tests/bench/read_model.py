"""The dashboard's read model alone: what a message of readings and one of scores cost it.

The messages are those that ingest and scoring make of the live load. They are made first, then handled by the dashboard's own
handlers and written to its own store as its workers do, many reefs at a time; the broker and the lanes are not in the figures.

usage: python tests/bench/read_model.py [--messages N] [--reefs N] [--store URL] [--profile]
"""

import argparse
import asyncio
import cProfile
import pstats
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

from figures import Figure, show
from load import Load, live_since
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels, services
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability.logs import configure_logging
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Parts
from reefmesh.service.garbage import look_rarely
from reefmesh.service.handler import Change, Handler
from reefmesh.service.reef_cache import Reef, ReefCache
from reefmesh.service.unit_of_work import UnitsOfWork
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store, Unit
from reefmesh_dashboard.bootstrap import MIGRATIONS, PROGRAM
from reefmesh_dashboard.settings import DashboardSettings
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.home import Home
from reefmesh_standalone.sending import send_all
from reefmesh_standalone.session import mesh_session

LANES = 32
WATCHED = (channels.READINGS, channels.SCORES)


@dataclass(frozen=True, slots=True)
class Came:
    channel: str
    message: Envelope


async def made_by(load: Load) -> Sequence[Came]:
    """Return what ingest and scoring publish for a load, in the order in which it came."""
    came: list[Came] = []
    with tempfile.TemporaryDirectory() as folder:
        async with mesh_session(Home(path=Path(folder)), clock=SystemClock()) as session:
            await Register(session.stores[services.INGEST]).upsert(reefs=load.reef_entries(), buoys=load.buoy_entries())
            watchers = [Subscription("bench", channel) for channel in WATCHED]
            await session.broker.declare(watchers)
            everything = asyncio.Event()

            async def watch(watcher: Subscription) -> None:
                consumer = session.broker.consumer(watcher, lanes=1)
                await consumer.start()
                lane = consumer.lanes[0]
                for _ in range(load.messages):
                    delivery = await lane.receive()
                    assert delivery is not None
                    came.append(Came(watcher.channel.name, delivery.message))
                    await lane.settle(delivery, [])
                await consumer.drain()
                await consumer.close()

            async with asyncio.TaskGroup() as tasks:
                for watcher in watchers:
                    tasks.create_task(watch(watcher))
                await send_all(session.broker, list(load.envelopes()), report=lambda _: None, stop=everything)
    return came


class Dashboard:
    """The handlers and units of work of one dashboard; one unit of each reef at a time."""

    def __init__(self, store: Store) -> None:
        settings = DashboardSettings.load(config=None, overrides={"broker_url": "embedded://", "store_url": "sqlite://"})
        parts = Parts(store=store, broker=None, clock=SystemClock(), metrics=Metrics("dashboard"))  # type: ignore[arg-type]
        made = PROGRAM.blueprint(settings).handlers
        self.handlers: dict[str, Handler[Any]] = {at.channel.name: make(parts) for at, make in made.items()}
        self._units = {name: UnitsOfWork(store=store, handler=handler) for name, handler in self.handlers.items()}
        self._reefs: ReefCache[Any] = ReefCache(limit=100_000)

    async def take(self, came: Came) -> None:
        reef = self._reefs.get(came.message.reef_id)
        async with reef.lock:
            await self._units[came.channel].run(reef, self._decide, came)

    async def _decide(self, reef: Reef[Any], state: Any, came: Came) -> tuple[Unit, Change[Any]]:
        reef.fresh = False
        handler, message = self.handlers[came.channel], came.message
        change = await handler.handle(message, state)
        unit = Unit(
            reef_id=message.reef_id,
            inbox=came.channel,
            event_id=message.event_id,
            expected_version=reef.version,
            cursor=reef.cursor.advance(came.channel, message.seq, message.event_id),
            state=handler.dump(change.state),
            writes=change.writes,
            in_inbox=False,
            tried=False,
        )
        return unit, change


async def play(dashboard: Dashboard, messages: Iterable[Came]) -> float:
    """Handle the messages; return the seconds of CPU."""
    waiting = deque(messages)
    cpu = time.process_time()

    async def lane() -> None:
        while waiting:
            await dashboard.take(waiting.popleft())

    async with asyncio.TaskGroup() as lanes:
        for _ in range(LANES):
            lanes.create_task(lane())
    return time.process_time() - cpu


async def measured(load: Load, *, store_url: str, profile: bool) -> list[Figure]:
    came = await made_by(load)
    warm_turns = load.messages // load.reefs // 4
    warm = [each for each in came if (each.message.seq or 0) <= warm_turns]
    rest = [each for each in came if (each.message.seq or 0) > warm_turns]
    figures = []
    for name, chosen in (
        ("readings and scores", None),
        ("readings alone", channels.READINGS.name),
        ("scores alone", channels.SCORES.name),
    ):
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(store_url or f"sqlite:///{folder}/dashboard.db", migrations=MIGRATIONS)
            await store.open()
            try:
                dashboard = Dashboard(store)
                first = [each for each in warm if chosen in (None, each.channel)]
                then = [each for each in rest if chosen in (None, each.channel)]
                await play(dashboard, first)
                before = store.statistics()
                profiler = cProfile.Profile() if profile and chosen else None
                if profiler:
                    profiler.enable()
                cpu = await play(dashboard, then)
                if profiler:
                    profiler.disable()
                    pstats.Stats(profiler).sort_stats("tottime").print_stats(22)
                after = store.statistics()
            finally:
                await store.close()
        figures.append(Figure(name=f"{name}: CPU", value=cpu / len(then) * 1e6, unit="us a message"))
        together = (after.units - before.units) / max(1, after.commits - before.commits)
        figures.append(Figure(name=f"{name}: together", value=together, unit="messages a commit"))
        if store_url:
            break
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--reefs", type=int, default=200)
    parser.add_argument("--store", default="", help="an empty PostgreSQL schema instead of a file")
    parser.add_argument("--profile", action="store_true", help="where the time goes (the figures are dearer then)")
    options = parser.parse_args()
    configure_logging("bench", level="error")
    look_rarely()
    turns = options.messages // options.reefs
    load = Load(reefs=options.reefs, messages=options.messages, batch=1, channels=5, begins_at=live_since(turns))
    show("the read model", asyncio.run(measured(load, store_url=options.store, profile=options.profile)))


if __name__ == "__main__":
    main()
