"""Shared by the commands that read records: their options, and reading beside a progress bar."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from reefmesh.clock import SystemClock
from reefmesh.errors import ConfigurationError
from reefmesh_standalone.commands.context import Outcome, people
from reefmesh_standalone.commands.progress import bars
from reefmesh_standalone.records.formats import RecordFormat, read_record
from reefmesh_standalone.records.mistake import shown
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.times import DateOrder

FormatOption = Annotated[
    RecordFormat | None, typer.Option("--format", help="How the file is written; default: recognised.", show_default=False)
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=QUANTITY",
        help="What a column holds: a quantity, time, date or ignored. NAME is its title or number.",
        show_default=False,
    ),
]
UnitOption = Annotated[
    list[str] | None,
    typer.Option("--unit", metavar="NAME=UNIT", help="The unit of a column, such as degF, cm/s.", show_default=False),
]
TimezoneOption = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        help="Zone of times without an offset: IANA name, offset (+08:00), or site (the reef's longitude, whole hours).",
        show_default=False,
    ),
]
DateOrderOption = Annotated[
    DateOrder | None, typer.Option("--date-order", help="Order of day and month where both fit.", show_default=False)
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="COLUMN=VALUE", help="Only lines with this value, such as depth=1.0.", show_default=False),
]
EncodingOption = Annotated[
    str | None, typer.Option("--encoding", help="Of the text; default: UTF-8, UTF-16, else cp1252.", show_default=False)
]

LINES_WITHOUT_A_BAR: Final = 50_000
"""A file up to this is read before anybody could watch."""


class _Stopped(Exception):
    """The reading was told to stop."""


def options_of(
    *,
    columns: Sequence[str] | None = None,
    units: Sequence[str] | None = None,
    where: Sequence[str] | None = None,
    timezone: str | None = None,
    date_order: DateOrder | None = None,
    encoding: str | None = None,
    longitude_degrees: float | None = None,
    mmm_celsius: float | None = None,
    reef_mmm_celsius: float | None = None,
    corrected: Sequence[str] = (),
) -> ReadingOptions:
    """Return what the command's options say.

    Raises:
        ConfigurationError: one of them is not NAME=VALUE.
    """
    return ReadingOptions(
        now=SystemClock().now(),
        columns=_pairs("--column", columns, last=True),
        units=_pairs("--unit", units, last=True),
        where=_pairs("--where", where, last=False),
        timezone=timezone,
        date_order=date_order,
        encoding=encoding,
        longitude_degrees=longitude_degrees,
        mmm_celsius=mmm_celsius,
        reef_mmm_celsius=reef_mmm_celsius,
        corrected=corrected,
    )


async def read_beside(
    path: Path, options: ReadingOptions, *, file_format: RecordFormat | None, stop: asyncio.Event, quiet: bool
) -> FileRecord:
    """Read a file in a thread, so that a signal is seen meanwhile; a long one beside a bar, unless ``quiet``.

    Raises:
        ConfigurationError: as ``read_record``.
        Outcome: ``stop`` was set.
    """
    with ExitStack() as bar:
        move: Callable[[int], None] | None = None

        def report(lines: int, of_lines: int) -> None:
            nonlocal move
            if stop.is_set():
                raise _Stopped
            if move is None and not quiet and of_lines > LINES_WITHOUT_A_BAR:
                move = bar.enter_context(bars())("lines read", of_lines)
            if move is not None:
                move(lines)

        try:
            return await asyncio.to_thread(read_record, path, options, file_format=file_format, report=report)
        except _Stopped:
            people.print("Interrupted: nothing was sent.")
            raise Outcome(130) from None


def _pairs(option: str, stated: Sequence[str] | None, *, last: bool) -> dict[str, str]:
    """Return name -> value; ``last``: a name may have an equals sign of its own, else a value may."""
    pairs: dict[str, str] = {}
    for text in stated or ():
        name, sign, value = text.rpartition("=") if last else text.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise ConfigurationError(f"{option} {shown(text)} is not NAME=VALUE")
        if pairs.setdefault(name.strip(), value.strip()) != value.strip():
            raise ConfigurationError(f"{option} names {shown(name)} twice")
    return pairs
