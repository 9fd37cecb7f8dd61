"""``reefmesh export``: readings, days of heat stress and alerts as files."""

import asyncio
import csv
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from reefmesh.contracts import services
from reefmesh_scoring.queries import day_scores, scored_reefs
from reefmesh_standalone.commands.context import (
    ConfigOption,
    HomeOption,
    JsonOption,
    Outcome,
    StoreOption,
    home_of,
    people,
    run,
)
from reefmesh_standalone.commands.export_table import (
    AddressOption,
    FormatOption,
    Wanted,
    conditions,
    export_table,
    instants,
)
from reefmesh_standalone.commands.help_page import Command
from reefmesh_standalone.commands.replaying import counted
from reefmesh_standalone.exporting import heat_csv, readings_csv
from reefmesh_standalone.exporting.period import day_of_option, end_us_of, first_us_of
from reefmesh_standalone.exporting.stored import Choice, quantities_in, stored_readings
from reefmesh_standalone.exporting.table_format import TableFormat
from reefmesh_standalone.mesh import open_stores
from reefmesh_standalone.records.own_columns import titles_of
from reefmesh_standalone.whole_file import refuse_unwritable, replacing

app: Final = typer.Typer(help="Write readings, days of heat stress or alerts to a file.", no_args_is_help=True)

WITHOUT_QUANTITIES: Final = ("sea_water_temperature",)
"""The columns of a file without readings."""

_STOP_LOOKED_AT_EVERY: Final = 500
_BROKEN_PIPE: Final = 141

Cells = Sequence[str | int | float]

