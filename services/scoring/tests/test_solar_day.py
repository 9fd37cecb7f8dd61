"""Solar dates, nights and what a day is worth."""

from datetime import UTC, date, datetime

import pytest

from reefmesh_scoring.domain.solar_day import (
    NIGHT_TEMPERATURE,
    TEMPERATURE,
    date_of,
    day_of,
    day_value,
    empty_totals,
    instant_of,
    microseconds_of,
    solar_offset_us,
    split_solar,
)


@pytest.mark.parametrize(
    ("longitude", "utc", "solar_date", "night"),
    [
        (0, "2024-05-01T05:59:59", "2024-05-01", True),
        (0, "2024-05-01T06:00:00", "2024-05-01", False),
        (0, "2024-05-01T17:59:59", "2024-05-01", False),
        (0, "2024-05-01T18:00:00", "2024-05-01", True),
        (115.5, "2024-05-01T16:17:59", "2024-05-01", True),
        (115.5, "2024-05-01T16:18:00", "2024-05-02", True),
        (-81.625, "2024-05-01T05:26:29", "2024-04-30", True),
        (-81.625, "2024-05-01T05:26:30", "2024-05-01", True),
        (180, "2024-05-01T12:00:00", "2024-05-02", True),
        (-180, "2024-05-01T11:59:59", "2024-04-30", True),
    ],
)
def test_reading_belongs_to_the_solar_date_of_its_longitude(longitude: float, utc: str, solar_date: str, night: bool) -> None:
    at_us = microseconds_of(datetime.fromisoformat(utc).replace(tzinfo=UTC))
    day, at_night = split_solar(at_us, solar_offset_us(longitude))
    assert (date.fromisoformat(solar_date), night) == (date_of(day), at_night)
    assert day == day_of(date_of(day))
    assert microseconds_of(instant_of(at_us)) == at_us


def test_day_is_worth_the_mean_of_its_night_else_of_the_whole_day() -> None:
    totals = empty_totals()
    assert day_value(totals) == (None, "night", 0)
    totals[TEMPERATURE : TEMPERATURE + 2] = [600_001, 2]
    assert day_value(totals) == (300_001, "whole_day", 2)
    totals[NIGHT_TEMPERATURE : NIGHT_TEMPERATURE + 2] = [290_000, 1]
    assert day_value(totals) == (290_000, "night", 1)
