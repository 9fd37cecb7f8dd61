"""``python -m reefmesh_faults.soak``: a steady load for long, and what memory, file descriptors and queues do meanwhile.

The services run as an operator runs them, on ActiveMQ and PostgreSQL (or SQLite), nothing is disturbed.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Publication
from reefmesh.broker.producer import Producer
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import READINGS, SCORES, TELEMETRY
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.quantities import PH_TOTAL_SCALE, SEA_WATER_TEMPERATURE
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh.contracts.services import INGEST
from reefmesh.errors import TransientError
from reefmesh.observability import table
from reefmesh.observability.logs import configure_logging
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.mesh_processes import MeshProcesses
from reefmesh_components.postgresql import PostgresqlProcess, local_postgresql
from reefmesh_components.requirement import ComponentMissing
from reefmesh_faults.chart import draw
from reefmesh_faults.interruption import run_interruptible
from reefmesh_faults.steady import FEWEST_SAMPLES, Bounds, Verdict, judge
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import open_stores

EXIT_GROWS: Final = 1
EXIT_UNAVAILABLE: Final = 69
EXIT_INTERRUPTED: Final = 130
SAMPLE_SECONDS: Final = 10.0
BACKLOG_READINGS: Final = 3_200
"""Of each buoy: a little more than ingest keeps of one for the flat-line test (twice ``flat_line_points_limit``)."""

BATCH_READINGS: Final = 400
BACKLOG_REEFS: Final = 10
FILL_LIMIT_SECONDS: Final = 900.0
TICK_SECONDS: Final = 0.1
AT_ONCE_LIMIT: Final = 500
REFUSED_PAUSE_SECONDS: Final = 1.0
HEAP: Final = "512m"
ENVIRONMENT: Final = {"REEFMESH_LOG_LEVEL": "warning", "REEFMESH_INGEST_MQTT_BRIDGE": "false"}
MEMORY: Final = Bounds(share=0.05, least=8.0)
DESCRIPTORS: Final = Bounds(share=0.0, least=4.0)
QUEUE: Final = Bounds(share=0.0, least=200.0)
EXAMPLES: Final = """\
examples:
  python -m reefmesh_faults.soak
  python -m reefmesh_faults.soak --minutes 20 --rate 556 --json reports/soak.json --chart reports/soak.svg
  python -m reefmesh_faults.soak --minutes 2 --rate 100 --store sqlite

