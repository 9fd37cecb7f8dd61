"""``make bench BROKER=all``: reefmesh on every engine, and what a user would write instead, under one load in one run.

The load is the everyday one: a reading of five quantities a message, 500 reefs, nothing that people are told. Each candidate
has a broker and databases of its own, is warmed up, and is then given as much as it decides about; afterwards every message is
looked for. The plain pipelines are three FastStream stages with a row of state for each reef.

usage: python tests/bench/comparison.py [--quick] [--only WORDS,WORDS] [--tune] [--seconds N] [--json FILE] [--chart FILE]
"""

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

import psutil
from rich.console import Console
from rich.table import Table

from comparison_chart import draw
from embedded import throughput
from figures import write
from load import Load, live_since
from mesh_under_load import Setup, mesh_under_load
from order import Order
from plain_faststream import PlainSetup, plain_faststream
from processes import cpu_between, cpu_seconds
from reefmesh.contracts import services
from reefmesh.observability.logs import configure_logging
from reefmesh.service.garbage import look_rarely
from reefmesh.service.stop_event import is_set_within
from reefmesh_components.requirement import ComponentMissing
from reefmesh_standalone.following import Follower
from sending import send
from throughput import CHANNELS, LOOK_SECONDS, REEFS, UNDER_WAY_LIMIT, Decisions, Sustained, decisions_of_alerts

BROKER: Final = "broker"
WARM_UP_TURNS: Final = 4
TURNS_LIMIT: Final = 60
"""More turns would begin before the readings of today."""
DECIDING_SECONDS_LIMIT: Final = 300.0
WIDTHS: Final = {"rabbitmq": 32, "activemq": 32}
"""Queues, or subscriptions, with which each plain pipeline did best (``--tune``)."""
TUNED: Final = (8, 16, 32, 64)

