"""Makes files that have to be whole before the first byte of them is sent: NetCDF, Parquet, and rows to be arranged."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from reefmesh_dashboard.exports.netcdf_layout import needed_variables
from reefmesh_dashboard.exports.row_file import Ordering, RowFile
from reefmesh_dashboard.exports.rows import RowPages, TableChoice
from reefmesh_dashboard.exports.variable import Attribute, Variable

FileFormat = Literal["points", "series", "parquet"]
"""``points`` and ``series`` are NetCDF: a flat table, and series of stations."""
PACKAGES: Final[Mapping[FileFormat, Sequence[str]]] = {
    "points": ("h5netcdf", "h5py", "numpy"),
    "series": ("h5netcdf", "h5py", "numpy"),
    "parquet": ("pyarrow",),
}
EXTRA: Final = "reefmesh-dashboard[files]"


class FormatNotInstalled(Exception):
    """The packages that write a format are not installed here."""

    def __init__(self) -> None:
        super().__init__(f"this format needs {EXTRA}, which is not installed here")


def require_format(file_format: FileFormat) -> None:
    """Raises FormatNotInstalled."""
    if any(find_spec(name) is None for name in PACKAGES[file_format]):
        raise FormatNotInstalled


def columns_of(choice: TableChoice, file_format: FileFormat) -> tuple[Variable, ...]:
    """Return the columns that a file has for what was asked: series need to know whose they are."""
    return needed_variables(choice.dataset, choice.variables) if file_format == "series" else choice.variables


async def fill_row_file(
    folder: Path, variables: Sequence[Variable], pages: RowPages, *, bytes_limit: int, stack: AsyncExitStack
) -> RowFile | None:
    """Return a file with all rows, which ``stack`` closes; None: there is no row. Raises FileTooLarge, and as ``pages``."""
    rows = await asyncio.to_thread(RowFile, folder, variables, bytes_limit=bytes_limit)
    stack.callback(rows.close)
    is_empty = True
    async for page in pages:
        is_empty = False
        await asyncio.to_thread(rows.add, page)
    return None if is_empty else rows


async def make_file(
    folder: Path,
    file_format: FileFormat,
    choice: TableChoice,
    pages: RowPages,
    attributes: Mapping[str, Attribute],
    *,
    ordering: Ordering,
    bytes_limit: int,
) -> Path | None:
    """Write a file into ``folder``; return None where there is no row. ``pages`` has ``columns_of`` the choice.

    Raises:
        FormatNotInstalled: its packages are missing.
        FileTooLarge: it, or what it is made from, reaches the limit.
    """
    require_format(file_format)
    if file_format == "parquet":
        return await _make_parquet(folder, choice.variables, pages, attributes, ordering=ordering, bytes_limit=bytes_limit)
    return await _make_netcdf(
        folder, file_format == "series", choice, pages, attributes, ordering=ordering, bytes_limit=bytes_limit
    )


async def _make_netcdf(
    folder: Path,
    is_series: bool,
    choice: TableChoice,
    pages: RowPages,
    attributes: Mapping[str, Attribute],
    *,
    ordering: Ordering,
    bytes_limit: int,
) -> Path | None:
    from reefmesh_dashboard.exports.netcdf import write_points, write_series  # noqa: PLC0415 - an optional dependency

    variables = columns_of(choice, "series" if is_series else "points")
    path = folder / "table.nc"
    async with AsyncExitStack() as stack:
        rows = await fill_row_file(folder, variables, pages, bytes_limit=bytes_limit, stack=stack)
        if rows is None:
            return None
        if ordering != Ordering():
            await asyncio.to_thread(rows.arrange, ordering)
        if is_series:
            station = choice.dataset.station
            await asyncio.to_thread(write_series, path, rows, station, variables, attributes, limit=bytes_limit)
        else:
            await asyncio.to_thread(write_points, path, rows, variables, attributes, limit=bytes_limit)
    return path


async def _make_parquet(
    folder: Path,
    variables: Sequence[Variable],
    pages: RowPages,
    attributes: Mapping[str, Attribute],
    *,
    ordering: Ordering,
    bytes_limit: int,
) -> Path | None:
    from reefmesh_dashboard.exports.parquet import ParquetFile  # noqa: PLC0415 - an optional dependency

    path = folder / "table.parquet"
    async with AsyncExitStack() as stack:
        if ordering != Ordering():
            rows = await fill_row_file(folder, variables, pages, bytes_limit=bytes_limit, stack=stack)
            if rows is None:
                return None
            pages = batches_of(rows, ordering)
        file = await asyncio.to_thread(ParquetFile, path, variables, attributes, bytes_limit=bytes_limit)
        stack.callback(file.close)
        is_empty = True
        async for page in pages:
            is_empty = False
            await asyncio.to_thread(file.add, page)
        await asyncio.to_thread(file.finish)
    return None if is_empty else path


async def batches_of(rows: RowFile, ordering: Ordering) -> RowPages:
    """Yield the rows of a file, arranged."""
    batches = rows.ordered(ordering)
    while True:
        batch = await asyncio.to_thread(next, batches, None)
        if batch is None:
            return
        yield batch