exit codes: 0 flat, 1 something grows, 69 no ActiveMQ or PostgreSQL here, 130 interrupted"""


@dataclass(slots=True, kw_only=True)
class SteadyLoad:
    """One reading a message, live, round robin over ``reefs`` reefs with one buoy each, at ``messages_per_second``.

    ``fill`` first sends what the buoys would have reported before: as much as the services keep of a buoy's last points, so
    that memory is at its height when the time begins, and not only after hours.
    """

    broker: Broker
    reefs: int
    messages_per_second: float
    producer: Producer = field(default_factory=Producer)
    filled: int = 0
    sent: int = 0
    refused: int = 0

    async def fill(self) -> None:
        """Publish the backlog, in batches, oldest first."""
        interval = timedelta(seconds=self.reefs / self.messages_per_second)
        begins_at = datetime.now(UTC) - BACKLOG_READINGS * interval
        for turn in range(0, BACKLOG_READINGS, BATCH_READINGS):
            turns = range(turn, turn + BATCH_READINGS)
            instants = [begins_at + each * interval for each in turns]
            for start in range(0, self.reefs, BACKLOG_REEFS):
                reefs = range(start, min(start + BACKLOG_REEFS, self.reefs))
                messages = [self._message(f"backlog/{reef}/{turn}", reef, turns, instants) for reef in reefs]
                await self._publish_until_confirmed(self.producer.link(messages))
                self.filled += len(messages)

    async def run(self) -> None:
        """Publish until cancelled."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            due = int((loop.time() - began) * self.messages_per_second) - self.sent
            if due > 0:
                numbers = range(self.sent, self.sent + min(due, AT_ONCE_LIMIT))
                now = datetime.now(UTC)
                messages = [
                    self._message(f"soak/{number}", number % self.reefs, [number // self.reefs], [now]) for number in numbers
                ]
                await self._publish_until_confirmed(self.producer.link(messages))
                self.sent = numbers.stop
            if due < AT_ONCE_LIMIT:
                await asyncio.sleep(TICK_SECONDS)

    async def _publish_until_confirmed(self, messages: Sequence[Envelope]) -> None:
        publications = [Publication(channel=TELEMETRY.name, message=message) for message in messages]
        while True:
            try:
                await self.broker.publish(publications)
            except TransientError:
                self.refused += len(publications)
                await asyncio.sleep(REFUSED_PAUSE_SECONDS)
            else:
                self.producer.confirmed(messages)
                return

    def _message(self, event_id: str, reef: int, turns: Sequence[int], instants: Sequence[datetime]) -> Envelope:
        now = datetime.now(UTC)
        readings = [
            {
                "observed_at": observed_at.isoformat(),
                "channels": {SEA_WATER_TEMPERATURE: 28.0 + turn % 20 / 20, PH_TOTAL_SCALE: 8.02 + turn % 10 / 500},
            }
            for turn, observed_at in zip(turns, instants, strict=True)
        ]
        body = {
            "schema": TELEMETRY_1,
            "buoy_id": buoy_id(reef),
            "seq": turns[0],
            "sent_at": now.isoformat(),
            "readings": readings,
        }
        return Envelope(
            event_id=event_id,
            reef_id=reef_id(reef),
            schema_id=TELEMETRY_1,
            produced_at=now,
            body=json.dumps(body).encode(),
            headers={"device": buoy_id(reef), "received-at": now.isoformat()},
        )


def reef_id(number: int) -> str:
    return f"reef-{number:05d}"


def buoy_id(number: int) -> str:
    return f"soak-{number:05d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What runs, and where to look. ``pids``: by name, of each process; PostgreSQL's with all its children."""

    services: MeshProcesses
    broker: ActivemqProcess
    store: PostgresqlProcess | None
    load: SteadyLoad
    series: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, at_seconds: float) -> None:
        """Take one sample of everything."""
        pids = {process.name: process.pid for process in self.services.processes} | {"broker": self.broker.pid}
        for name, pid in pids.items():
            if pid is None:
                raise RuntimeError(f"{name} ended during the soak")
            process = psutil.Process(pid)
            self._note(f"{name} memory", at_seconds, process.memory_info().rss / 1e6)
            self._note(f"{name} descriptors", at_seconds, process.num_fds())
        if self.store is not None and (pid := self.store.pid) is not None:
            server = psutil.Process(pid)
            self._note("postgresql processes", at_seconds, len(server.children()))
        for name, depth in self.waiting().items():
            self._note(f"{name} queue", at_seconds, depth)

    def waiting(self) -> dict[str, float]:
        """Return what waits, as each consumer's counters tell: what was published for it less what it has handled."""
        published = {
            "ingest": float(self.load.filled + self.load.sent),
            "scoring": self._count("ingest", table.PUBLISHED.name, channel=READINGS.name),
            "alerts": self._count("scoring", table.PUBLISHED.name, channel=SCORES.name),
        }
        return {name: max(0.0, count - self._count(name, table.MESSAGES_HANDLED.name)) for name, count in published.items()}

    def _count(self, service: str, name: str, **labels: str) -> float:
        return sum(process.metric(name, **labels) for process in self.services.of(service))

    def _note(self, name: str, at_seconds: float, value: float) -> None:
        self.series[name].append((round(at_seconds, 1), round(value, 2)))

    def verdicts(self) -> list[Verdict]:
        """Judge every series. The broker's memory is shown only: a JVM fills its heap before it collects, and the heap bounds
        it."""
        verdicts = []
        for name, points in self.series.items():
            kind = name.rpartition(" ")[2]
            unit, bounds = {
                "memory": ("MB", MEMORY),
                "descriptors": ("", DESCRIPTORS),
                "queue": ("messages", QUEUE),
                "processes": ("", DESCRIPTORS),
            }[kind]
            verdicts.append(judge(name, unit, points, bounds, judged=name != "broker memory"))
        return verdicts


@asynccontextmanager
async def _sampled(options: argparse.Namespace) -> AsyncIterator[Sampled]:
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reefmesh-soak-")))
        broker = stack.enter_context(local_activemq(heap=HEAP))
        store = stack.enter_context(local_postgresql()) if options.store == "postgresql" else None
        store_url = None if store is None else store.url
        services = stack.enter_context(
            MeshProcesses(home, broker_url_of=broker.url, store_url=store_url, environment=ENVIRONMENT)
        )
        await asyncio.to_thread(services.start, scoring=1)
        async with open_stores(Home(path=home, broker_url=broker.url(), store_url=store_url)) as stores:
            await Register(stores[INGEST]).upsert(reefs=list(_reefs(options.reefs)), buoys=list(_buoys(options.reefs)))
        client = open_broker(broker.url(), clock=SystemClock())
        stack.push_async_callback(client.close)
        await client.connect()
        load = SteadyLoad(broker=client, reefs=options.reefs, messages_per_second=options.rate)
        yield Sampled(services=services, broker=broker, store=store, load=load)


def _reefs(count: int) -> Iterator[ReefEntry]:
    for number in range(count):
        name = f"Reef {number}"
        yield ReefEntry(id=reef_id(number), name=name, latitude_degrees=-8.0, longitude_degrees=115.0, mmm_celsius=29.5)


def _buoys(count: int) -> Iterator[BuoyEntry]:
    for number in range(count):
        yield BuoyEntry(id=buoy_id(number), reef=reef_id(number), report_interval_seconds=1800)


async def soak(options: argparse.Namespace, people: Console) -> Sampled:
    """Run the load and sample until the time is over. Raises RuntimeError when a process ended meanwhile."""
    async with _sampled(options) as sampled:
        people.print("the buoys send their backlog")
        await sampled.load.fill()
        async with asyncio.timeout(FILL_LIMIT_SECONDS):
            while any((await asyncio.to_thread(sampled.waiting)).values()):  # noqa: ASYNC110 - metrics tell no event
                await asyncio.sleep(1.0)
        began = time.monotonic()
        publishing = asyncio.create_task(sampled.load.run(), name="load")
        try:
            while (at_seconds := time.monotonic() - began) < options.minutes * 60:
                if publishing.done():
                    publishing.result()
                await asyncio.to_thread(sampled.take, at_seconds)
                waiting = ", ".join(f"{name} {points[-1][1]:g}" for name, points in sampled.series.items() if "queue" in name)
                people.print(f"{at_seconds:5.0f} s  {sampled.load.sent:,} sent; {waiting}", soft_wrap=True)
                await asyncio.sleep(SAMPLE_SECONDS)
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
        return sampled


def document(options: argparse.Namespace, sampled: Sampled, verdicts: Sequence[Verdict]) -> Mapping[str, Any]:
    """Return the figures for machines."""
    return {
        "minutes": options.minutes,
        "rate": options.rate,
        "reefs": options.reefs,
        "store": options.store,
        "sent": sampled.load.sent,
        "refused": sampled.load.refused,
        "flat": all(verdict.is_flat for verdict in verdicts if verdict.judged),
        "verdicts": [asdict(verdict) | {"is_flat": verdict.is_flat} for verdict in verdicts],
        "series": sampled.series,
    }


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print the verdicts for people."""
    rows = Table("series", "mean", "highest", "slope per hour", "growth", "allowed", "verdict")
    for verdict in verdicts:
        said = "flat" if verdict.is_flat else "GROWS"
        rows.add_row(
            f"{verdict.name} {verdict.unit}".strip(),
            f"{verdict.mean:,.1f}",
            f"{verdict.highest:,.1f}",
            f"{verdict.slope_per_hour:+,.1f}",
            f"{verdict.growth:+,.1f}",
            f"{verdict.allowed:,.1f}",
            said if verdict.judged else f"({said}: not judged)",
        )
    console.print(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m reefmesh_faults.soak",
        description="A steady load on ActiveMQ; what memory, file descriptors and queues do.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (default: 20)")
    parser.add_argument("--rate", type=float, default=556.0, metavar="R", help="messages a second (default: 556)")
    parser.add_argument("--reefs", type=int, default=200, metavar="N", help="with one buoy each (default: 200)")
    parser.add_argument("--store", choices=("postgresql", "sqlite"), default="postgresql", help="the databases")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and all samples there")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the samples there (.svg or .png)")
    options = parser.parse_args(arguments)
    if options.minutes * 60 < FEWEST_SAMPLES * SAMPLE_SECONDS or options.rate <= 0 or options.reefs < 1:
        parser.error("--minutes must be 0.7 or more, --rate and --reefs above 0")
    configure_logging("reefmesh-soak", level="error")
    people = Console(stderr=True, highlight=False)
    try:
        sampled = run_interruptible(soak(options, people))
    except ComponentMissing as missing:
        people.print(f"reefmesh: {missing}", markup=False, soft_wrap=True)
        return EXIT_UNAVAILABLE
    except KeyboardInterrupt:
        people.print("Interrupted: everything that was started is ended.")
        return EXIT_INTERRUPTED
    verdicts = sampled.verdicts()
    figures = document(options, sampled, verdicts)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures) + "\n")
    if options.chart is not None:
        draw(options.chart, sampled.series, caption=f"{options.rate:g} messages/s, ActiveMQ and {options.store}")
    show(verdicts, Console(highlight=False))
    return 0 if figures["flat"] else EXIT_GROWS


if __name__ == "__main__":
    sys.exit(main())
