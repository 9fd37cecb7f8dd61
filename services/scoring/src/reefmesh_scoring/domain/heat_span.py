"""The same scores as ``heat_stress.score_days``, but only for the span of days that one changed day can influence.

A day reaches back over the gap before it (at most 7 days are filled) and forward over the gap after it, the 84 days of the
accumulation and the 7 days of the published level: about a hundred days, however long the record is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from reefmesh.contracts.scores import DaySource, HeatStatus
from reefmesh_scoring.domain.heat_stress import (
    COVERAGE_DAYS_MINIMUM,
    DHW_DAYS,
    FILL_DAYS_LIMIT,
    LEVEL_DAYS,
    STRESS_E4,
    SUSPECT_SHARE_LIMIT_E4,
    WAIT_DAYS,
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
_WITH_READINGS: Final = frozenset({"night", "whole_day"})

NEED_AFTER_DAYS: Final = FILL_DAYS_LIMIT + 1
"""... and up to this many days after it, where a gap over it may close."""


class NewValue(NamedTuple):
    """The new value of a day: its SST (or ``NO_VALUE``), its number of readings, negative without one at night, and the share
    (in 1e-4) that was left out as suspect."""

    sst_e4: int
    readings: int
    suspect_e4: int = 0

    def counts_as(self, other: "NewValue") -> bool:
        """Tell whether both are worth the same to every other day."""
        return (
            self.sst_e4 == other.sst_e4
            and (self.readings < 0) == (other.readings < 0)
            and (self.suspect_e4 > SUSPECT_SHARE_LIMIT_E4) == (other.suspect_e4 > SUSPECT_SHARE_LIMIT_E4)
        )


@dataclass(slots=True, kw_only=True)
class Stretch:
    """Consecutive days of a record, from ``base`` on: values of days with readings (or ``NO_VALUE``), how many readings made
    them, counted negative when there was none at night, and the share (in 1e-4) that was left out as suspect."""

    base: int
    sst_e4: list[int]
    readings: list[int]
    suspect_e4: list[int]

    @property
    def end(self) -> int:
        """The day after the last one."""
        return self.base + len(self.sst_e4)

    def values_from(self, day: int) -> Iterator[NewValue]:
        """Iterate over the values of the days from ``day`` on."""
        index = day - self.base
        return map(NewValue, self.sst_e4[index:], self.readings[index:], self.suspect_e4[index:])

    def value_of(self, day: int) -> NewValue:
        index = day - self.base
        return NewValue(self.sst_e4[index], self.readings[index], self.suspect_e4[index])

    def put(self, day: int, value: NewValue) -> None:
        index = day - self.base
        self.sst_e4[index], self.readings[index], self.suspect_e4[index] = value

    def has_night(self, index: int) -> bool:
        return self.sst_e4[index] != NO_VALUE and self.readings[index] >= 0


def affected(stretch: Stretch, day: int, *, first_day: int, last_day: int) -> tuple[int, int]:
    """Return the first and last day whose score may change when the value of ``day`` does."""
    low = day
    index = day - stretch.base
    while low > max(first_day, day - FILL_DAYS_LIMIT) and not stretch.has_night(index - 1):
        low -= 1
        index -= 1
    return low, min(last_day, day + REACH_AHEAD_DAYS)


class Settled(NamedTuple):
    """The days of a stretch as they count: the nights; the days that stand in with their daytime; and these two with every
    other day that has a value (the filled ones) together. ``NO_VALUE`` for the rest."""

    night_e4: list[int]
    whole_e4: list[int] | None
    value_e4: list[int]


def settle(stretch: Stretch) -> Settled:
    """Fill every gap of at most 7 days between two nights; elsewhere a day without a night stands in with its daytime, once
    there was no night for a week before it."""
    real, readings = stretch.sst_e4, stretch.readings
    if min(readings) >= 0:
        night, daytime = real, False
    else:
        night = [value if count >= 0 else NO_VALUE for value, count in zip(real, readings, strict=True)]
        daytime = True
    if NO_VALUE not in night:
        return Settled(night, None, night)
    values = night.copy()
    end = len(night)
    whole = [NO_VALUE] * end if daytime else None
    gap = night.index(NO_VALUE)
    while gap < end:
        after = gap + 1
        while after < end and night[after] == NO_VALUE:
            after += 1
        if gap > 0 and after < end and after - gap <= FILL_DAYS_LIMIT:
            before, steps = gap - 1, after - gap + 1
            for step in range(1, steps):
                values[before + step] = between_e4(night[before], night[after], step, steps)
        elif whole is not None:
            stands_from = gap + WAIT_DAYS if gap > 0 else gap
            values[stands_from:after] = whole[stands_from:after] = real[stands_from:after]
        try:
            gap = night.index(NO_VALUE, after)
        except ValueError:
            break
    return Settled(night, whole, values)


def score_span(  # noqa: PLR0912, PLR0915  # one loop that every reading runs through: calls cost more than they explain
    stretch: Stretch, *, first: int, last: int, first_day: int, mmm_e4: int | None, accuracy_e4: int
) -> list[DayHeat]:
    """Score the days ``first`` .. ``last`` of a record that begins on ``first_day``.

    ``stretch`` must know the days from ``first - NEED_BEFORE_DAYS`` (or ``first_day``) to ``last + NEED_AFTER_DAYS`` (or the
    last on record).
    """
    base = stretch.base
    real = stretch.sst_e4
    night, whole, values = settle(stretch)
    suspect = None
    if max(stretch.suspect_e4) > SUSPECT_SHARE_LIMIT_E4:
        suspect = [share > SUSPECT_SHARE_LIMIT_E4 for share in stretch.suspect_e4]
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
    length = window_to - window_from
    observed_days = length - real[window_from:window_to].count(NO_VALUE)
    night_days = length - night[window_from:window_to].count(NO_VALUE)
    whole_days = 0 if whole is None else length - whole[window_from:window_to].count(NO_VALUE)
    missing_days = values[window_from:window_to].count(NO_VALUE)
    suspect_days = 0 if suspect is None else sum(suspect[window_from:window_to])
    levels: list[int] = []
    rows: list[DayHeat] = []
    for day in range(start, last + 1):
        index = day - base
        leaving = index - DHW_DAYS
        sst_e4 = values[index]
        length += 1
        observed_days += real[index] != NO_VALUE
        night_days += night[index] != NO_VALUE
        missing_days += sst_e4 == NO_VALUE
        if whole is not None:
            whole_days += whole[index] != NO_VALUE
        if suspect is not None:
            suspect_days += suspect[index]
        if day - DHW_DAYS >= first_day:
            length -= 1
            observed_days -= real[leaving] != NO_VALUE
            night_days -= night[leaving] != NO_VALUE
            missing_days -= values[leaving] == NO_VALUE
            if whole is not None:
                whole_days -= whole[leaving] != NO_VALUE
            if suspect is not None:
                suspect_days -= suspect[leaving]
        else:
            leaving = -1
        dhw = middle.roll(index, leaving)
        dhw_low = low.roll(index, leaving)
        dhw_high = high.roll(index, leaving)
        if not mmm_known or not night_days + whole_days:
            status = HeatStatus.UNKNOWN
        elif day - first_day + 1 < DHW_DAYS:
            status = HeatStatus.WARMING_UP
        elif observed_days < COVERAGE_DAYS_MINIMUM:
            status = HeatStatus.INSUFFICIENT
        elif whole_days or night_days < COVERAGE_DAYS_MINIMUM:
            status = HeatStatus.DAYTIME_ONLY
        elif suspect_days:
            status = HeatStatus.SUSPECT_SHARE
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
        source: DaySource
        if night[index] != NO_VALUE:
            source = "night"
        elif whole is not None and whole[index] != NO_VALUE:
            source = "whole_day"
        else:
            source = "missing" if sst_e4 == NO_VALUE else "filled"
        rows.append(
            DayHeat(
                day,
                source,
                abs(stretch.readings[index]) if source in _WITH_READINGS else 0,
                stretch.suspect_e4[index],
                None if sst_e4 == NO_VALUE else sst_e4,
                hotspot_e4 if scored else None,
                dhw if known else None,
                dhw_low if known else None,
                dhw_high if known else None,
                None if level == _NO_LEVEL else level,
                None if level_7day_max == _NO_LEVEL else level_7day_max,
                night_days,
                whole_days,
                length - night_days - whole_days - missing_days,
                missing_days,
                suspect_days,
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
