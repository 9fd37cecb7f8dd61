"""A column of a dataset: its name, its kind, its metadata, and how it is read from a record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

Cell = str | int | float | None
"""A value in a row; None: missing. Of the kind ``time``: whole milliseconds since 1970 (UTC)."""

CellRow = tuple[Cell, ...]

Kind = Literal["text", "number", "integer", "flag", "time"]
TimeSpec = Literal["seconds", "milliseconds"]
Attribute = str | int | float | tuple[int, ...] | tuple[float, ...]

MILLISECONDS: Final = "1970-01-01T00:00:00.000Z"
DAYS: Final = "1970-01-01T00:00:00Z"
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - of UTC; without a zone it is written twice as fast
CONTENTS: Final[Mapping[str, str]] = {
    "Time": "coordinate",
    "Location": "coordinate",
    "Quality": "qualityInformation",
    "Identifier": "auxiliaryInformation",
    "Other": "auxiliaryInformation",
}
"""By the category of a variable; those of all others are measured."""
TIME_UNITS: Final = "seconds since 1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """``read`` takes the value from a record of the dataset. ``of_reef``: it is the same in all records of a reef, and ``read``
    needs no more of a record than its ``reef``."""

    name: str
    kind: Kind
    read: Callable[[Any], Cell]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    of_reef: bool = False

    @property
    def about(self) -> Mapping[str, Attribute]:
        """All attributes: the stated ones, and what kind of content it is (ISO 19115-1, as ACDD 1.3 asks)."""
        content = CONTENTS.get(str(self.attributes.get("ioos_category")), "physicalMeasurement")
        return {**self.attributes, "coverage_content_type": content}

    @property
    def is_text(self) -> bool:
        return self.kind == "text"

    @property
    def units(self) -> str | None:
        """The unit as tables show it; instants are text there, in UTC."""
        if self.kind == "time":
            return "UTC"
        units = self.attributes.get("units")
        return None if units is None else str(units)

    @property
    def timespec(self) -> TimeSpec:
        """How precisely texts show instants; all of one column alike."""
        return "seconds" if self.attributes.get("time_precision") == DAYS else "milliseconds"


def instant_text(milliseconds: int, timespec: TimeSpec) -> str:
    """Return an instant as ISO 8601 in UTC."""
    return f"{(_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec=timespec)}Z"


def shown_cell(variable: Variable, cell: Cell) -> Cell:
    """Return a cell as texts show it: instants are ISO 8601."""
    if variable.kind == "time" and isinstance(cell, int):
        return instant_text(cell, variable.timespec)
    return cell
