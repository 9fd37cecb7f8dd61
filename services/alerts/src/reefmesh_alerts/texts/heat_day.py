"""One day of a reef's heat stress, as charts and tables show it."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatDayRow:
    """``level_7day_max`` is the published level; the day's own values are None where they are unknown."""

    date: date
    sst_celsius: float | None
    hotspot_celsius: float | None
    dhw_celsius_weeks: float | None
    level_7day_max: int | None
    status: str
    day_status: str
