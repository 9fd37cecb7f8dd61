"""A record: the readings of one place in order of time, as columns of numbers, and how its file was understood."""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from reefmesh_standalone.records.mistake import mistake
from reefmesh_standalone.records.times import iso
from reefmesh_standalone.records.understood import Understanding

ABSENT: Final = math.inf
"""In a column of values: this reading does not have the quantity. ``MISSING`` (NaN): it has, without a value."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Channels = dict[str, float | None]
Position = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a file says of the place. ``mmm_celsius`` is the maximum of the monthly means."""

    name: str | None = None
    mmm_celsius: float | None = None
    latitude_degrees: float | None = None
    longitude_degrees: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """``observed_us`` ascends without repeats; ``values`` are in the units of ``quantities.UNITS``, quantity by quantity.

    ``lines`` are the lines of the file. ``faults`` and ``positions`` are by the place of the reading, where there are any.
    """

    observed_us: "array[int]"
    values: dict[str, "array[float]"]
    lines: "array[int]"
    understood: Understanding
    faults: Mapping[int, dict[str, str]] = field(default_factory=dict)
    positions: Mapping[int, Position] = field(default_factory=dict)
    facts: Facts = Facts()

    def __len__(self) -> int:
        return len(self.observed_us)

    def observed_at(self, place: int) -> datetime:
        return _EPOCH + timedelta(microseconds=self.observed_us[place])

    def channels(self, place: int) -> Channels:
        """Return quantity -> value of one reading; None is a missing value."""
        return {
            quantity: None if math.isnan(value) else value
            for quantity, column in self.values.items()
            if (value := column[place]) != ABSENT
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The lines of a file as they stand in it, one reading each: in any order, instants repeated or not."""

    observed_us: "array[int]"
    values: dict[str, "array[float]"]
    lines: "array[int]"
    faults: Mapping[int, dict[str, str]] = field(default_factory=dict)
    positions: Mapping[int, Position] = field(default_factory=dict)


def record_of(path: Path, rows: Rows, understood: Understanding, *, facts: Facts = Facts()) -> FileRecord:
    """Put the lines in order of time; lines of one instant become one reading.

    Raises:
        ConfigurationError: two lines give different values for one instant.
    """
    instants = rows.observed_us
    order: Sequence[int] = range(len(instants))
    if any(instants[place] > instants[place + 1] for place in range(len(instants) - 1)):
        order = sorted(order, key=instants.__getitem__)
    observed_us, lines = array("q"), array("l")
    values = {quantity: array("d") for quantity in rows.values}
    faults: dict[int, dict[str, str]] = {}
    positions: dict[int, Position] = {}
    repeated = 0
    for place in order:
        if observed_us and observed_us[-1] == instants[place]:
            _join(path, values, rows, place, lines[-1])
            repeated += 1
        else:
            observed_us.append(instants[place])
            lines.append(rows.lines[place])
            for quantity, column in values.items():
                column.append(rows.values[quantity][place])
        if place in rows.faults:
            faults.setdefault(len(lines) - 1, {}).update(rows.faults[place])
        if place in rows.positions:
            positions.setdefault(len(lines) - 1, rows.positions[place])
    return FileRecord(
        observed_us=observed_us,
        values=values,
        lines=lines,
        understood=understood.with_counts(readings=len(lines), repeated=repeated),
        faults=faults,
        positions=positions,
        facts=facts,
    )


def _join(path: Path, values: Mapping[str, "array[float]"], rows: Rows, place: int, line: int) -> None:
    for quantity, column in values.items():
        mine, other = column[-1], rows.values[quantity][place]
        if other in (mine, ABSENT) or (math.isnan(other) and mine != ABSENT):
            continue
        if not math.isnan(mine) and mine != ABSENT:
            at, second = iso(rows.observed_us[place]), rows.lines[place]
            said = f"lines {min(line, second)} and {max(line, second)} give {quantity} {mine:g} and {other:g} for {at}"
            raise mistake(path, f"{said}; remove one, or choose the lines of one place and depth with --where COLUMN=VALUE")
        column[-1] = other
