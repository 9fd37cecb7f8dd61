"""The heat chart of a site, as NOAA Coral Reef Watch draws it: water temperature, MMM and MMM + 1, and DHW filled below.

Everything is laid out here, in whole units of the drawing; the template only writes it down. Gaps stay open.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from reefmesh.contracts.scores import DayScore

WIDTH: Final = 720
HEIGHT: Final = 260
LEFT, RIGHT, TOP, BOTTOM = 36, 36, 8, 24
DAYS: Final = 365
DHW_LIMITS: Final = (4, 8)
"""Alert Level 1 and 2 begin here."""
DHW_TOP: Final = 10.0
"""Degree Celsius-weeks at the top of the scale, if nothing is higher."""
SPACE_CELSIUS: Final = 0.5
JOINED_DAYS: Final = 1
"""A line goes on from one day to the next, and over no day without a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place on an axis: how far along it, and its label."""

    at: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatDrawing:
    """``water``, ``heat``: SVG path data. ``mmm`` and ``bleaching``: where the lines of MMM and MMM + 1 are, if MMM is known.
    ``summary`` says in words what is drawn."""

    summary: str
    water: str
    heat: str
    mmm: int | None
    bleaching: int | None
    months: tuple[Mark, ...]
    celsius: tuple[Mark, ...]
    weeks: tuple[Mark, ...]


def heat_chart(days: Sequence[DayScore], *, mmm_celsius: float | None, today: date) -> HeatDrawing | None:
    """Return the chart of the last ``DAYS`` days; None: nothing is known of them."""
    first = today - timedelta(days=DAYS - 1)
    shown = [day for day in days if first <= day.date <= today]
    water = [(day.date, day.sst_celsius) for day in shown if day.sst_celsius is not None]
    heat = [(day.date, day.dhw_celsius_weeks) for day in shown if day.dhw_celsius_weeks is not None]
    if not water:
        return None
    ends = [value for _, value in water] + ([] if mmm_celsius is None else [mmm_celsius, mmm_celsius + 1])
    low, high = min(ends) - SPACE_CELSIUS, max(ends) + SPACE_CELSIUS
    most = max([DHW_TOP, *(value for _, value in heat)])

    def x(on: date) -> int:
        return LEFT + round((on - first).days * (WIDTH - LEFT - RIGHT) / (DAYS - 1))

    def y(part: float) -> int:
        return HEIGHT - BOTTOM - round(part * (HEIGHT - TOP - BOTTOM))

    def of_celsius(value: float) -> int:
        return y((value - low) / (high - low))

    ground = y(0)
    return HeatDrawing(
        summary=_summary(water, heat),
        water=" ".join(_line([(x(on), of_celsius(value)) for on, value in run]) for run in _runs(water)),
        heat=" ".join(_area([(x(on), y(value / most)) for on, value in run], ground) for run in _runs(heat)),
        mmm=None if mmm_celsius is None else of_celsius(mmm_celsius),
        bleaching=None if mmm_celsius is None else of_celsius(mmm_celsius + 1),
        months=tuple(Mark(at=x(on), text=f"{on:%b}") for on in _firsts_of_months(first, today)),
        celsius=tuple(Mark(at=of_celsius(each), text=str(each)) for each in range(round(low) + 1, int(high) + 1)),
        weeks=tuple(Mark(at=y(each / most), text=str(each)) for each in DHW_LIMITS),
    )


def _summary(water: Sequence[tuple[date, float]], heat: Sequence[tuple[date, float]]) -> str:
    warmest = max(water, key=lambda each: each[1])
    told = f"{len(water)} days of water temperature from {water[0][0]} to {water[-1][0]}"
    told += f", at most {warmest[1]:.1f} °C on {warmest[0]}"
    if not heat:
        return f"{told}; no degree heating weeks are known."
    most = max(heat, key=lambda each: each[1])
    if not most[1]:
        return f"{told}; no degree heating weeks came together."
    return f"{told}; at most {most[1]:.1f} degree Celsius-weeks on {most[0]}."


def _runs(values: Iterable[tuple[date, float]]) -> Iterable[Sequence[tuple[date, float]]]:
    """Cut a series where days are missing."""
    run: list[tuple[date, float]] = []
    for on, value in values:
        if run and (on - run[-1][0]).days > JOINED_DAYS:
            yield run
            run = []
        run.append((on, value))
    if run:
        yield run


def _line(points: Sequence[tuple[int, int]]) -> str:
    """A single day is a line of no length, which a round cap makes a dot."""
    (first, *others) = points
    return f"M{first[0]} {first[1]}" + "".join(f"L{x} {y}" for x, y in others or [first])


def _area(points: Sequence[tuple[int, int]], ground: int) -> str:
    return f"M{points[0][0]} {ground}" + "".join(f"L{x} {y}" for x, y in points) + f"L{points[-1][0]} {ground}Z"


def _firsts_of_months(first: date, last: date) -> Iterable[date]:
    on = first.replace(day=1)
    while (on := (on + timedelta(days=32)).replace(day=1)) <= last:
        yield on
