"""``python -m reefmesh_faults.simulation``: schedules by the thousand, or one of them with its trace."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from reefmesh_faults.simulation.campaign import Found, Tally, composition_named, find, hushed, run_campaign
from reefmesh_faults.simulation.schedule import WORLDS, run_schedule
from reefmesh_faults.simulation.switches import SWITCHES, WHOLE
from reefmesh_faults.simulation.world import Outcome

EXIT_BROKEN: Final = 1
SHOWN: Final = 10
EXAMPLES: Final = """examples:
  python -m reefmesh_faults.simulation --schedules 10000 --seed 0        many schedules; exit code 1 if a law was broken
  python -m reefmesh_faults.simulation --schedules 1 --seed 4711         one of them again, with its trace
  python -m reefmesh_faults.simulation --engine embedded                 the mesh in one process, on its journal
  python -m reefmesh_faults.simulation --table                           what the checker sees with each safeguard off
  python -m reefmesh_faults.simulation --without outbox --schedules 1 --seed 1
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    out = Console(soft_wrap=True, highlight=False)
    if options.table:
        found = [find(each, first=options.seed, limit=options.schedules) for each in SWITCHES]
        _show_found(found, out, as_json=options.json)
        return EXIT_BROKEN if any(each.seed is None for each in found) else 0
    if options.schedules == 1:
        with hushed():
            outcome = run_schedule(options.seed, composition_named(options.without), engine=options.engine)
        _show_outcome(outcome, as_json=options.json)
        return EXIT_BROKEN if outcome.violations else 0
    began = time.monotonic()
    tally = _campaign(options)
    _show_tally(tally, options, time.monotonic() - began, out)
    return EXIT_BROKEN if tally.broken else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m reefmesh_faults.simulation",
        description="The mesh under a deterministic scheduler, with crashes; every schedule is named by its seed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [WHOLE.name, *(each.name for each in SWITCHES)]
    parser.add_argument("--schedules", type=_positive, default=1000, metavar="N", help="how many, from 1 (default 1000)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first; the others follow (default 0)")
    parser.add_argument("--without", choices=names, default=WHOLE.name, help="the safeguard to leave out (default none)")
    parser.add_argument("--engine", choices=list(WORLDS), default="activemq", help="the broker (default activemq)")
    parser.add_argument("--table", action="store_true", help="leave each safeguard out in turn, until that is seen")
    parser.add_argument(
        "--jobs", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes (default: processors)"
    )
    parser.add_argument("--json", action="store_true", help="the result as JSON on standard output")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def _campaign(options: argparse.Namespace) -> Tally:
    columns = (
        TextColumn("schedules"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[broken]} with a broken law"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("schedules", total=options.schedules, broken=0)

        def progress(tally: Tally) -> None:
            bar.update(task, completed=tally.schedules, broken=len(tally.broken))

        return run_campaign(
            options.seed,
            options.schedules,
            switch=options.without,
            engine=options.engine,
            jobs=options.jobs,
            progress=progress,
        )


def _show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    broken = [str(violation) for violation in outcome.violations]
    if as_json:
        sys.stdout.write(json.dumps({"seed": outcome.seed, "broken": broken, "trace": outcome.trace}) + "\n")
        return
    lines = [
        *outcome.trace,
        "",
        f"seed {outcome.seed}: {outcome.messages} messages, {outcome.units} units, {outcome.turns} turns",
    ]
    lines += [f"BROKEN {each}" for each in broken] or ["no law was broken"]
    sys.stdout.write("\n".join(lines) + "\n")


def _show_tally(tally: Tally, options: argparse.Namespace, seconds: float, out: Console) -> None:
    if options.json:
        asked = {"first_seed": options.seed, "engine": options.engine, "without": options.without, "seconds": round(seconds, 1)}
        sys.stdout.write(json.dumps(tally.facts() | asked) + "\n")
        return
    last = options.seed + options.schedules - 1
    table = Table(title=f"{options.engine}, seeds {options.seed} to {last}, without: {options.without}")
    table.add_column("what")
    table.add_column("how many", justify="right")
    rows = {
        "schedules": tally.schedules,
        "a minute": round(tally.schedules / seconds * 60),
        "telemetry messages": tally.messages,
        "units of work written": tally.units,
        "messages that the broker took back": tally.redeliveries,
        "handlings that came to nothing": tally.handled_again,
        "turns of the loop": tally.turns,
        "faults": sum(tally.faults.values()),
        **{f"  {kind}": count for kind, count in sorted(tally.faults.items())},
        "schedules with a broken law": len(tally.broken),
        **{f"  {law}": count for law, count in sorted(tally.laws.items())},
    }
    for what, count in rows.items():
        table.add_row(what, f"{count:,}")
    out.print(table)
    for seed, broken in sorted(tally.broken.items())[:SHOWN]:
        out.print(f"seed {seed}: {broken[0]}", markup=False)


def _show_found(found: Sequence[Found], out: Console, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps([asdict(each) for each in found]) + "\n")
        return
    table = Table(title="What the checker sees when a safeguard is off")
    for column in ("switched off", "what that means", "schedules until found", "law broken", "seed"):
        table.add_column(column)
    for each in found:
        seed = "never" if each.seed is None else str(each.seed)
        table.add_row(each.switch, each.what, str(each.schedules), each.law, seed)
    out.print(table)


if __name__ == "__main__":
    sys.exit(main())
