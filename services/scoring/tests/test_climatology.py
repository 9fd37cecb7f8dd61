"""Monthly means, their trend and the daily climatology."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefmesh_scoring.domain.climatology import (
    CENTRE_YEAR,
    adjusted_mmm,
    daily_climatology,
    maximum_of_monthly_means,
    monthly_means,
    recentred_mean,
    sst_anomaly,
)

NOAA_MEANS = [23.4166, 23.1889, 23.5492, 24.6089, 26.4747, 28.3325, 29.3254, 29.6264, 29.1674, 27.7384, 26.0846, 24.4925]


@given(slope=st.floats(-0.1, 0.1), level=st.floats(10, 32))
def test_recentred_mean_of_a_straight_trend_is_its_value_at_1988_2857(slope: float, level: float) -> None:
    yearly = {year: level + slope * (year - CENTRE_YEAR) for year in range(1985, 2013)}
    assert level == pytest.approx(recentred_mean(yearly), abs=1e-9)


def test_monthly_means_take_years_1985_to_2012_only() -> None:
    daily: dict[date, float] = {}
    day = date(1984, 1, 1)
    while day < date(2015, 1, 1):
        outside = 50.0 if not 1985 <= day.year <= 2012 else 0.0
        daily[day] = 20 + day.month + 0.02 * (day.year - CENTRE_YEAR) + outside
        day += timedelta(days=1)
    means = monthly_means(daily)
    assert [20 + month for month in range(1, 13)] == pytest.approx(means, abs=1e-9)
    assert maximum_of_monthly_means(means) == pytest.approx(32)


def test_monthly_mean_needs_two_years() -> None:
    with pytest.raises(ValueError, match="two years"):
        recentred_mean({1990: 20.0})
    with pytest.raises(ValueError, match="12 monthly means"):
        maximum_of_monthly_means([1.0])


def test_mmm_of_noaas_station_is_its_august() -> None:
    assert maximum_of_monthly_means(NOAA_MEANS) == 29.6264


def test_daily_climatology_is_the_monthly_mean_on_the_15th_and_linear_between() -> None:
    assert daily_climatology(NOAA_MEANS, date(2001, 8, 15)) == 29.6264
    assert daily_climatology(NOAA_MEANS, date(2001, 12, 15)) == 24.4925
    assert daily_climatology(NOAA_MEANS, date(2001, 1, 1)) == pytest.approx(24.4925 + (23.4166 - 24.4925) * 17 / 31)
    assert daily_climatology(NOAA_MEANS, date(2001, 12, 31)) == pytest.approx(24.4925 + (23.4166 - 24.4925) * 16 / 31)
    assert sst_anomaly(30.0, NOAA_MEANS, date(2001, 8, 15)) == pytest.approx(30 - 29.6264)


def test_adjusted_mmm_adds_the_mean_difference_of_the_warmest_month() -> None:
    assert adjusted_mmm(29.0, [(29.5, 29.2), (29.9, 29.4)]) == pytest.approx(29.4)
    with pytest.raises(ValueError, match="warmest month"):
        adjusted_mmm(29.0, [])
