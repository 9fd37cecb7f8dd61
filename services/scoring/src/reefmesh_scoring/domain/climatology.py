"""Monthly and daily climatology as NOAA Coral Reef Watch version 3.1 computes them, and MMM as a buoy needs it.

Sources: Skirving et al. 2020 (re-centring to 1988.2857 by least squares over 1985-2012), Heron et al. 2014;
Venegas et al. 2019 for the adjustment to a sensor.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from statistics import fmean
from typing import Final

CENTRE_YEAR: Final = 1988.2857
FIRST_YEAR: Final = 1985
LAST_YEAR: Final = 2012
MONTHS: Final = 12
_MID_MONTH_DAY: Final = 15


def recentred_mean(yearly_celsius: Mapping[int, float]) -> float:
    """Return a month's mean at 1988.2857 from its yearly means, on their least-squares line against the year.

    Raises:
        ValueError: fewer than two years.
    """
    if len(yearly_celsius) < 2:
        raise ValueError("a trend needs the means of at least two years")
    mean_year = fmean(yearly_celsius)
    mean_celsius = fmean(yearly_celsius.values())
    spread = sum((year - mean_year) ** 2 for year in yearly_celsius)
    slope = sum((year - mean_year) * (value - mean_celsius) for year, value in yearly_celsius.items()) / spread
    return mean_celsius + slope * (CENTRE_YEAR - mean_year)


def monthly_means(
    daily_celsius: Mapping[date, float], *, first_year: int = FIRST_YEAR, last_year: int = LAST_YEAR
) -> list[float]:
    """Return the 12 monthly means MM (degC), January first, from daily SST.

    Raises:
        ValueError: a month has no data in two of the years.
    """
    days: dict[tuple[int, int], list[float]] = {}
    for day, celsius in daily_celsius.items():
        if first_year <= day.year <= last_year:
            days.setdefault((day.month, day.year), []).append(celsius)
    return [
        recentred_mean({year: fmean(values) for (at, year), values in days.items() if at == month})
        for month in range(1, MONTHS + 1)
    ]


def maximum_of_monthly_means(means_celsius: Sequence[float]) -> float:
    """Return MMM (degC) of 12 monthly means."""
    if len(means_celsius) != MONTHS:
        raise ValueError(f"a climatology has 12 monthly means, not {len(means_celsius)}")
    return max(means_celsius)


def daily_climatology(means_celsius: Sequence[float], day: date) -> float:
    """Return the climatology (degC) of a date: the monthly mean on the 15th, linear between two of them."""
    if day.day >= _MID_MONTH_DAY:
        before = date(day.year, day.month, _MID_MONTH_DAY)
        after = date(day.year + day.month // MONTHS, day.month % MONTHS + 1, _MID_MONTH_DAY)
    else:
        after = date(day.year, day.month, _MID_MONTH_DAY)
        before = date(day.year - (day.month == 1), (day.month - 2) % MONTHS + 1, _MID_MONTH_DAY)
    share = (day - before).days / (after - before).days
    return means_celsius[before.month - 1] * (1 - share) + means_celsius[after.month - 1] * share


def sst_anomaly(sst_celsius: float, means_celsius: Sequence[float], day: date) -> float:
    """Return SSTA (degC): how far a day is above its own season, which is not the HotSpot."""
    return sst_celsius - daily_climatology(means_celsius, day)


def adjusted_mmm(satellite_mmm_celsius: float, pairs_celsius: Sequence[tuple[float, float]]) -> float:
    """Return the MMM of a buoy from (buoy, satellite) pairs of the climatologically warmest month (Venegas et al. 2019).

    Raises:
        ValueError: no pairs; then the satellite's MMM stands, marked ``unadjusted``.
    """
    if not pairs_celsius:
        raise ValueError("no pairs of buoy and satellite in the warmest month")
    return satellite_mmm_celsius + fmean(buoy - satellite for buoy, satellite in pairs_celsius)
