"""``python -m reefmesh_faults``: break the mesh at random, and say what the checker found."""

import argparse
import asyncio
import contextlib
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from reefmesh.observability.logs import configure_logging
from reefmesh_components.requirement import ComponentMissing
from reefmesh_faults.interruption import run_interruptible
from reefmesh_faults.plan import ALL_KINDS
from reefmesh_faults.report import Report, markdown, show
from reefmesh_faults.run import Run, Settings

EXIT_FOUND: Final = 1
EXIT_UNAVAILABLE: Final = 69  # EX_UNAVAILABLE: what is needed to run is not on this machine
EXIT_INTERRUPTED: Final = 130
ENGINES: Final = ("activemq", "embedded", "rabbitmq")
STORES: Final = ("postgresql", "sqlite")
READINGS_A_FAULT: Final = 700
LOOK_SECONDS: Final = 0.5
EXAMPLES: Final = """\
examples:
  python -m reefmesh_faults --faults 20 --seed 7
  python -m reefmesh_faults --faults 300 --json reports/faults.json
  python -m reefmesh_faults --engine embedded --store sqlite --faults 40
  python -m reefmesh_faults --engine rabbitmq --faults 40
  python -m reefmesh_faults --only kill,pause,store_kill --keep /tmp/run

exit codes: 0 nothing found, 1 the checker found something, 69 no such broker or PostgreSQL here, 130 interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code."""
    options = _options(arguments)
    configure_logging("reefmesh-faults", level="error")
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # that a database is away is what we are here for
    people = Console(stderr=True, highlight=False)
    settings = Settings(
        seed=options.seed,
        faults=options.faults,
        engine=options.engine,
        store=options.store,
        spacing_seconds=options.spacing,
        messages_per_second=options.rate,
        readings=options.faults * READINGS_A_FAULT if options.readings is None else options.readings,
        kinds=tuple(options.only.split(",")) if options.only else (),
    )
    home = options.keep or Path(tempfile.mkdtemp(prefix="reefmesh-faults-"))
    keep = options.keep is not None
    try:
        report = run_interruptible(_run(settings, home, people))
        keep = keep or bool(report.findings)
    except ComponentMissing as missing:
        people.print(f"reefmesh: {missing}", markup=False, soft_wrap=True)
        return EXIT_UNAVAILABLE
    except KeyboardInterrupt:
        people.print("Interrupted: everything that was started is ended.")
        return EXIT_INTERRUPTED
    except BaseException:
        keep = True
        raise
    finally:
        if keep:
            people.print(f"logs and databases: {home}", soft_wrap=True)
        else:
            shutil.rmtree(home, ignore_errors=True)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report.document() | {"settings": asdict(settings)}, indent=1) + "\n")
        options.json.with_suffix(".md").write_text(markdown(report))
        people.print(f"figures: {options.json}", soft_wrap=True)
    show(report, Console(highlight=False))
    return EXIT_FOUND if report.findings else 0


async def _run(settings: Settings, home: Path, people: Console) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=people, transient=people.is_terminal) as bars:
        bar = bars.add_task("starting", total=settings.faults)

        def tell(line: str) -> None:
            bars.console.print(line, markup=False)

        run = Run(settings, home, tell=tell)

        async def follow() -> None:
            while True:
                at = run.progress
                bars.update(bar, description=f"{at.phase}: {at.readings:,} readings", completed=at.faults)
                await asyncio.sleep(LOOK_SECONDS)

        following = asyncio.create_task(follow())
        try:
            return await run.run()
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m reefmesh_faults",
        description="Run a mesh under random faults, then check its history against the laws.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--faults", type=int, default=60, metavar="N", help="how many faults (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of telemetry and plan (default: 1)")
    parser.add_argument("--engine", choices=ENGINES, default="activemq", help="the broker (default: activemq)")
    parser.add_argument("--store", choices=STORES, help="the databases (default: postgresql; embedded: sqlite)")
    parser.add_argument("--spacing", type=float, default=4.4, metavar="S", help="seconds from fault to fault (default: 4.4)")
    parser.add_argument("--rate", type=float, default=20.0, metavar="R", help="telemetry messages a second (default: 20)")
    parser.add_argument("--readings", type=int, metavar="N", help=f"at least so many (default: {READINGS_A_FAULT} a fault)")
    parser.add_argument("--only", default="", metavar="KINDS", help=f"only these kinds of faults, of {','.join(ALL_KINDS)}")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and databases there (kept anyway when found)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too, and beside it as .md")
    options = parser.parse_args(arguments)
    options.store = options.store or ("sqlite" if options.engine == "embedded" else "postgresql")
    if options.engine == "embedded" and options.store != "sqlite":
        parser.error("the embedded engine runs with --store sqlite")
    if options.faults < 1 or options.spacing <= 0 or options.rate <= 0:
        parser.error("--faults, --spacing and --rate must be above 0")
    if unknown := sorted(set(filter(None, options.only.split(","))) - set(ALL_KINDS)):
        parser.error(f"--only: there is no kind {', '.join(unknown)}; there are {', '.join(ALL_KINDS)}")
    if options.keep is not None and options.keep.exists() and any(options.keep.iterdir()):
        parser.error(f"--keep: {options.keep} is not empty")
    return options


if __name__ == "__main__":
    sys.exit(main())
