"""Which format a file has, and its readings."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final

from reefmesh_standalone.records import delimited, erddap, hobo, ndbc, noaa_station, own_csv
from reefmesh_standalone.records.mistake import mistake
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.sheet import HEADER_LINES_LIMIT, SAMPLE_LINES, Sheet, find_sheet
from reefmesh_standalone.records.text import Report, TextFile, examine


class RecordFormat(StrEnum):
    """The values of ``--format``."""

    REEFMESH = "reefmesh"
    HOBO = "hobo"
    ERDDAP = "erddap"
    NDBC = "ndbc"
    NOAA_STATION = "noaa-station"
    CSV = "csv"


SheetReader = Callable[[TextFile, Sheet, ReadingOptions, Report | None], FileRecord]

_OF_SHEETS: Final[Mapping[RecordFormat, SheetReader]] = {
    RecordFormat.REEFMESH: own_csv.read,
    RecordFormat.HOBO: hobo.read,
    RecordFormat.ERDDAP: erddap.read,
    RecordFormat.CSV: delimited.read,
}


def read_record(
    path: Path, options: ReadingOptions, *, file_format: RecordFormat | None = None, report: Report | None = None
) -> FileRecord:
    """Read a whole file; its format is recognised unless it is stated.

    Raises:
        ConfigurationError: it cannot be read or understood, or something in it must be asked; names the line where there is
            one.
    """
    file = examine(path, encoding=options.encoding)
    beginning = list(islice(file.read(), HEADER_LINES_LIMIT + SAMPLE_LINES))
    if file_format is RecordFormat.NOAA_STATION or (file_format is None and noaa_station.recognises(beginning)):
        return noaa_station.read(file, beginning, options, report)
    if file_format is RecordFormat.NDBC or (file_format is None and ndbc.recognises(beginning)):
        return ndbc.read(file, beginning, options, report)
    sheet = find_sheet(beginning, options)
    if sheet is None:
        what = f"has no header with a time among its first {HEADER_LINES_LIMIT} lines; name the column with --column NAME=time"
        raise mistake(path, what)
    return _OF_SHEETS[file_format or _recognised(sheet)](file, sheet, options, report)


def _recognised(sheet: Sheet) -> RecordFormat:
    if own_csv.recognises(sheet):
        return RecordFormat.REEFMESH
    if hobo.recognises(sheet):
        return RecordFormat.HOBO
    return RecordFormat.ERDDAP if erddap.recognises(sheet) else RecordFormat.CSV
