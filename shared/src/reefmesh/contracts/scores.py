"""Body of ``reef.scores``: what is known of one reef after a batch of readings. Unknown is a value everywhere."""

import datetime as dt
from enum import IntEnum, StrEnum
from typing import Final, Literal

from pydantic import Field, TypeAdapter

from reefmesh.contracts.contract import BuoyId, Contract, Instant, ReefId
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.schema import SCORES_1

DAYS_PER_MESSAGE_LIMIT: Final = 500


class Level(IntEnum):
    """Bleaching alert area codes of NOAA Coral Reef Watch, table of December 2023."""

    NO_STRESS = 0
    WATCH = 1
    WARNING = 2
    ALERT_1 = 3
    ALERT_2 = 4
    ALERT_3 = 5
    ALERT_4 = 6
    ALERT_5 = 7

    @property
    def title(self) -> str:
        return _TITLES[self]


_TITLES: Final = {
    Level.NO_STRESS: "No Stress",
    Level.WATCH: "Bleaching Watch",
    Level.WARNING: "Bleaching Warning",
    Level.ALERT_1: "Alert Level 1",
    Level.ALERT_2: "Alert Level 2",
    Level.ALERT_3: "Alert Level 3",
    Level.ALERT_4: "Alert Level 4",
    Level.ALERT_5: "Alert Level 5",
}


class HeatStatus(StrEnum):
    """How far a day's DHW can be trusted; the first that applies of unknown, warming_up, insufficient, lower_bound, ok."""

    UNKNOWN = "unknown"
    WARMING_UP = "warming_up"
    INSUFFICIENT = "insufficient"
    LOWER_BOUND = "lower_bound"
    OK = "ok"


class DayScore(Contract):
    """Heat stress of one reef on one solar date.

    ``source`` says where ``sst_celsius`` comes from: night readings, the whole day, a linear fill, or nothing.
    ``dhw_low``/``dhw_high`` is the band from the sensor's stated accuracy. ``coverage_days`` counts real days of the last 84.
    """

    date: dt.date
    source: Literal["night", "whole_day", "filled", "missing"]
    readings: int = Field(ge=0)
    sst_celsius: float | None
    hotspot_celsius: float | None
    dhw_celsius_weeks: float | None
    dhw_low_celsius_weeks: float | None
    dhw_high_celsius_weeks: float | None
    level: Level | None
    level_7day_max: Level | None
    coverage_days: int = Field(ge=0, le=84)
    status: HeatStatus


class HeatStress(Contract):
    """``latest`` is the newest solar date with data; ``changed`` are all days whose score this message sets or revises,
    oldest first; ``highest_dhw_celsius_weeks`` is the highest DHW on record here and not a standard product."""

    mmm_celsius: float | None
    mmm_source: Literal["adjusted", "unadjusted", "unknown"]
    latest: DayScore | None
    highest_dhw_celsius_weeks: float | None
    highest_dhw_date: dt.date | None
    changed: list[DayScore] = Field(default_factory=list, max_length=DAYS_PER_MESSAGE_LIMIT)


class Carbonate(Contract):
    """Aragonite saturation from daily means; ``indicative`` when the relative uncertainty is above 20 %."""

    status: Literal["ok", "indicative", "unknown"]
    date: dt.date | None = None
    omega_aragonite: float | None = None
    omega_low: float | None = None
    omega_high: float | None = None
    relative_uncertainty: float | None = None
    band: Literal["good", "adequate", "low", "marginal"] | None = None
    salinity: float | None = None
    salinity_assumed: bool = False
    reason: str | None = None


class DiveFactor(Contract):
    """One factor of the verdict, with the age of its value at ``as_of`` of the score."""

    quantity: str
    value: float | None
    unit: str
    verdict: Literal["good", "fair", "poor", "experienced_only", "no_go", "unknown"]
    observed_at: Instant | None
    age_seconds: float | None
    reason: str


class DiveConditions(Contract):
    """Guidance for divers; the worst factor decides. After ``valid_until`` the verdict is ``unknown``."""

    verdict: Literal["good", "fair", "poor", "experienced_only", "no_go", "unknown"]
    reasons: list[str]
    factors: list[DiveFactor]
    valid_until: Instant | None
    advice: str | None = None


class Window(Contract):
    """Minimum, mean and maximum of the 5-minute window of event time that holds the newest value."""

    starts_at: Instant
    minimum: float
    mean: float
    maximum: float
    count: int = Field(ge=1)


class LatestValue(Contract):
    """Newest value of one channel whatever its flag, its age at ``as_of``, and the window of its scored values."""

    quantity: str
    unit: str
    value: float | None
    flag: Flag
    observed_at: Instant
    age_seconds: float
    buoy_id: BuoyId
    window: Window | None


class BuoyHealth(Contract):
    """A buoy as last heard: the register's facts and its own words."""

    facts: BuoyFacts
    last_seen_at: Instant
    battery_volts: float | None = None
    battery_percent: float | None = None
    drift_metres: float | None = None
    position_flag: Flag | None = None
    faults: dict[str, str] = Field(default_factory=dict)


class ReefScore(Contract):
    """Everything known of one reef at ``as_of``, the newest ``observed_at`` on record there."""

    reef_id: ReefId
    reef_name: str
    as_of: Instant
    heat: HeatStress
    carbonate: Carbonate
    dive: DiveConditions
    latest: dict[str, LatestValue]
    buoys: list[BuoyHealth]


READERS: Final = {SCORES_1: TypeAdapter(ReefScore)}
