"""A day of a reef's heat stress as its row holds it. The newest one is kept in the reef's state."""

from datetime import date
from typing import NamedTuple

from reefmesh.contracts.scores import DayScore


class DayRow(NamedTuple):
    """The values of a row of ``heat_days``."""

    date: date
    sst_celsius: float | None
    hotspot_celsius: float | None
    dhw_celsius_weeks: float | None
    level_7day_max: int | None
    status: str
    day_status: str


def row_of(day: DayScore) -> DayRow:
    level = day.level_7day_max
    return DayRow(
        day.date,
        day.sst_celsius,
        day.hotspot_celsius,
        day.dhw_celsius_weeks,
        None if level is None else level.value,
        day.status.value,
        day.day_status,
    )
