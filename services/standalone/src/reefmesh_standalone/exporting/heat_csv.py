"""One day of a reef's heat stress as a line of CSV."""

from collections.abc import Sequence
from typing import Final

from reefmesh.contracts.scores import DayScore

TITLES: Final = (
    "date (solar)",
    "reef_id",
    "sst (degC)",
    "hotspot (degC)",
    "dhw (degC-weeks)",
    "dhw_low (degC-weeks)",
    "dhw_high (degC-weeks)",
    "level",
    "level_7day_max",
    "status",
    "coverage (days of 84)",
    "source",
    "readings",
    "day_status",
    "suspect_share",
    "whole_days",
    "filled_days",
    "missing_days",
    "suspect_days",
)


def line_of(reef_id: str, day: DayScore) -> Sequence[str | int]:
    """Return the cells under ``TITLES``; what is unknown is empty."""
    return (
        day.date.isoformat(),
        reef_id,
        _decimal(day.sst_celsius),
        _decimal(day.hotspot_celsius),
        _decimal(day.dhw_celsius_weeks),
        _decimal(day.dhw_low_celsius_weeks),
        _decimal(day.dhw_high_celsius_weeks),
        "" if day.level is None else int(day.level),
        "" if day.level_7day_max is None else int(day.level_7day_max),
        day.status.value,
        day.coverage_days,
        day.source,
        day.readings,
        day.day_status,
        _decimal(day.suspect_share),
        *("" if count is None else count for count in (day.whole_days, day.filled_days, day.missing_days, day.suspect_days)),
    )


def _decimal(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
