"""Readings as ``reefmesh export readings`` wrote them: values, missing values, faults and positions.

Of a quantity that the register of the buoy corrects the raw value is read, because it is corrected again; of any other the
value. Flags, tests and revisions are not read: quality control judges the readings anew.
"""

from collections.abc import Collection, Mapping, Sequence

from reefmesh.contracts.quantities import UNITS
from reefmesh_ingest.domain.decode.values import position_of
from reefmesh_standalone.records.columns import Heading
from reefmesh_standalone.records.mistake import mistake, shown
from reefmesh_standalone.records.options import ReadingOptions
from reefmesh_standalone.records.own_columns import (
    BUOY_TITLE,
    LATITUDE_TITLE,
    LONGITUDE_TITLE,
    REVISION_TITLE,
    TIME_TITLE,
    beside_title,
    text_of,
    value_title,
)
from reefmesh_standalone.records.record import FileRecord, Position
from reefmesh_standalone.records.sheet import Sheet
from reefmesh_standalone.records.table import Layout, read_table
from reefmesh_standalone.records.text import Report, TextFile


def recognises(sheet: Sheet) -> bool:
    return {TIME_TITLE, BUOY_TITLE, REVISION_TITLE} <= set(sheet.titles)


def read(file: TextFile, sheet: Sheet, options: ReadingOptions, report: Report | None) -> FileRecord:
    """Read a whole file. Raises ConfigurationError, as ``read_table``."""
    place_of = {title: place for place, title in enumerate(sheet.titles)}
    quantities = [quantity for quantity in UNITS if value_title(quantity) in place_of]
    read_of = {
        value_title(quantity) if quantity not in options.corrected else beside_title(quantity, "raw"): quantity
        for quantity in quantities
    }
    layout = Layout(
        format="readings of reefmesh",
        headings=[_heading(title, read_of) for title in sheet.titles],
        rows=sheet.rows(file, report=report),
        separator=sheet.separator_name,
        beside=_Beside(file, place_of, quantities),
    )
    return read_table(file.path, layout, options, encoding=file.encoding_name, lines=file.lines)


def _heading(title: str, read_of: Mapping[str, str]) -> Heading:
    if (quantity := read_of.get(title)) is not None:
        return Heading(title=title, name=quantity, unit=UNITS[quantity])
    known = {TIME_TITLE: ("time", "UTC"), BUOY_TITLE: (BUOY_TITLE, ""), "reef_id": ("reef_id", "")}
    name, unit = known.get(title, ("", ""))
    return Heading(title=title, name=name, unit=unit)


class _Beside:
    """Takes what stands beside the values of a line."""

    def __init__(self, file: TextFile, place_of: Mapping[str, int], quantities: Sequence[str]) -> None:
        self._path = file.path
        self._flags = {quantity: place_of.get(beside_title(quantity, "flag")) for quantity in quantities}
        self._faults = {quantity: place_of.get(beside_title(quantity, "fault")) for quantity in quantities}
        self._latitude, self._longitude = place_of.get(LATITUDE_TITLE), place_of.get(LONGITUDE_TITLE)
        self.faults: dict[int, dict[str, str]] = {}
        self.positions: dict[int, Position] = {}

    def take(self, reading: int, cells: Sequence[str], line: int) -> Collection[str]:
        """Take faults and position; return the quantities that this reading does not have."""
        faults = {
            quantity: text_of(cells[place]) for quantity, place in self._faults.items() if place is not None and cells[place]
        }
        if faults:
            self.faults[reading] = faults
        if self._latitude is not None and self._longitude is not None and cells[self._latitude]:
            position = position_of(cells[self._latitude], cells[self._longitude])
            if position is None:
                both = f"{cells[self._latitude]} {cells[self._longitude]}"
                raise mistake(self._path, f"{shown(both)} is no position", line=line)
            self.positions[reading] = position
        return [quantity for quantity, place in self._flags.items() if place is not None and not cells[place]]
