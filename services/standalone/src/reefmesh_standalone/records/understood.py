"""How a file was understood: what ``reefmesh import --dry-run`` shows before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from reefmesh.contracts.quantities import UNITS
from reefmesh_standalone.records.columns import ColumnUse
from reefmesh_standalone.records.times import TimesUnderstood


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """``lines`` of the file; ``readings`` in it; lines that ``repeated`` an instant with the same values, that hold ``events``
    of the logger and no reading, and that ``--where`` left out."""

    format: str
    encoding: str
    separator: str
    decimal_mark: str
    lines: int
    columns: Sequence[ColumnUse]
    times: TimesUnderstood
    readings: int = 0
    repeated: int = 0
    events: int = 0
    left_out: int = 0

    def with_counts(self, *, readings: int, repeated: int) -> "Understanding":
        return replace(self, readings=readings, repeated=repeated)

    def document(self) -> dict[str, Any]:
        """Return it for a machine."""
        return {
            "format": self.format,
            "encoding": self.encoding,
            "separator": self.separator,
            "decimal_mark": self.decimal_mark,
            "lines": self.lines,
            "readings": self.readings,
            "lines_repeated": self.repeated,
            "lines_of_events": self.events,
            "lines_left_out": self.left_out,
            "columns": [_column(use) for use in self.columns],
            "times": {
                "written": self.times.written,
                "meant": self.times.meant,
                "order": self.times.order,
                "zone": self.times.zone,
            },
        }


def unit_text(use: ColumnUse) -> str:
    """Return a column's unit, and the quantity's where it is another one."""
    if use.conversion is None:
        return ""
    return f"{use.conversion.unit} -> {UNITS[use.use]}" if use.conversion.changes else UNITS[use.use]


def _column(use: ColumnUse) -> dict[str, Any]:
    conversion = use.conversion
    return {
        "column": use.title,
        "use": use.use,
        "why": use.why,
        "unit": None if conversion is None else conversion.unit,
        "factor": None if conversion is None else conversion.factor,
        "shift": None if conversion is None else conversion.shift,
    }
