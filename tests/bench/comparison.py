"""``make bench BROKER=all``: reefmesh on every engine, and what a user would write instead, under one load in one run.

The load is the everyday one: a reading of five quantities a message, 500 reefs, nothing that people are told. Each candidate
has a broker and databases of its own, is warmed up, and is then given as much as it decides about; afterwards every message is
looked for. Each is measured in two rounds, and the better one counts.
The plain pipelines are three FastStream stages with a row of state for each reef, in the shape that --tune found.

examples:
  make bench BROKER=all                                  the table, in a quarter of an hour at most
  make bench BROKER=all ARGS=--publish                   and the table in README.md and docs/performance.md
  make bench BROKER=all ARGS="--publish --from reports/bench-all.json"    that alone, of a run that is on record
  make bench BROKER=all ARGS=--tune                      the best shape of each plain pipeline, kept for the runs after it
  make bench BROKER=all ARGS="--quick --only embedded,RabbitMQ"           a smoke test
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

import psutil
from rich.console import Console

from candidate import QUICK, Candidate, Extent, candidates, shape_trials
from comparison_chart import draw
from comparison_table import markdown, promises_of, table_of
from figures import write
from machine import machine
from measured_row import Budget, Row, Rows, measured
from plain_tuning import TUNING_FILE, Trial, Tuning, read_tuning, write_tuning
from published_section import MarkerMissing, publish
from reefmesh.observability.logs import configure_logging
from reefmesh.service.garbage import look_rarely
from reefmesh_components.requirement import ComponentMissing

ROOT: Final = Path(__file__).parents[2]
SECTION: Final = "bench-all"
PICTURE: Final = Path("docs/pictures/bench-all.svg")
MINUTES_LIMIT: Final = 15.0
ROUNDS: Final = 2
TUNE_SECONDS: Final = 8.0
EXIT_UNAVAILABLE, EXIT_FAULT, EXIT_USAGE, EXIT_INTERRUPTED = 69, 1, 2, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that is on record: what the page shows. ``whole``: everything was measured, and long enough to mean something."""

    title: str
    tuned: str
    load_average_before: float
    rows: Sequence[Row]
    missing: dict[str, str]
    whole: bool

    @classmethod
    def of_json(cls, document: dict[str, Any]) -> "Run":
        rows = tuple(Row.of_json(row) for row in document["rows"])
        facts = {name: document[name] for name in ("title", "tuned", "load_average_before", "missing", "whole")}
        return cls(rows=rows, **facts)

    @property
    def busy(self) -> str:
        loads = [row.load_average for row in self.rows]
        return f"load average {self.load_average_before:.1f} before, {min(loads):.1f} to {max(loads):.1f} meanwhile"

    @property
    def brokers(self) -> str:
        return ", ".join(dict.fromkeys(row.on for row in self.rows if row.on))


def show(run: Run) -> None:
    if run.rows:
        Console().print(table_of(run.rows, run.title))
        for promise, *made in promises_of(run.rows):
            names = [row.name for row, word in zip(run.rows, made, strict=True) if word == "yes"]
            print(f"{promise}: {'all' if len(names) == len(run.rows) else ', '.join(names) or 'none'}")
        print(run.busy)
    for name, why in run.missing.items():
        print(f"not measured: {name}: {why}")


def publish_all(run: Run, *, root: Path = ROOT) -> None:
    """Write the table into README.md, the table, promises and chart into docs/performance.md.

    Raises:
        MarkerMissing: a page has no place for it.
    """
    under = f"Measured {run.title}; {run.brokers}; {run.busy}."
    ratios = (
        f"Of {ROUNDS} rounds the better one counts. Ratios are to the fastest plain pipeline on the same broker (of the"
        " embedded mesh: on any); CPU is of a message."
    )
    publish(root / "README.md", SECTION, f"{markdown(run.rows, promises=False)}\n\n{under}\n{ratios}")
    chart = f"![rates and CPU of the pipelines]({PICTURE.relative_to('docs')})"
    tuned = f"The plain pipelines are {run.tuned}."
    text = f"{under}\n{ratios}\n{tuned}\n\n{markdown(run.rows, promises=True)}\n\n{chart}"
    draw(root / PICTURE, run.rows, caption=run.title)
    publish(root / "docs/performance.md", SECTION, text)


def words_of(tuning: Tuning) -> str:
    if not tuning.found:
        return "not tuned yet, 32 queues or subscriptions each"
    shapes = "; ".join(f"{name}: {shape}" for name, shape in tuning.best.items())
    return f"in the best shapes of a run of --tune ({tuning.found}): {shapes}"


