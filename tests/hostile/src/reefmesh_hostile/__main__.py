"""``python -m reefmesh_hostile``: random mischief beside honest traffic, and what the checker found."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from reefmesh_components.requirement import ComponentMissing
from reefmesh_hostile.acts import act_named, acts_on
from reefmesh_hostile.amqp_mischief import AMQP_DRAWERS, drawers_on
from reefmesh_hostile.attacked_broker import Engine
from reefmesh_hostile.campaign import Campaign, Limits, Tally
from reefmesh_hostile.mischief import DRAWERS
from reefmesh_hostile.performance import Theatre
from reefmesh_hostile.report import document, show
from reefmesh_hostile.stage import stage

EXIT_FOUND: Final = 1
EXIT_UNAVAILABLE: Final = 69  # EX_UNAVAILABLE: what is needed to run is not on this machine
EXIT_INTERRUPTED: Final = 130
LONG_RUN: Final = {"REEFMESH_INGEST_QUARANTINE_DEVICE_BYTES_LIMIT": str(100 * 1024 * 1024)}
"""Most of a run is of one claimed device: beyond the usual quota its bodies, and the marks in them, would not be kept."""
LONG_RUN_STORE_LIMIT: Final = "256 mb"
"""Nobody works off what a run leaves in the parkings: 69 MB after 2,500 acts."""
EXAMPLES: Final = """\
examples:
  python -m reefmesh_hostile --acts 5000 --seed 7
  python -m reefmesh_hostile --acts 500 --store postgresql --json reports/hostile.json
  python -m reefmesh_hostile --engine rabbitmq --acts 1000
  python -m reefmesh_hostile --only received-at-9999,unreadable-flood

exit codes: 0 nothing found, 1 the checker found something or time was up before all acts were played,
69 no such broker or no PostgreSQL here, 130 interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code."""
    options = _options(arguments)
    people = Console(stderr=True, highlight=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended then too
    try:
        if options.only:
            return _play_named(options.only.split(","), Console(highlight=False), engine=options.engine, store=options.store)
        tally = _campaign(options, people)
    except ComponentMissing as missing:
        people.print(f"reefmesh: {missing}", markup=False, soft_wrap=True)
        return EXIT_UNAVAILABLE
    except KeyboardInterrupt:
        people.print("Interrupted: everything that was started is ended.")
        return EXIT_INTERRUPTED
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document(tally, seed=options.seed), indent=1) + "\n")
        people.print(f"figures: {options.json}", soft_wrap=True)
    show(tally, Console(highlight=False), seed=options.seed)
    return exit_code(tally)


def exit_code(tally: Tally) -> int:
    """A run that was cut short has shown nothing."""
    return EXIT_FOUND if tally.breaches or not tally.is_complete else 0


def _campaign(options: argparse.Namespace, people: Console) -> Tally:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    kinds = tuple(filter(None, options.kinds.split(",")))
    limits = Limits(acts=options.acts, kinds=kinds, minutes=options.minutes, breaches=options.breaches)
    with (
        Progress(*columns, console=people, transient=people.is_terminal) as bars,
        stage(options.engine, store=options.store, store_limit=LONG_RUN_STORE_LIMIT, environment=LONG_RUN) as place,
    ):
        bar = bars.add_task("random mischief", total=options.acts)

        def on_act(tally: Tally) -> None:
            found = f", {len(tally.breaches)} breaches" if tally.breaches else ""
            bars.update(bar, completed=tally.played, description=f"random mischief{found}")

        return Campaign(place, seed=options.seed, limits=limits, drawers=drawers_on(options.engine), on_act=on_act).run()


def _play_named(names: Sequence[str], console: Console, *, engine: Engine, store: str) -> int:
    """Play named acts, each to its bitter end, and tell what followed."""
    found = False
    with stage(engine, store="postgresql" if store == "postgresql" else "sqlite") as place:
        theatre = Theatre(place, is_hasty=False)
        for name in names:
            played = theatre.play(act_named(name, engine))
            found = found or bool(played.findings)
            console.print(f"{name} (row {played.act.row}, {played.lasted_seconds:.1f} s) {played.deed.note}", markup=False)
            for finding in played.findings:
                console.print(f"  {finding}", markup=False, soft_wrap=True)
    return EXIT_FOUND if found else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m reefmesh_hostile",
        description="Attack a mesh with one device's password, beside honest traffic, and check what must hold.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--acts", type=int, default=500, metavar="N", help="how many random acts (default: 500)")
    parser.add_argument("--engine", choices=("activemq", "rabbitmq"), default="activemq", help="the broker (default: activemq)")
    parser.add_argument("--seed", type=int, default=1, help="of the acts (default: 1)")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="the databases (default: sqlite)")
    parser.add_argument("--minutes", type=float, default=13.5, metavar="M", help="stop after so long (default: 13.5)")
    parser.add_argument("--breaches", type=int, default=15, metavar="N", help="stop after so many (default: 15)")
    parser.add_argument(
        "--kinds",
        default="",
        metavar="KINDS",
        help=f"only these kinds of random acts, of {','.join(DRAWERS)}; with --engine rabbitmq {','.join(AMQP_DRAWERS)}",
    )
    parser.add_argument("--only", default="", metavar="NAMES", help="no random acts, but these named ones")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    if options.acts < 1 or options.minutes <= 0 or options.breaches < 1:
        parser.error("--acts, --minutes and --breaches must be above 0")
    known, drawers = acts_on(options.engine), drawers_on(options.engine)
    if unknown := sorted(set(filter(None, options.kinds.split(","))) - set(drawers)):
        parser.error(f"--kinds: there is no kind {', '.join(unknown)}")
    if unknown := sorted(set(filter(None, options.only.split(","))) - {act.name for act in known}):
        parser.error(f"--only: there is no act {', '.join(unknown)}; there are {', '.join(act.name for act in known)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
