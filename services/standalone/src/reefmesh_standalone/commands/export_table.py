"""What the sub-commands of ``reefmesh export`` share that write a table of the open data."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from reefmesh.clock import SystemClock
from reefmesh.contracts import services
from reefmesh.errors import ConfigurationError
from reefmesh.service.program import load_program
from reefmesh_dashboard.settings import DashboardSettings
from reefmesh_standalone.commands.context import Outcome, people, print_json, until_stopped
from reefmesh_standalone.commands.progress import bars
from reefmesh_standalone.commands.replaying import counted
from reefmesh_standalone.exporting.table_format import TableFormat
from reefmesh_standalone.exporting.table_from_address import table_from_address
from reefmesh_standalone.exporting.table_from_store import table_from_store
from reefmesh_standalone.home import Home
from reefmesh_standalone.mesh import addresses, open_stores
from reefmesh_standalone.whole_file import folder_beside, put_in_place, refuse_unwritable

NO_ROWS: Final = 1

FormatOption = Annotated[
    TableFormat, typer.Option("--format", help="csv, json, parquet or netcdf (series of stations, CF 1.8).")
]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", help="A dashboard's address, such as http://127.0.0.1:8080; without it the home's databases."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A table: ``question`` is in ERDDAP's grammar, ``noun`` one of its rows. ``address`` None: from the home's databases."""

    dataset_id: str
    question: str
    noun: str
    table_format: TableFormat
    address: str | None


def conditions(*, reef: str | None = None, buoy: str | None = None, period: tuple[str, ...] = ()) -> str:
    """Return a question in ERDDAP's grammar: all variables, of these rows."""
    texts = [("reef_id", reef), ("buoy_id", buoy)]
    stated = [f'{name}="{_escaped(text)}"' for name, text in texts if text is not None]
    return "".join(f"&{each}" for each in [*stated, *period])


def instants(first_us: int | None, end_us: int | None) -> tuple[str, ...]:
    """Return the conditions of a period of instants, in seconds since 1970."""
    ends = ((">=", first_us), ("<", end_us))
    return tuple(f"time{sign}{at_us / 1_000_000:.6f}" for sign, at_us in ends if at_us is not None)


async def export_table(
    place: Home, config: Path | None, wanted: Wanted, out: Path | None, stop: asyncio.Event, *, as_json: bool
) -> None:
    """Write a table to a file that appears when it is complete.

    Raises:
        ConfigurationError: an option is missing or wrong, the file cannot be written, a package is not installed.
        TransientError: the database or the address is away.
        Outcome: it was interrupted, or there is no row.
    """
    if out is None:
        raise ConfigurationError(f"--format {wanted.table_format} needs a file; name it with --out")
    refuse_unwritable(out)
    if wanted.address is None:
        place.require()
    await until_stopped(stop, _write(place, config, wanted, out, as_json=as_json))


async def _write(place: Home, config: Path | None, wanted: Wanted, out: Path, *, as_json: bool) -> None:
    unit = "row" if wanted.address is None else "byte"
    done = 0
    with folder_beside(out) as folder, bars(quiet=as_json or not people.is_terminal) as add:
        move = add(f"{wanted.dataset_id}, {unit}s", None)

        def moved(count: int) -> None:
            nonlocal done
            done = count
            move(count)

        made = await _made(place, config, wanted, folder, moved)
        size = 0 if made is None else put_in_place(made, out)
    if as_json:
        print_json(
            {
                "dataset": wanted.dataset_id,
                "format": wanted.table_format.value,
                "file": None if made is None else str(out),
                "rows": done if wanted.address is None else None,
                "bytes": size,
            }
        )
    if made is None:
        if not as_json:
            people.print(f"There is no {wanted.noun} like that; no file was written.")
        raise Outcome(NO_ROWS)
    if not as_json:
        people.print(f"{counted(done, wanted.noun if wanted.address is None else unit)} to {out}")


async def _made(place: Home, config: Path | None, wanted: Wanted, folder: Path, moved: Callable[[int], None]) -> Path | None:
    if wanted.address is not None:
        return await table_from_address(
            wanted.address, wanted.dataset_id, wanted.question, wanted.table_format, folder=folder, moved=moved
        )
    overrides = addresses(place, services.DASHBOARD)
    settings = load_program(services.DASHBOARD).settings.load(
        config=config, overrides=overrides, services=services.EVERY_SERVICE
    )
    if not isinstance(settings, DashboardSettings):
        raise TypeError(f"the dashboard's settings are {type(settings).__name__}")
    async with open_stores(place, services=(services.DASHBOARD,)) as stores:
        return await table_from_store(
            stores[services.DASHBOARD],
            wanted.dataset_id,
            wanted.question,
            wanted.table_format,
            folder=folder,
            publisher=settings.publisher,
            clock=SystemClock(),
            moved=moved,
        )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
