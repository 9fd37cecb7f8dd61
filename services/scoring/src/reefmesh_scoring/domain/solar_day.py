"""The solar day of a reef to which a reading belongs, and the totals that count it.

Local solar time is UTC + longitude / 15 h (SCIENCE: satellites' SST is night-only, 18:00-06:00). The night of a solar date is
the hours 0-6 and 18-24 of that date. Sums are integers, so the order of arrival does not matter.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from reefmesh.contracts.quantities import PCO2, PH_TOTAL_SCALE, SALINITY, SEA_WATER_TEMPERATURE
from reefmesh_scoring.domain.fixed_point import E4, mean_e4
from reefmesh_scoring.domain.heat_stress import EPOCH_ORDINAL, RealSource

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
SECOND_US: Final = 1_000_000
HOUR_US: Final = 3600 * SECOND_US
DAY_US: Final = 24 * HOUR_US
NIGHT_UNTIL_US: Final = 6 * HOUR_US
NIGHT_FROM_US: Final = 18 * HOUR_US
_SECONDS_PER_DEGREE: Final = 86_400 / 360

# The totals of one day are one flat list of integers: a sum of 1e-4 units, then its count, for each of these; and for
# temperature the counts that were left out as suspect.
NIGHT_TEMPERATURE: Final = 0
TEMPERATURE: Final = 2
NIGHT_SUSPECT: Final = 4
SUSPECT: Final = 5
PH: Final = 6
CARBON_DIOXIDE: Final = 8
PRACTICAL_SALINITY: Final = 10
TOTALS: Final = 12

OF_TEMPERATURE: Final = slice(NIGHT_TEMPERATURE, SUSPECT + 1)
"""The totals that a day's heat value rests on."""

COUNTED_AT: Final = {SEA_WATER_TEMPERATURE: TEMPERATURE, PH_TOTAL_SCALE: PH, PCO2: CARBON_DIOXIDE, SALINITY: PRACTICAL_SALINITY}
"""Quantity -> its place in the totals of a day; a quantity without a place has no daily mean."""

DayTotals = list[int]


def empty_totals() -> DayTotals:
    return [0] * TOTALS


def solar_offset_us(longitude_degrees: float) -> int:
    """Return how far local solar time is ahead of UTC, in microseconds."""
    return round(longitude_degrees * _SECONDS_PER_DEGREE * SECOND_US)


def split_solar(observed_us: int, offset_us: int) -> tuple[int, bool]:
    """Return (day number of the solar date, whether the instant is at night)."""
    day, time_us = divmod(observed_us + offset_us, DAY_US)
    return day, time_us < NIGHT_UNTIL_US or time_us >= NIGHT_FROM_US


def day_value(totals: DayTotals) -> tuple[int | None, RealSource, int]:
    """Return (SST in 1e-4 degC, its source, its number of readings): the night's mean, else the whole day's.

    Readings of several buoys on one reef count alike: the mean is over all readings, not over the buoys' means.
    """
    if totals[NIGHT_TEMPERATURE + 1]:
        count = totals[NIGHT_TEMPERATURE + 1]
        return mean_e4(totals[NIGHT_TEMPERATURE], count), "night", count
    if totals[TEMPERATURE + 1]:
        count = totals[TEMPERATURE + 1]
        return mean_e4(totals[TEMPERATURE], count), "whole_day", count
    return None, "night", 0


def suspect_share_e4(totals: DayTotals) -> int:
    """Return the share, in 1e-4, that was left out as suspect of the readings behind ``day_value``: of those at night if one of
    them is scored, else of all."""
    scored, suspect = totals[NIGHT_TEMPERATURE + 1], totals[NIGHT_SUSPECT]
    if not scored:
        scored, suspect = totals[TEMPERATURE + 1], totals[SUSPECT]
    return mean_e4(suspect * E4, scored + suspect) if suspect else 0


def daily_mean(totals: DayTotals, at: int) -> float | None:
    """Return the mean over the whole day of the quantity at place ``at``, in its own unit."""
    return mean_e4(totals[at], totals[at + 1]) / 10_000 if totals[at + 1] else None


def date_of(day: int) -> date:
    return date.fromordinal(EPOCH_ORDINAL + day)


@lru_cache(maxsize=4096)
def date_text_of(day: int) -> str:
    """Return a solar date as ISO text; cached as ``text_of``."""
    return date_of(day).isoformat()


def day_of(solar_date: date) -> int:
    return solar_date.toordinal() - EPOCH_ORDINAL


def microseconds_of(instant: datetime) -> int:
    """Return an aware instant as UTC microseconds since 1970."""
    since = instant - EPOCH
    return since.days * DAY_US + since.seconds * SECOND_US + since.microseconds


@lru_cache(maxsize=4096)
def text_of(observed_us: int) -> str:
    """Return an instant as ISO text; cached, because every score has the same few instants many times."""
    return instant_of(observed_us).isoformat()


def instant_of(observed_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=observed_us)