ORDER, CONFIRMED, ONCE = "order of each reef", "confirmed, durable", "state once"
PLAIN_PROMISES: Final = (ORDER, CONFIRMED, ONCE)
MESH_PROMISES: Final = (
    *PLAIN_PROMISES,
    "hand-over that spreads reefs",
    "a stuck reef delays itself alone",
    "retries, parking, replay",
    "nothing changed by who lost its reef",
    "who spoke is checked",
    "drain without repeats",
)
NOT_OF_EMBEDDED: Final = ("hand-over that spreads reefs", "who spoke is checked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """``seconds``: how long each is measured, roughly; how many messages that are, its warm-up tells."""

    reefs: int = REEFS
    warm_up_turns: int = WARM_UP_TURNS
    seconds: float = 30.0

    def load(self, turns: int, *, first_turn: int = 0) -> Load:
        """Return so many messages of each reef; readings that follow from load to load, the last ones of today."""
        return Load(
            reefs=self.reefs,
            messages=turns * self.reefs,
            batch=1,
            channels=CHANNELS,
            first_turn=first_turn,
            begins_at=live_since(TURNS_LIMIT + self.warm_up_turns),
        )

    def turns(self, messages_per_second: float) -> int:
        return min(TURNS_LIMIT, max(1, round(self.seconds * messages_per_second / self.reefs)))


QUICK: Final = Extent(reefs=20, warm_up_turns=1, seconds=0.0)
Measure = Callable[[Extent], Awaitable[Sustained]]
"""Raises RuntimeError when a message was lost or came out of order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    name: str
    promises: Sequence[str]
    measure: Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """CPU in microseconds a message: of all services together, and of the broker where it is a process of its own."""

    name: str
    promises: Sequence[str]
    per_second: float
    services_microseconds: float
    broker_microseconds: float | None
    load_average: float


async def embedded(extent: Extent) -> Sustained:
    """Everything in this process, which the services of the other candidates have three of."""
    rough, _ = await throughput(extent.load(extent.warm_up_turns))
    per_second, cpu = await throughput(extent.load(extent.turns(rough)))
    return Sustained(per_second=per_second, cpu_seconds={"mesh": cpu})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """One that runs: where telemetry goes, its processes, how many messages have come to its end, and what it did wrong with
    so many turns."""

    url: str
    entry: str
    pids: Callable[[], dict[str, int]]
    count: Callable[[], Awaitable[int]]
    check: Callable[[int], Awaitable[Sequence[str]]]


async def sustained_by(pipeline: Pipeline, extent: Extent) -> Sustained:
    """Keep so many messages under way, and take the rate where as many come out as go in."""
    warm_up = extent.load(extent.warm_up_turns)
    turns = extent.turns((await _decided(pipeline, warm_up)).per_second(warm_up.messages))
    measured_load = extent.load(turns, first_turn=extent.warm_up_turns)
    before = cpu_seconds(pipeline.pids())
    decisions = await _decided(pipeline, measured_load)
    spent = cpu_between(before, cpu_seconds(pipeline.pids()))
    if found := await pipeline.check(extent.warm_up_turns + turns):
        raise RuntimeError(f"{len(found)} faults: {'; '.join(found[:5])}")
    cpu = {name: seconds / measured_load.messages for name, seconds in spent.items()}
    return Sustained(per_second=decisions.per_second(measured_load.messages), cpu_seconds=cpu)


async def _decided(pipeline: Pipeline, load: Load) -> Decisions:
    decisions = Decisions(pipeline.count)
    await decisions.look()

    async def allowed() -> int:
        return await decisions.look() + UNDER_WAY_LIMIT

    await send(Order.of(load, broker_url=pipeline.url, entry=pipeline.entry), allowed=allowed)
    never = asyncio.Event()
    async with asyncio.timeout(DECIDING_SECONDS_LIMIT):
        while await decisions.look() < load.messages:
            await is_set_within(never, LOOK_SECONDS)
    return decisions


def mesh_on(broker: str) -> Measure:
    async def measure(extent: Extent) -> Sustained:
        setup = Setup(broker=broker, store="sqlite", lanes=None)
        async with mesh_under_load(extent.load(1), setup=setup) as running:

            async def check(turns: int) -> Sequence[str]:
                sent = [(message.event_id, message.reef_id) for message in extent.load(turns).envelopes()]
                return () if await Follower(running.stores, sent).look() else ("a message did not pass every service",)

            count = decisions_of_alerts(running.stores[services.ALERTS])
            pipeline = Pipeline(url=running.broker.url(), entry=running.entry, pids=running.pids, count=count, check=check)
            return await sustained_by(pipeline, extent)

    return measure


def plain_on(setup: PlainSetup) -> Measure:
    async def measure(extent: Extent) -> Sustained:
        with plain_faststream(setup) as running:

            async def check(turns: int) -> Sequence[str]:
                return running.faults(reefs=extent.reefs, turns=turns)

            async def count() -> int:
                return running.decided()

            pipeline = Pipeline(url=running.url, entry=running.entry, pids=running.pids, count=count, check=check)
            return await sustained_by(pipeline, extent)

    return measure


def candidates() -> list[Candidate]:
    made = [
        Candidate(
            name="reefmesh embedded (one process)",
            promises=[each for each in MESH_PROMISES if each not in NOT_OF_EMBEDDED],
            measure=embedded,
        ),
        Candidate(name="reefmesh on ActiveMQ", promises=MESH_PROMISES, measure=mesh_on("activemq")),
        Candidate(name="reefmesh on RabbitMQ", promises=MESH_PROMISES, measure=mesh_on("rabbitmq")),
    ]
    for title, broker in (("FastStream on RabbitMQ", "rabbitmq"), ("FastStream on ActiveMQ", "activemq")):
        for words, shared in (("a commit a message", False), ("shared commits", True)):
            setup = PlainSetup(broker=broker, shared_commits=shared, width=WIDTHS[broker])
            made.append(Candidate(name=f"{title}: {words}", promises=PLAIN_PROMISES, measure=plain_on(setup)))
    return made


def tuning() -> list[Candidate]:
    """The plain pipelines with shared commits, with different numbers of queues."""
    return [
        Candidate(
            name=f"FastStream on {broker}: shared commits: {width}",
            promises=PLAIN_PROMISES,
            measure=plain_on(PlainSetup(broker=broker, shared_commits=True, width=width)),
        )
        for broker in WIDTHS
        for width in TUNED
    ]


async def measured(all_of_them: Sequence[Candidate], *, extent: Extent, kept: Callable[[list[Row]], None]) -> list[Row]:
    rows: list[Row] = []
    began = time.monotonic()
    for candidate in all_of_them:
        sustained = await candidate.measure(extent)
        cpu: Mapping[str, float] = sustained.cpu_seconds
        row = Row(
            name=candidate.name,
            promises=candidate.promises,
            per_second=sustained.per_second,
            services_microseconds=sum(seconds for name, seconds in cpu.items() if name != BROKER) * 1e6,
            broker_microseconds=cpu[BROKER] * 1e6 if BROKER in cpu else None,
            load_average=psutil.getloadavg()[0],
        )
        rows.append(row)
        since = time.monotonic() - began
        print(f"{since:5.0f} s  {row.name}: {row.per_second:,.0f} messages/s, load {row.load_average:.1f}", file=sys.stderr)
        kept(rows)
    return rows


def table_of(rows: Sequence[Row], title: str) -> Table:
    best = max((row.per_second for row in rows if row.name.startswith("FastStream")), default=None)
    table = Table("pipeline", "messages/s", "to the best plain one", "CPU of services", "of the broker", title=title)
    for row in rows:
        table.add_row(
            row.name,
            f"{row.per_second:,.0f}",
            "" if best is None else f"{row.per_second / best:.2f}",
            f"{row.services_microseconds:,.0f} us",
            "in the services" if row.broker_microseconds is None else f"{row.broker_microseconds:,.0f} us",
        )
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few messages: a smoke test, no measurement")
    parser.add_argument("--only", help="candidates whose name has one of these words in it, with commas between")
    parser.add_argument("--tune", action="store_true", help="instead: the plain pipelines with different numbers of queues")
    parser.add_argument("--seconds", type=float, default=30.0, help="to measure each, beside its start and warm-up (30)")
    parser.add_argument("--json", type=Path, default=Path("reports/bench-all.json"), help="where to keep the figures")
    parser.add_argument("--chart", type=Path, default=Path("reports/bench-all.svg"), help="where to draw")
    options = parser.parse_args()
    configure_logging("bench", level="error")
    look_rarely()  # as every service does when it starts
    chosen = tuning() if options.tune else candidates()
    if options.only:
        chosen = [each for each in chosen if any(word in each.name for word in options.only.split(","))]
    extent = QUICK if options.quick else Extent(seconds=options.seconds)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    title = f"{datetime.now(UTC):%Y-%m-%d}, {machine}{', quick: no measurement' if options.quick else ''}"

    def keep_all(rows: list[Row]) -> None:
        facts = {"load_average_before": busy_before, **asdict(extent)}
        write(options.json, title, **facts, rows=[asdict(row) for row in rows])

    busy_before = psutil.getloadavg()[0]
    try:
        rows = asyncio.run(measured(chosen, extent=extent, kept=keep_all))
    except ComponentMissing as missing:
        print(f"reefmesh: {missing}", file=sys.stderr)
        return 69
    Console().print(table_of(rows, title))
    promises = {row.name: row.promises for row in rows}
    print("promised by all: " + "; ".join(PLAIN_PROMISES))
    lacking = [each for each in MESH_PROMISES if any(each not in made for made in promises.values())]
    for each in lacking:
        print(f"{each}: " + (", ".join(name for name, made in promises.items() if each in made) or "none"))
    loads = [row.load_average for row in rows]
    print(f"load average {busy_before:.1f} before, {min(loads):.1f} to {max(loads):.1f} meanwhile; figures: {options.json}")
    draw(options.chart, rows, caption=title)
    print(f"chart: {options.chart}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
