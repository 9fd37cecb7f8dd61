"""Text of NOAA's National Data Buoy Center: standard meteorological files and ``.ocean`` files, of today and of the past.

Columns stand under ``#YY MM DD hh mm`` (older: ``YYYY MM DD hh``, or years of two digits), with a line of units below in newer
files. Times are UTC. ``MM`` is a missing value, and so is a number of nines (99.0, 999.0, 9999). ``VIS`` is of the air.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from reefmesh_standalone.records.columns import Heading
from reefmesh_standalone.records.mistake import mistake
from reefmesh_standalone.records.numbers import MISSING_WORDS
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.table import Layout, Row, read_table
from reefmesh_standalone.records.text import Report, TextFile
from reefmesh_standalone.records.zones import offset_named

_HEADER: Final = re.compile(r"^#?\s*(?:YY|YYYY)\s+MM\s+DD\s+hh\b")
_UNITS: Final = {"WTMP": "degC", "OTMP": "degC", "SAL": "psu"}
"""Of files without a line of units."""
_CENTURY: Final = 70


def recognises(beginning: Sequence[str]) -> bool:
    return _header_place(beginning) is not None


def read(file: TextFile, beginning: Sequence[str], options: ReadingOptions, report: Report | None) -> FileRecord:
    """Read a whole file. Raises ConfigurationError, as ``read_table``."""
    place = _header_place(beginning)
    if place is None:
        raise mistake(file.path, "has no header '#YY MM DD hh mm ...' of NDBC")
    names = beginning[place].lstrip("# ").split()
    stamps = 5 if names[4:5] == ["mm"] else 4
    units = _units(beginning[place + 1 :], len(names))
    headings = [Heading(title=" ".join(names[:stamps]), name="time")]
    for number, name in enumerate(names[stamps:], start=stamps):
        unit = units[number] if units else _UNITS.get(name, "")
        headings.append(Heading(title=name, name=name, unit="" if unit == "-" else unit))
    first = place + (2 if units else 1)
    layout = Layout(
        format="NDBC text",
        headings=headings,
        rows=_rows(file, report, first, stamps, len(names)),
        separator="blanks",
        zone=offset_named("UTC", source="the format"),
        missing_words=MISSING_WORDS | {"mm"},
        nines_are_missing=True,
    )
    return read_table(file.path, layout, options, encoding=file.encoding_name, lines=file.lines)


def _header_place(beginning: Sequence[str]) -> int | None:
    return next((place for place, line in enumerate(beginning[:5]) if _HEADER.match(line)), None)


def _units(below: Sequence[str], width: int) -> list[str]:
    """Return the units of the line below the header, if it is one: it begins with the mark of a comment, or with a word."""
    words = below[0].lstrip("# ").split() if below else []
    return words if len(words) == width and not words[0].isdecimal() else []


def _rows(file: TextFile, report: Report | None, first: int, stamps: int, width: int) -> Iterator[Row]:
    """Yield the lines with their time in the first cell."""
    for number, line in enumerate(islice(file.read(report), first, None), start=first + 1):
        cells = line.split()
        if not cells or line.startswith("#"):
            continue
        if len(cells) != width:
            raise mistake(file.path, f"{len(cells)} fields instead of {width}", line=number)
        year, month, day, hour, *minute = cells[:stamps]
        if len(year) <= 2 and year.isdecimal():
            year = f"{int(year) + (1900 if int(year) >= _CENTURY else 2000)}"
        yield number, [f"{year}-{month}-{day} {hour}:{minute[0] if minute else '00'}", *cells[stamps:]]
