"""The readings of a table whose layout a format's module has found: the same rules for all of them."""

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from reefmesh.contracts.quantities import UNITS
from reefmesh_standalone.records.columns import DATE, TIME, ColumnRules, ColumnUse, Heading, offset_in, uses_of
from reefmesh_standalone.records.mistake import mistake, shown
from reefmesh_standalone.records.numbers import MISSING_WORDS, Numbers
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.record import ABSENT, FileRecord, Position, Rows, record_of
from reefmesh_standalone.records.times import Times
from reefmesh_standalone.records.understood import Understanding
from reefmesh_standalone.records.zones import Zone, offset_named, zone_of_option

APART: Final = frozenset(
    {
        "station",
        "station_id",
        "station_name",
        "platform",
        "platform_code",
        "wmo_id",
        "buoy",
        "buoy_id",
        "reef_id",
        "site",
        "depth",
        "z",
    }
)
"""Columns that keep series apart: a file with several values in one of them is several records."""

Row = tuple[int, Sequence[str]]
"""(line of the file, its cells)."""


class Beside(Protocol):
    """What a format has beside the values of a line; ``faults`` and ``positions`` are by the number of the reading."""

    @property
    def faults(self) -> Mapping[int, dict[str, str]]: ...

    @property
    def positions(self) -> Mapping[int, Position]: ...

    def take(self, reading: int, cells: Sequence[str], line: int) -> Collection[str]:
        """Take a line; return the quantities that its reading does not have at all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file is laid out. ``rows`` yields the lines below the header.

    ``zone`` is what the format says of its times, after the names of its columns. ``is_strict``: see ``ColumnRules``.
    ``has_events``: lines without any value are events of the logger. ``may_be_short``: lines may lack empty cells at their end.
    """

    format: str
    headings: Sequence[Heading]
    rows: Iterator[Row]
    separator: str
    zone: Zone | None = None
    is_strict: bool = False
    has_events: bool = False
    may_be_short: bool = False
    missing_words: frozenset[str] = MISSING_WORDS
    nines_are_missing: bool = False
    beside: Beside | None = None


def read_table(path: Path, layout: Layout, options: ReadingOptions, *, encoding: str, lines: int) -> FileRecord:
    """Read a whole table.

    Raises:
        ConfigurationError: anything in it that cannot be understood, or must be asked; names the line.
    """
    rules = ColumnRules(uses=options.columns, units=options.units, is_strict=layout.is_strict)
    uses = uses_of(path, layout.headings, rules)
    table = _Table(path, layout, options, uses)
    for line, cells in layout.rows:
        table.take(line, cells)
    if not len(table.times):
        raise mistake(path, "has no readings below its header" if not table.left_out else "has no line that --where describes")
    instants, times = table.times.instants()
    understood = Understanding(
        format=layout.format,
        encoding=encoding,
        separator=layout.separator,
        decimal_mark=table.numbers.decimal_mark,
        lines=lines,
        columns=uses,
        times=times,
        events=table.events,
        left_out=table.left_out,
    )
    beside = layout.beside
    rows = Rows(
        observed_us=instants,
        values=table.values,
        lines=table.times.lines,
        faults={} if beside is None else beside.faults,
        positions={} if beside is None else beside.positions,
    )
    return record_of(path, rows, understood)


class _Table:
    """Takes lines; holds what they say."""

    def __init__(self, path: Path, layout: Layout, options: ReadingOptions, uses: Sequence[ColumnUse]) -> None:
        self._path = path
        self._layout = layout
        self._headings = layout.headings
        self._stamps = sorted((use for use in uses if use.use in (DATE, TIME)), key=lambda use: use.use != DATE)
        if not self._stamps:
            raise mistake(path, "has no column of times; name it with --column NAME=time")
        self._used = [(use, use.conversion) for use in uses if use.use in UNITS]
        self._where = {_place(path, layout.headings, name): text.strip() for name, text in options.where.items()}
        self._apart = {
            place: ""
            for place, heading in enumerate(layout.headings)
            if heading.key in APART and place not in self._where and uses[place].use not in UNITS
        }
        self.numbers = Numbers(path, missing_words=layout.missing_words, nines_are_missing=layout.nines_are_missing)
        zone = self._zone(options)
        said = next(filter(None, (offset_in(layout.headings[stamp.place]) for stamp in self._stamps)), "")
        self.times = Times(path, order=options.date_order, zone=zone, now=options.now, abbreviation="" if zone else said)
        self.values = {use.use: array("d") for use, _ in self._used}
        self.events = self.left_out = 0

    def take(self, line: int, cells: Sequence[str]) -> None:
        if not any(cell.strip() for cell in cells):
            return
        cells = self._whole(line, cells)
        if any(not _is(cells[place], text) for place, text in self._where.items()):
            self.left_out += 1
            return
        if self._layout.has_events and not any(cells[use.place].strip() for use, _ in self._used):
            self.events += 1
            return
        for place, first in self._apart.items():
            self._refuse_another(place, first, cells[place].strip(), line)
        self.times.add(" ".join(cells[stamp.place].strip() for stamp in self._stamps), line)
        for use, conversion in self._used:
            number = self.numbers.read(cells[use.place], column=use.title, line=line)
            self.values[use.use].append(number if conversion is None else conversion(number))
        if self._layout.beside is not None:
            for quantity in self._layout.beside.take(len(self.times) - 1, cells, line):
                if quantity in self.values:
                    self.values[quantity][-1] = ABSENT

    def _whole(self, line: int, cells: Sequence[str]) -> Sequence[str]:
        width = len(self._headings)
        if len(cells) == width:
            return cells
        if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
            return cells[:width]
        if len(cells) < width and self._layout.may_be_short:
            return [*cells, *[""] * (width - len(cells))]
        raise mistake(self._path, f"{len(cells)} fields instead of {width}", line=line)

    def _refuse_another(self, place: int, first: str, text: str, line: int) -> None:
        if not first:
            self._apart[place] = text
        elif text and not _is(text, first):
            title = self._headings[place].title
            both = f"{shown(title)} is {shown(text)} here and {shown(first)} above"
            what = f"{both}: several records; choose one with --where {shown(f'{title}={first}')}"
            raise mistake(self._path, what, line=line)

    def _zone(self, options: ReadingOptions) -> Zone | None:
        """The operator's zone before the file's own; an abbreviation such as PDT is none."""
        if options.timezone is not None:
            return zone_of_option(options.timezone, longitude_degrees=options.longitude_degrees)
        for stamp in self._stamps:
            heading = self._headings[stamp.place]
            if (zone := offset_named(offset_in(heading), source=f"column {shown(heading.title)}")) is not None:
                return zone
        return self._layout.zone


def _place(path: Path, headings: Sequence[Heading], name: str) -> int:
    for wanted in (name.strip(), name.strip().lower()):
        for place, heading in enumerate(headings):
            if wanted in (heading.title, heading.title.lower(), heading.name.lower()):
                return place
    titles = ", ".join(shown(heading.title) for heading in headings[:12])
    raise mistake(path, f"--where {shown(name)} is no column; there are {titles}")


def _is(cell: str, text: str) -> bool:
    """Tell whether a cell is this text, or the same number."""
    if cell.strip() == text:
        return True
    try:
        return float(cell) == float(text)
    except ValueError:
        return False