def tune(options: argparse.Namespace, title: str) -> int:
    """Measure each shape of each plain pipeline and keep the best, if the run was a whole one."""
    extent = QUICK if options.quick else Extent(seconds=options.seconds or TUNE_SECONDS, warm_up_turns=2)
    pipelines = {each.pipeline for each in shape_trials()}
    chosen = {each.candidate.name: each for each in shape_trials() if _wanted(each.candidate.name, options.only)}
    found: list[Trial] = []

    def keep(rows: Rows) -> None:
        found[:] = [
            Trial(pipeline=chosen[row.name].pipeline, shape=chosen[row.name].shape, per_second=row.per_second)
            for row in rows.rows
        ]
        write(options.json, title, rows=[asdict(row) for row in rows.rows], missing=rows.missing)

    rows = _measure([each.candidate for each in chosen.values()], extent, Budget(options.minutes * 60), keep)
    for trial in found:
        print(f"{trial.pipeline}, {trial.shape}: {trial.per_second:,.0f} messages/s")
    for name, why in rows.missing.items():
        print(f"not measured: {name}: {why}")
    whole = not options.quick and not options.only and {trial.pipeline for trial in found} == pipelines
    file = TUNING_FILE if whole else options.json.with_name("bench-tuning.json")
    tuning = write_tuning(found, found=title, file=file)
    print(f"kept in {file}" if whole else f"for the runs after it nothing is kept, it was no whole run; found: {file}")
    for name, shape in tuning.best.items():
        print(f"best: {name}: {shape}")
    return EXIT_FAULT if rows.missing else 0


def compare(options: argparse.Namespace, title: str) -> tuple[Run, int]:
    tuning = read_tuning()
    chosen = [each for each in candidates(tuning) if _wanted(each.name, options.only)]
    extent = QUICK if options.quick else Extent(seconds=options.seconds or Extent().seconds)
    busy_before = psutil.getloadavg()[0]
    run = Run(title=title, tuned=words_of(tuning), load_average_before=busy_before, rows=(), missing={}, whole=False)
    interrupted = False

    def keep(rows: Rows) -> None:
        nonlocal run
        whole = not options.quick and not rows.missing and len(rows.rows) == len(candidates(tuning))
        run = Run(
            title=title,
            tuned=words_of(tuning),
            load_average_before=busy_before,
            rows=rows.rows,
            missing=rows.missing,
            whole=whole,
        )
        write(options.json, **asdict(run), **asdict(extent))

    try:
        _measure(chosen, extent, Budget(options.minutes * 60), keep, rounds=1 if options.quick else ROUNDS)
    except KeyboardInterrupt:
        interrupted = True
    show(run)
    print(f"figures: {options.json}")
    if run.rows:
        draw(options.chart, run.rows, caption=title)
        print(f"chart: {options.chart}")
    return run, EXIT_INTERRUPTED if interrupted else EXIT_FAULT if run.missing else 0


def _measure(chosen: Sequence[Candidate], extent: Extent, budget: Budget, keep: Any, *, rounds: int = 1) -> Rows:
    return asyncio.run(measured(chosen, extent=extent, budget=budget, kept=keep, rounds=rounds))


def _wanted(name: str, only: str | None) -> bool:
    return only is None or any(word.lower() in name.lower() for word in only.split(","))


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench BROKER=all ARGS=...", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few messages: a smoke test, no measurement")
    parser.add_argument("--only", help="candidates whose name has one of these words in it, with commas between")
    parser.add_argument("--tune", action="store_true", help="instead: each plain pipeline in every shape; the best is kept")
    parser.add_argument(
        "--seconds", type=float, help=f"to measure each, beside its start and warm-up (30; --tune: {TUNE_SECONDS:.0f})"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES_LIMIT, help=f"for the whole run ({MINUTES_LIMIT:.0f})")
    parser.add_argument("--publish", action="store_true", help="write the table into README.md and docs/performance.md")
    parser.add_argument("--from", dest="recorded", type=Path, metavar="FILE", help="show or publish this run; measure nothing")
    parser.add_argument("--json", type=Path, help="where to keep the figures (reports/bench-all.json, --tune: bench-tune.json)")
    parser.add_argument("--chart", type=Path, default=Path("reports/bench-all.svg"), help="where to draw")
    options = parser.parse_args(arguments)
    all_of_them = [each.candidate for each in shape_trials()] if options.tune else candidates(read_tuning())
    names = [each.name for each in all_of_them]
    if options.only and not any(_wanted(name, options.only) for name in names):
        parser.error(f"--only {options.only}: in no name; there are: {'; '.join(names)}")
    if options.publish and (options.quick or options.only or options.tune):
        parser.error("--publish takes a whole run: without --quick, --only and --tune")
    if options.recorded and not options.recorded.exists():
        parser.error(f"--from: there is no file {options.recorded}")
    if options.minutes <= 0 or (options.seconds is not None and options.seconds <= 0):
        parser.error("--seconds and --minutes are above 0")
    options.json = options.json or Path(f"reports/bench-{'tune' if options.tune else 'all'}.json")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    configure_logging("bench", level="error")
    look_rarely()  # as every service does when it starts
    title = f"{datetime.now(UTC):%Y-%m-%d}, {machine()}{', quick: no measurement' if options.quick else ''}"
    try:
        if options.recorded:
            run, code = Run.of_json(json.loads(options.recorded.read_text(encoding="utf-8"))), 0
            show(run)
        elif options.tune:
            return tune(options, title)
        else:
            run, code = compare(options, title)
        if not options.publish:
            return code
        if not run.whole:
            print("reefmesh: not published: the run was quick, or something is missing in it", file=sys.stderr)
            return code or EXIT_FAULT
        publish_all(run)
    except ComponentMissing as missing:
        print(f"reefmesh: {missing}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    except (MarkerMissing, KeyError, ValueError) as mistake:
        print(f"reefmesh: {mistake}", file=sys.stderr)
        return EXIT_FAULT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    print(f"published in README.md, docs/performance.md and {PICTURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