ReefOption = Annotated[str | None, typer.Option("--reef", help="Only of this reef.")]
FromOption = Annotated[str | None, typer.Option("--from", help="First day (2026-03-01), or an instant with its offset.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last day, or an instant with its offset, itself not included.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="File to write; default: standard output.", show_default=False)]


@app.command(cls=Command)
def readings(
    reef: ReefOption = None,
    buoy: Annotated[str | None, typer.Option(help="Only of this buoy.")] = None,
    first: FromOption = None,
    last: ToOption = None,
    table_format: FormatOption = TableFormat.CSV,
    address: AddressOption = None,
    out: OutOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write readings, one a line: corrected and raw values, flags, tests, faults, revision; units stand in the header.

    Days are days of UTC. 'reefmesh import' reads the CSV back. All other formats, and all from --address, are open data.

    Examples:
      reefmesh export readings --reef amed-wall --from 2026-01-01 --to 2026-03-31 --out readings.csv
      reefmesh export readings --buoy 867740030000003 --from 2026-03-01T00:00+08:00 | gzip > march.csv.gz
      reefmesh export readings --reef amed-wall --format netcdf --out amed.nc
    """
    place = home_of(home, None, store, config)

    async def main(stop: asyncio.Event) -> None:
        first_us = None if first is None else first_us_of(first)
        end_us = None if last is None else end_us_of(last)
        choice = Choice(reef_id=reef, buoy_id=buoy, first_us=first_us, end_us=end_us)
        if _is_open_data(table_format, address, as_json=as_json):
            question = conditions(reef=reef, buoy=buoy, period=instants(first_us, end_us))
            wanted = Wanted(
                dataset_id="readings", question=question, noun="reading", table_format=table_format, address=address
            )
            await export_table(place, config, wanted, out, stop, as_json=as_json)
            return
        place.require()
        async with open_stores(place, services=(services.INGEST,)) as stores:
            ingest = stores[services.INGEST]
            quantities = await quantities_in(ingest, choice) or list(WITHOUT_QUANTITIES)
            lines = (readings_csv.line_of(each, quantities) async for each in stored_readings(ingest, choice))
            await _write(out, titles_of(quantities), lines, stop, noun="reading")

    run(main)


@app.command(cls=Command)
def heat(
    reef: ReefOption = None,
    first: FromOption = None,
    last: ToOption = None,
    table_format: FormatOption = TableFormat.CSV,
    address: AddressOption = None,
    out: OutOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the days of heat stress, one a line: SST, HotSpot, DHW with its band, levels, status; units stand in the header.

    Days are solar days of the reef.

    Examples:
      reefmesh export heat --reef amed-wall --out heat.csv
      reefmesh export heat --from 2026-01-01
    """
    place = home_of(home, None, store, config)

    async def main(stop: asyncio.Event) -> None:
        begin, end = day_of_option(first, option="--from"), day_of_option(last, option="--to")
        if _is_open_data(table_format, address, as_json=as_json):
            ends = ((">=", begin), ("<=", end))
            period = tuple(f"time{sign}{day.isoformat()}" for sign, day in ends if day is not None)
            question = conditions(reef=reef, period=period)
            wanted = Wanted(dataset_id="heat", question=question, noun="day", table_format=table_format, address=address)
            await export_table(place, config, wanted, out, stop, as_json=as_json)
            return
        place.require()
        async with open_stores(place, services=(services.SCORING,)) as stores:
            scoring = stores[services.SCORING]
            reefs = [reef] if reef is not None else await scored_reefs(scoring)
            lines = (heat_csv.line_of(each, day) for each in reefs async for day in day_scores(scoring, each, begin, end))
            await _write(out, heat_csv.TITLES, lines, stop, noun="day")

    run(main)


@app.command(cls=Command)
def alerts(
    reef: ReefOption = None,
    first: FromOption = None,
    last: ToOption = None,
    table_format: FormatOption = TableFormat.CSV,
    address: AddressOption = None,
    out: OutOption = None,
    home: HomeOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the published alerts, one a line: what changed, from what to what, when, why.

    Days are days of UTC.

    Examples:
      reefmesh export alerts --reef amed-wall --from 2026-01-01 --out alerts.csv
      reefmesh export alerts --address http://127.0.0.1:8080 --format parquet --out alerts.parquet
    """
    place = home_of(home, None, store, config)

    async def main(stop: asyncio.Event) -> None:
        period = instants(None if first is None else first_us_of(first), None if last is None else end_us_of(last))
        question = conditions(reef=reef, period=period)
        wanted = Wanted(dataset_id="alerts", question=question, noun="alert", table_format=table_format, address=address)
        await export_table(place, config, wanted, out, stop, as_json=as_json)

    run(main)


def _is_open_data(table_format: TableFormat, address: str | None, *, as_json: bool) -> bool:
    """Return whether a table comes from the read model. Our own CSV comes from the services' databases: it has what
    ``reefmesh import`` reads back, and positions."""
    return table_format is not TableFormat.CSV or address is not None or as_json


async def _write(
    out: Path | None, titles: Iterable[str], lines: AsyncIterator[Cells], stop: asyncio.Event, *, noun: str
) -> None:
    """Write all lines, to a file that appears when it is complete, and say how many.

    Raises:
        ConfigurationError: the file cannot be written.
        Outcome: it was interrupted, or whoever read standard output went away.
    """
    count = 0
    if out is not None:
        refuse_unwritable(out)
    try:
        with _target(out) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(titles)
            async for cells in lines:
                writer.writerow(cells)
                count += 1
                if count % _STOP_LOOKED_AT_EVERY == 0 and stop.is_set():
                    people.print(
                        "Interrupted: the lines so far are not the whole."
                        if out is None
                        else "Interrupted: no file was written."
                    )
                    raise Outcome(130)
            file.flush()
    except BrokenPipeError:
        # What is still buffered goes nowhere, instead of failing again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Outcome(_BROKEN_PIPE) from None
    if not count:
        people.print(f"There is no {noun} like that; the header stands alone.")
    elif out is not None:
        people.print(f"{counted(count, noun)} to {out}")


@contextmanager
def _target(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        yield sys.stdout
        return
    with replacing(out) as file:
        yield file
