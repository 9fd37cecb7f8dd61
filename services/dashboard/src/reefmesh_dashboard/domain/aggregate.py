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


def aggregate_of(values: Iterable[tuple[float, Flag]]) -> Aggregate:
    """Return the aggregate of values with their flags."""
    scored: list[float] = []
    left_out = 0
    for value, flag in values:
        if flag in SCORED and abs(value) <= HIGHEST:
            scored.append(value)
        else:
            left_out += 1
    return Aggregate(
        count=len(scored),
        sum_steps=sum(round(value * STEPS_PER_UNIT) for value in scored),
        lowest=min(scored, default=None),
        highest=max(scored, default=None),
        left_out=left_out,
    )


def together(parts: Iterable[Aggregate]) -> Aggregate:
    """Return the aggregate of all values that the parts are of."""
    some = list(parts)
    return Aggregate(
        count=sum(part.count for part in some),
        sum_steps=sum(part.sum_steps for part in some),
        lowest=min((part.lowest for part in some if part.lowest is not None), default=None),
        highest=max((part.highest for part in some if part.highest is not None), default=None),
        left_out=sum(part.left_out for part in some),
    )


ByQuantity = Mapping[str, Aggregate]


def of_readings(readings: Iterable[Reading]) -> ByQuantity:
    """Return the aggregate of each quantity that has a value; withdrawn readings have none."""
    values: dict[str, list[tuple[float, Flag]]] = {}
    for reading in readings:
        if reading.withdrawn:
            continue
        for quantity, channel in reading.channels.items():
            if channel.value is not None and channel.flag != Flag.MISSING:
                values.setdefault(quantity, []).append((channel.value, channel.flag))
    return {quantity: aggregate_of(found) for quantity, found in values.items()}


def of_parts(parts: Iterable[ByQuantity]) -> ByQuantity:
    """Return the aggregate of each quantity over all parts."""
    found: dict[str, list[Aggregate]] = {}
    for part in parts:
        for quantity, aggregate in part.items():
            found.setdefault(quantity, []).append(aggregate)
    return {quantity: together(some) for quantity, some in found.items()}


def to_body(aggregates: ByQuantity) -> str:
    """Return the JSON that ``from_body`` reads."""
    rows = {
        quantity: (each.count, each.sum_steps, each.lowest, each.highest, each.left_out)
        for quantity, each in sorted(aggregates.items())
    }
    return to_json(rows).decode()


def from_body(body: str) -> ByQuantity:
    return {
        quantity: Aggregate(count=count, sum_steps=sum_steps, lowest=lowest, highest=highest, left_out=left_out)
        for quantity, (count, sum_steps, lowest, highest, left_out) in from_json(body).items()
    }
