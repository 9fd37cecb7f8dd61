"""Where reefmesh spends a message's CPU, by stage: on the embedded engine and on ActiveMQ, as a table and a picture.

One reading of five quantities a message, 500 reefs, durable. A timer of each process's CPU asks every 4 ms what is being done
(cpu_sampler.py); the broker's own is one bar, because nothing looks into it.

examples:
  python tests/bench/cpu_by_stage.py              embedded and ActiveMQ, about two minutes
  python tests/bench/cpu_by_stage.py --publish    and the picture in docs/pictures, the table in docs/performance.md
  python tests/bench/cpu_by_stage.py --engines rabbitmq --quick
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

import psutil
from rich.console import Console
from rich.table import Table

from candidate import TITLES, Extent, Pipeline, decided
from cpu_by_stage_chart import draw
from cpu_sampler import REST, STAGES, CpuSampler
from embedded import throughput
from figures import write
from machine import machine
from mesh_under_load import Setup, mesh_under_load
from processes import cpu_between, cpu_seconds
from published_section import MarkerMissing, publish
from reefmesh.contracts.services import SERVICES
from reefmesh.observability.logs import configure_logging
from reefmesh.service.garbage import look_rarely
from reefmesh.service.stop_event import is_set_within
from reefmesh_components.requirement import ComponentMissing
from throughput import decisions_of_alerts

ROOT: Final = Path(__file__).parents[2]
SECTION: Final = "cpu-by-stage"
PICTURE: Final = Path("docs/pictures/cpu-by-stage.svg")
SAMPLED_SERVICE: Final = Path(__file__).with_name("sampled_service.py")
ENGINES: Final = ("embedded", "activemq", "rabbitmq")
USUAL: Final = ("embedded", "activemq")
FOUND_SECONDS_LIMIT: Final = 30.0
EXIT_UNAVAILABLE, EXIT_FAULT, EXIT_INTERRUPTED = 69, 1, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Microseconds of CPU a message in one place; ``stages`` empty: a broker, into which nobody looks."""

    place: str
    microseconds: float
    stages: dict[str, float]


async def of_embedded(turns: int, warm_up_turns: int) -> list[Spent]:
    """Everything is in this process: services by whose lane it is, and the rest."""
    extent = Extent()
    await throughput(extent.load(warm_up_turns))
    sampler = CpuSampler()
    load = extent.load(turns)
    await throughput(load, sampled=sampler)
    names = {each.name: f"embedded: {each.name}" for each in SERVICES} | {REST: "embedded: journal, threads, the load"}
    return [
        _spent(place, {stage: spent / 1e9 for (own, stage), spent in sampler.nanoseconds.items() if own == name}, load.messages)
        for name, place in names.items()
    ]


async def of_processes(broker: str, turns: int, warm_up_turns: int) -> list[Spent]:
    """Return what each service spent, sampled, and the broker. Raises RuntimeError when a message did not come through."""
    extent = Extent(warm_up_turns=warm_up_turns)
    with tempfile.TemporaryDirectory(prefix="reefmesh-samples-") as folder:
        files = {each.name: Path(folder) / f"{each.name}.json" for each in SERVICES}
        setup = Setup(
            broker=broker,
            store="sqlite",
            lanes=None,
            command_of=lambda service: (str(SAMPLED_SERVICE), service, str(files[service])),
        )
        async with mesh_under_load(extent.load(1), setup=setup) as running:

            async def nothing(_: int) -> Sequence[str]:
                return ()

            count = decisions_of_alerts(running.stores[SERVICES[-1]])
            pipeline = Pipeline(url=running.broker.url(), entry=running.entry, pids=running.pids, count=count, check=nothing)
            await decided(pipeline, extent.load(warm_up_turns))
            load = extent.load(turns, first_turn=warm_up_turns)
            pids = running.pids()
            _tell(pids, signal.SIGUSR1)
            before = cpu_seconds(pids)
            await decided(pipeline, load)
            spent = cpu_between(before, cpu_seconds(pids))
            _tell(pids, signal.SIGUSR2)
            await _until_there(list(files.values()))
        found = [
            _spent(f"{TITLES[broker]}: {name}", _sampled(file), load.messages, seconds=spent[name])
            for name, file in files.items()
        ]
    of_broker = Spent(place=f"{TITLES[broker]}: the broker", microseconds=spent["broker"] / load.messages * 1e6, stages={})
    return [*found, of_broker]


def _tell(pids: Mapping[str, int], number: signal.Signals) -> None:
    for service in SERVICES:
        os.kill(pids[service.name], number)


