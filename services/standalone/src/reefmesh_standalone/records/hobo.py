"""Exports of Onset's loggers: HOBOware and HOBOconnect.

HOBOware writes a line with the title of the plot, a column of times that names the offset in force for the whole file
(``Date Time, GMT+08:00``), and the numbers of logger and sensor in the names of the columns. HOBOconnect writes no title and
an abbreviation of the phone's zone (``Date-Time (PDT)``). Both put events of the logger ("Logged" under ``Host Connected``)
on lines of their own, and write dates as the program was set.
"""

import re
from typing import Final

from reefmesh_standalone.records.columns import Heading, heading_of
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.record import FileRecord
from reefmesh_standalone.records.sheet import Sheet
from reefmesh_standalone.records.table import Layout, read_table
from reefmesh_standalone.records.text import Report, TextFile

_TITLE: Final = re.compile(r"^\W*Plot Title\b", re.IGNORECASE)
_MARKS: Final = re.compile(
    r"\b(?:LGR S/N|SEN S/N|Host Connect|Coupler (?:At|De)tached|Button (?:Up|Down)|End Of File|EOF)", re.IGNORECASE
)
_TIME_OF_A_LOGGER: Final = re.compile(r"^Date[ -]Time\s*[,(-]", re.IGNORECASE)
_SERIALS: Final = re.compile(r"\s*(?:\([^()]*(?:S/N|LBL)[^()]*\)|#\s*\d{4,})\s*$", re.IGNORECASE)
_CHANNEL: Final = re.compile(r"^\s*Ch:?\s*\d+\s*-\s*", re.IGNORECASE)
_UNIT_AFTER_COMMA: Final = re.compile(r"^(?P<name>.+?)\s*,\s*(?P<unit>[^,()]{1,20}?)\s*$")


def recognises(sheet: Sheet) -> bool:
    """Tell whether a table is a logger's export."""
    if any(_TITLE.search(line) for line in sheet.above):
        return True
    return any(_MARKS.search(title) or _TIME_OF_A_LOGGER.search(title) for title in sheet.titles)


def read(file: TextFile, sheet: Sheet, options: ReadingOptions, report: Report | None) -> FileRecord:
    """Read a whole export. Raises ConfigurationError, as ``read_table``."""
    layout = Layout(
        format="HOBO logger",
        headings=[logger_heading(title) for title in sheet.titles],
        rows=sheet.rows(file, report=report),
        separator=sheet.separator_name,
        has_events=True,
        may_be_short=True,
    )
    return read_table(file.path, layout, options, encoding=file.encoding_name, lines=file.lines)


def logger_heading(title: str) -> Heading:
    """Return a heading without serial numbers and the number of the channel, its unit taken from behind the comma."""
    name = _CHANNEL.sub("", _SERIALS.sub("", " ".join(title.split())))
    if found := _UNIT_AFTER_COMMA.match(name):
        return Heading(title=title, name=found["name"], unit=found["unit"])
    plain = heading_of(name)
    return Heading(title=title, name=plain.name, unit=plain.unit)
