"""A table of the open data from the read model of a home."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from reefmesh.clock import Clock
from reefmesh.errors import ConfigurationError
from reefmesh.store.port import Store
from reefmesh_dashboard.erddap.forms import FILES, STREAMED
from reefmesh_dashboard.erddap.question import read_question
from reefmesh_dashboard.exports.catalogue import DATASETS
from reefmesh_dashboard.exports.files import FormatNotInstalled, columns_of, make_file
from reefmesh_dashboard.exports.publisher import DataPublisher, global_attributes
from reefmesh_dashboard.exports.row_file import Ordering
from reefmesh_dashboard.exports.rows import RowPages, TableChoice, row_pages
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_standalone.exporting.table_format import TableFormat

QUERY_SECONDS: Final = 60.0
NO_LIMIT: Final = 1 << 62
"""Bytes of a temporary file: the disk is of whoever asks."""


async def table_from_store(
    store: Store,
    dataset_id: str,
    question: str,
    table_format: TableFormat,
    *,
    folder: Path,
    publisher: DataPublisher,
    clock: Clock,
    moved: Callable[[int], None],
) -> Path | None:
    """Write a table into ``folder``; return None where it has no row. ``moved`` is told the number of rows so far.

    Raises:
        ConfigurationError: the packages of the format are not installed.
        TransientError: the database is away, or does not answer in time.
    """
    reader = Reader(store, timeout_seconds=QUERY_SECONDS)
    dataset = DATASETS[dataset_id]
    choice = read_question(question, dataset, now=clock.now(), time_range=None).choice
    if table_format.is_text:
        return await _write_text(reader, choice, table_format, folder, moved)
    file_format = FILES[table_format.suffix].file_format
    choice = TableChoice(dataset=dataset, variables=columns_of(choice, file_format), constraints=choice.constraints)
    pages = _told(row_pages(reader, choice), moved)
    about = global_attributes(dataset, publisher, made_at=clock.now())
    try:
        return await make_file(folder, file_format, choice, pages, about, ordering=Ordering(), bytes_limit=NO_LIMIT)
    except FormatNotInstalled as error:
        raise ConfigurationError(f"{error}; install it, or choose --format json") from None


async def _write_text(
    reader: Reader, choice: TableChoice, table_format: TableFormat, folder: Path, moved: Callable[[int], None]
) -> Path | None:
    form = STREAMED[table_format.suffix].make(choice.variables)
    path, is_empty = folder / "table.txt", True
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(form.head())
        async for page in _told(row_pages(reader, choice), moved):
            is_empty = False
            file.write(form.page(page))
        file.write(form.tail())
    return None if is_empty else path


async def _told(pages: RowPages, moved: Callable[[int], None]) -> RowPages:
    count = 0
    async for page in pages:
        yield page
        count += len(page)
        moved(count)
