"""The same scores as ``heat_stress.score_days``, but only for the span of days that one changed day can influence.

A day reaches back over the gap before it (at most 7 days are filled) and forward over the gap after it, the 84 days of the
accumulation and the 7 days of the published level: about a hundred days, however long the record is.
"""

from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.scores import DaySource, HeatStatus
from reefmesh_scoring.domain.heat_stress import (
    COVERAGE_DAYS_MINIMUM,
    DHW_DAYS,
    FILL_DAYS_LIMIT,
    LEVEL_DAYS,
    STRESS_E4,
    DayHeat,
    between_e4,
    level_of,
)

NO_VALUE: Final = -(10**9)
"""Stands for a day without a value. It is so cold that it never counts as heat, so the sums need no test for it."""

REACH_AHEAD_DAYS: Final = FILL_DAYS_LIMIT + (DHW_DAYS - 1) + (LEVEL_DAYS - 1)
"""A changed day changes scores at most this many days later."""

NEED_BEFORE_DAYS: Final = (LEVEL_DAYS - 1) + DHW_DAYS + FILL_DAYS_LIMIT + 1
"""To score a day, the record must be known from this many days before it (or from its beginning)."""

_NO_LEVEL: Final = -1

NEED_AFTER_DAYS: Final = FILL_DAYS_LIMIT + 1
"""... and up to this many days after it, where a gap over it may close."""


@dataclass(slots=True, kw_only=True)
class Stretch:
    """Consecutive days of a record, from ``base`` on: values of real days (or ``NO_VALUE``) and how many readings made
    them, counted negative when they were of the whole day instead of the night."""

    base: int
    sst_e4: list[int]
    readings: list[int]

    @property
    def end(self) -> int:
        """The day after the last one."""
        return self.base + len(self.sst_e4)


def affected(stretch: Stretch, day: int, *, first_day: int, last_day: int) -> tuple[int, int]:
    """Return the first and last day whose score may change when the value of ``day`` does."""
    low = day
    index = day - stretch.base
    while low > max(first_day, day - FILL_DAYS_LIMIT) and stretch.sst_e4[index - 1] == NO_VALUE:
        low -= 1
        index -= 1
    return low, min(last_day, day + REACH_AHEAD_DAYS)


def fill_stretch(sst_e4: list[int]) -> list[int]:
    """Return the values with every closed gap of at most 7 days filled; the same list if there is none."""
    if NO_VALUE not in sst_e4:
        return sst_e4
    filled = sst_e4.copy()
    end = len(sst_e4)
    gap = sst_e4.index(NO_VALUE)
    while gap < end:
        after = gap + 1
        while after < end and sst_e4[after] == NO_VALUE:
            after += 1
        if gap > 0 and after < end and after - gap <= FILL_DAYS_LIMIT:
            before, steps = gap - 1, after - gap + 1
            for step in range(1, steps):
                filled[before + step] = between_e4(sst_e4[before], sst_e4[after], step, steps)
        try:
            gap = sst_e4.index(NO_VALUE, after)
        except ValueError:
            break
    return filled


def score_span(  # noqa: PLR0912, PLR0915  # one loop that every reading runs through: calls cost more than they explain
    stretch: Stretch, *, first: int, last: int, first_day: int, mmm_e4: int | None, accuracy_e4: int
) -> list[DayHeat]:
    """Score the days ``first`` .. ``last`` of a record that begins on ``first_day``.

    ``stretch`` must know the days from ``first - NEED_BEFORE_DAYS`` (or ``first_day``) to ``last + NEED_AFTER_DAYS`` (or the
    last on record).
    """
    base = stretch.base
    real = stretch.sst_e4
    values = fill_stretch(real)
    if mmm_e4 is None:
        mmm_e4, mmm_known = 0, False
    else:
        mmm_known = True
    # The published 7-day maximum needs the levels, and so the accumulations, of the six days before.
    start = max(first_day, first - LEVEL_DAYS + 1)
    # The window of the day before ``start``: the loop adds its own day and removes the oldest one.
    window_from = max(first_day, start - DHW_DAYS) - base
    window_to = start - base
    middle = _Accumulation(values, mmm_e4, window_from, window_to)
    low = _Accumulation(values, mmm_e4 + accuracy_e4, window_from, window_to)
    high = _Accumulation(values, mmm_e4 - accuracy_e4, window_from, window_to)
    coverage_days = window_to - window_from - real[window_from:window_to].count(NO_VALUE)
    missing_days = values[window_from:window_to].count(NO_VALUE)
    levels: list[int] = []
    rows: list[DayHeat] = []
    for day in range(start, last + 1):
        index = day - base
        leaving = index - DHW_DAYS
        sst_e4 = values[index]
        is_real = real[index] != NO_VALUE
        coverage_days += is_real
        missing_days += sst_e4 == NO_VALUE
        if day - DHW_DAYS >= first_day:
            coverage_days -= real[leaving] != NO_VALUE
            missing_days -= values[leaving] == NO_VALUE
        else:
            leaving = -1
        dhw = middle.roll(index, leaving)
        dhw_low = low.roll(index, leaving)
        dhw_high = high.roll(index, leaving)
        if not mmm_known or coverage_days == 0:
            status = HeatStatus.UNKNOWN
        elif day - first_day + 1 < DHW_DAYS:
            status = HeatStatus.WARMING_UP
        elif coverage_days < COVERAGE_DAYS_MINIMUM:
            status = HeatStatus.INSUFFICIENT
        else:
            status = HeatStatus.LOWER_BOUND if missing_days else HeatStatus.OK
        known = status is not HeatStatus.UNKNOWN
        scored = known and sst_e4 != NO_VALUE
        hotspot_e4 = sst_e4 - mmm_e4
        level = int(level_of(hotspot_e4, dhw)) if scored else _NO_LEVEL
        levels.append(level)
        if day < first:
            continue
        level_7day_max = max(levels[-LEVEL_DAYS:])
        count = stretch.readings[index] if is_real else 0
        source: DaySource
        if sst_e4 == NO_VALUE:
            source = "missing"
        elif not is_real:
            source = "filled"
        else:
            source = "night" if count >= 0 else "whole_day"
        rows.append(
            DayHeat(
                day,
                source,
                abs(count),
                None if sst_e4 == NO_VALUE else sst_e4,
                hotspot_e4 if scored else None,
                dhw if known else None,
                dhw_low if known else None,
                dhw_high if known else None,
                None if level == _NO_LEVEL else level,
                None if level_7day_max == _NO_LEVEL else level_7day_max,
                coverage_days,
                status,
            )
        )
    return rows


class _Accumulation:
    """A running sum of the HotSpots that count, over one MMM."""

    __slots__ = ("_least_e4", "_mmm_e4", "_sum_e4_days", "_values")

    def __init__(self, values: list[int], mmm_e4: int, window_from: int, window_to: int) -> None:
        self._values = values
        self._mmm_e4 = mmm_e4
        least_e4 = self._least_e4 = mmm_e4 + STRESS_E4
        counted = [value for value in values[window_from:window_to] if value >= least_e4]
        self._sum_e4_days = sum(counted) - mmm_e4 * len(counted)

    def roll(self, entering: int, leaving: int) -> int:
        """Move the window's end to index ``entering``; ``leaving`` drops out (-1: the record is not that old)."""
        value = self._values[entering]
        if value >= self._least_e4:
            self._sum_e4_days += value - self._mmm_e4
        if leaving >= 0:
            value = self._values[leaving]
            if value >= self._least_e4:
                self._sum_e4_days -= value - self._mmm_e4
        return self._sum_e4_days
