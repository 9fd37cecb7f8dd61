"""Tables of ERDDAP servers: ``.csv`` with a second line of units, ``.csvp`` with the units in the names. Times are UTC."""

from collections.abc import Sequence
from typing import Final

from reefmesh_standalone.records.columns import Heading, heading_of, is_time
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.sheet import Sheet
from reefmesh_standalone.records.table import Layout, read_table
from reefmesh_standalone.records.text import Report, TextFile

_UTC: Final = "UTC"
_NO_UNITS: Final = frozenset({"", "1"})


def recognises(sheet: Sheet) -> bool:
    """Tell whether units stand where ERDDAP puts them."""
    return _has_line_of_units(sheet) or any(
        heading.name == "time" and heading.unit == _UTC for heading in map(heading_of, sheet.titles)
    )


def read(file: TextFile, sheet: Sheet, options: ReadingOptions, report: Report | None) -> FileRecord:
    """Read a whole table. Raises ConfigurationError, as ``read_table``."""
    units = sheet.sample[0] if _has_line_of_units(sheet) else None
    layout = Layout(
        format="ERDDAP csv" if units is not None else "ERDDAP csvp",
        headings=_headings(sheet, units),
        rows=sheet.rows(file, report=report, skip=0 if units is None else 1),
        separator=sheet.separator_name,
    )
    return read_table(file.path, layout, options, encoding=file.encoding_name, lines=file.lines)


def _headings(sheet: Sheet, units: Sequence[str] | None) -> list[Heading]:
    if units is None:
        return [heading_of(title) for title in sheet.titles]
    return [
        Heading(title=title, name=title, unit="" if unit.strip() in _NO_UNITS else unit.strip())
        for title, unit in zip(sheet.titles, units, strict=True)
    ]


def _has_line_of_units(sheet: Sheet) -> bool:
    if not sheet.sample or len(sheet.sample[0]) != len(sheet.titles):
        return False
    return any(
        is_time(heading_of(title)) and unit.strip() == _UTC for title, unit in zip(sheet.titles, sheet.sample[0], strict=True)
    )
