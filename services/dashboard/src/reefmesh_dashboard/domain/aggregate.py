"""The values of one quantity of one buoy over an hour or a day, summed up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic_core import from_json, to_json

from reefmesh.contracts.flags import SCORED, Flag
from reefmesh.contracts.readings import Reading

STEPS_PER_UNIT: Final = 1_000_000
"""Sums are whole numbers of millionths of the unit, so the same values have the same sum in any order, and a day's sum is
exactly that of its hours. No sensor here has a finer step."""

HIGHEST: Final = 1e9
"""No quantity has values beyond this, either way; a greater one is left out, as its sum would not fit the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """``count`` values were scored (flag pass or not evaluated): their sum, lowest and highest; ``left_out`` had another flag.

    Missing values are in neither. With ``left_out`` alone, the sensor reported and nothing of it can be relied on: lowest and
    highest are None then.
    """

    count: int = 0
    sum_steps: int = 0
    lowest: float | None = None
    highest: float | None = None
    left_out: int = 0

    @property
    def mean(self) -> float | None:
        return self.sum_steps / self.count / STEPS_PER_UNIT if self.count else None


ByQuantity = Mapping[str, Aggregate]

Counted = Mapping[str, float | None]
"""What a reading adds to the sums, by quantity: its scored value; None: a value that is left out."""

Sums = dict[str, tuple[int, int, float | None, float | None, int]]
"""Aggregates that are being made, as plain tuples: ten of them change with every live reading."""

_EMPTY: Final = (0, 0, None, None, 0)
_SCORED: Final = tuple(int(flag) for flag in SCORED)
"""To look into a set, a flag would have to hash its name."""
_MISSING: Final = int(Flag.MISSING)


def counted(reading: Reading) -> Counted:
    """Return what a reading counts for; a withdrawn one counts for nothing, nor does a missing value."""
    found: dict[str, float | None] = {}
    if not reading.withdrawn:
        for quantity, channel in reading.channels.items():
            count_value(found, quantity, channel.value, channel.flag)
    return found


def count_value(found: dict[str, float | None], quantity: str, value: float | None, flag: int) -> None:
    """Note what one value of a reading counts for."""
    if value is not None and flag != _MISSING:
        found[quantity] = value if flag in _SCORED and -HIGHEST <= value <= HIGHEST else None


def add(sums: Sums, reading: Counted) -> None:
    """Add a reading to sums."""
    for quantity, value in reading.items():
        count, sum_steps, lowest, highest, left_out = sums.get(quantity, _EMPTY)
        if value is None:
            sums[quantity] = (count, sum_steps, lowest, highest, left_out + 1)
        else:
            sums[quantity] = (
                count + 1,
                sum_steps + round(value * STEPS_PER_UNIT),
                value if lowest is None or value < lowest else lowest,
                value if highest is None or value > highest else highest,
                left_out,
            )


def sums_of(readings: Iterable[Counted]) -> Sums:
    sums: Sums = {}
    for reading in readings:
        add(sums, reading)
    return sums


def of_parts(parts: Iterable[Sums]) -> Sums:
    """Return the sums over all parts."""
    sums: Sums = {}
    for part in parts:
        for quantity, (count, sum_steps, lowest, highest, left_out) in part.items():
            was = sums.get(quantity, _EMPTY)
            sums[quantity] = (
                was[0] + count,
                was[1] + sum_steps,
                min((each for each in (was[2], lowest) if each is not None), default=None),
                max((each for each in (was[3], highest) if each is not None), default=None),
                was[4] + left_out,
            )
    return sums


def to_body(sums: Sums) -> str:
    """Return the JSON that ``sums_from_body`` and ``from_body`` read."""
    return to_json(sums).decode()


def sums_from_body(body: str) -> Sums:
    return {quantity: tuple(numbers) for quantity, numbers in from_json(body).items()}


def from_body(body: str) -> ByQuantity:
    return {
        quantity: Aggregate(count=count, sum_steps=sum_steps, lowest=lowest, highest=highest, left_out=left_out)
        for quantity, (count, sum_steps, lowest, highest, left_out) in from_json(body).items()
    }