async def _until_there(files: Sequence[Path]) -> None:
    never = asyncio.Event()
    try:
        async with asyncio.timeout(FOUND_SECONDS_LIMIT):
            while not all(file.exists() for file in files):
                await is_set_within(never, 0.1)
    except TimeoutError:
        raise RuntimeError("a service did not write what was sampled") from None


def _sampled(file: Path) -> dict[str, float]:
    """Return the seconds of each stage, of all tasks of the process."""
    stages: Counter[str] = Counter()
    for _, stage, seconds in json.loads(file.read_text(encoding="utf-8"))["found"]:
        stages[stage] += seconds
    return dict(stages)


def _spent(place: str, stages: Mapping[str, float], messages: int, *, seconds: float | None = None) -> Spent:
    """``seconds``: of the whole process, which the stages share as they were sampled; None: what was sampled is all."""
    sampled = sum(stages.values())
    scale = 1.0 if seconds is None or not sampled else seconds / sampled
    of_a_message = {stage: stages[stage] * scale / messages * 1e6 for stage in STAGES if stages.get(stage)}
    return Spent(place=place, microseconds=sum(of_a_message.values()), stages=of_a_message)


async def measure(engines: Sequence[str], *, turns: int, warm_up_turns: int) -> list[Spent]:
    found: list[Spent] = []
    for engine in engines:
        if engine == "embedded":
            found += await of_embedded(turns, warm_up_turns)
        else:
            found += await of_processes(engine, turns, warm_up_turns)
        print(f"{TITLES[engine]}: {sum(each.microseconds for each in found):,.0f} us so far", file=sys.stderr, flush=True)
    return found


def cells_of(found: Sequence[Spent]) -> list[tuple[str, ...]]:
    """Return the table: a row for each stage, a column for each place, microseconds a message."""
    rows = [
        (stage, *(f"{each.stages[stage]:,.0f}" if stage in each.stages else "" for each in found))
        for stage in STAGES
        if any(stage in each.stages for each in found)
    ]
    return [*rows, ("together", *(f"{each.microseconds:,.0f}" for each in found))]


def markdown(found: Sequence[Spent]) -> str:
    head = ("stage", *(each.place for each in found))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *cells_of(found)))


def publish_all(found: Sequence[Spent], title: str, *, root: Path = ROOT) -> None:
    """Raises MarkerMissing."""
    draw(root / PICTURE, found, caption=title)
    picture = f"![CPU of a message by stage]({PICTURE.relative_to('docs')})"
    publish(root / "docs/performance.md", SECTION, f"{title}. Microseconds of CPU a message.\n\n{picture}\n\n{markdown(found)}")


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default=",".join(USUAL), help=f"of {', '.join(ENGINES)} ({','.join(USUAL)})")
    parser.add_argument("--turns", type=int, default=30, help="messages of each reef that are sampled (30)")
    parser.add_argument("--quick", action="store_true", help="two of each reef: a smoke test, no measurement")
    parser.add_argument("--publish", action="store_true", help=f"write {PICTURE} and the table in docs/performance.md")
    parser.add_argument("--json", type=Path, default=Path("reports/cpu-by-stage.json"), help="where to keep the figures")
    parser.add_argument("--chart", type=Path, default=Path("reports/cpu-by-stage.svg"), help="where to draw")
    options = parser.parse_args(arguments)
    options.engines = options.engines.split(",")
    if unknown := sorted(set(options.engines) - set(ENGINES)):
        parser.error(f"--engines: no {', '.join(unknown)}; there are {', '.join(ENGINES)}")
    if options.turns < 1:
        parser.error("--turns is at least 1")
    if options.publish and options.quick:
        parser.error("--publish takes a whole run: without --quick")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    configure_logging("bench", level="error")
    look_rarely()  # as every service does when it starts
    turns, warm_up = (2, 1) if options.quick else (options.turns, 8)
    busy = psutil.getloadavg()[0]
    try:
        found = asyncio.run(measure(options.engines, turns=turns, warm_up_turns=warm_up))
        title = f"{datetime.now(UTC):%Y-%m-%d}, {machine()}, load average {busy:.1f} before"
        write(options.json, title, messages=turns * Extent().reefs, found=[asdict(each) for each in found])
        draw(options.chart, found, caption=title)
        table = Table("stage", *(each.place for each in found), title=title)
        for cells in cells_of(found):
            table.add_row(*cells)
        Console().print(table)
        print(f"figures: {options.json}; picture: {options.chart}")
        if options.publish:
            publish_all(found, title)
            print(f"published in docs/performance.md and {PICTURE}")
    except ComponentMissing as missing:
        print(f"reefmesh: {missing}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    except (MarkerMissing, RuntimeError) as fault:
        print(f"reefmesh: {fault}", file=sys.stderr)
        return EXIT_FAULT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
