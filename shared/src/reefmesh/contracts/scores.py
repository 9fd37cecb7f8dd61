"""Body of ``reef.scores``: the state of one reef after a batch of readings. Unknown is a value in every part of it."""

import datetime as dt
from enum import IntEnum, StrEnum
from typing import Final, Literal, assert_never

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
        """The name that Coral Reef Watch gives this level."""
        match self:
            case Level.NO_STRESS:
                return "No Stress"
            case Level.WATCH:
                return "Bleaching Watch"
            case Level.WARNING:
                return "Bleaching Warning"
            case Level.ALERT_1:
                return "Alert Level 1"
            case Level.ALERT_2:
                return "Alert Level 2"
            case Level.ALERT_3:
                return "Alert Level 3"
            case Level.ALERT_4:
                return "Alert Level 4"
            case Level.ALERT_5:
                return "Alert Level 5"
            case _:
                assert_never(self)


class HeatStatus(StrEnum):
    """How reliable a day's DHW is: the first that applies of unknown, warming_up, insufficient, lower_bound, ok."""

    UNKNOWN = "unknown"
    WARMING_UP = "warming_up"
    INSUFFICIENT = "insufficient"
    LOWER_BOUND = "lower_bound"
    OK = "ok"


DaySource = Literal["night", "whole_day", "filled", "missing"]
"""What a day's temperature is made of: its night readings, all its readings, a linear fill of a short gap, or nothing."""

CarbonateStatus = Literal["ok", "indicative", "unknown"]
CarbonateBand = Literal["good", "adequate", "low", "marginal"]
DiveVerdict = Literal["good", "fair", "poor", "experienced_only", "no_go", "unknown"]


class DayScore(Contract):
    """Heat stress of one reef on one solar date.

    ``source`` is that of ``sst_celsius``.
    ``dhw_low``/``dhw_high`` is the band from the sensor's stated accuracy. ``coverage_days`` counts real days of the last 84.
    """

    date: dt.date
    source: DaySource
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

    status: CarbonateStatus
    date: dt.date | None = None
    omega_aragonite: float | None = None
    omega_low: float | None = None
    omega_high: float | None = None
    relative_uncertainty: float | None = None
    band: CarbonateBand | None = None
    salinity: float | None = None
    salinity_assumed: bool = False
    reason: str | None = None


class DiveFactor(Contract):
    """One factor of the verdict, with the age of its value at ``as_of`` of the score."""

    quantity: str
    value: float | None
    unit: str
    verdict: DiveVerdict
    observed_at: Instant | None
    age_seconds: float | None
    reason: str


class DiveConditions(Contract):
    """Guidance for divers; the worst factor decides. After ``valid_until`` the verdict is ``unknown``."""

    verdict: DiveVerdict
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
    """Newest value of one quantity, with any flag; its age at ``as_of``; and the window of its scored values."""

    quantity: str
    unit: str
    value: float | None
    flag: Flag
    observed_at: Instant
    age_seconds: float
    buoy_id: BuoyId
    window: Window | None


class BuoyHealth(Contract):
    """A buoy at its newest reading: the register's facts, and what the buoy reports about itself."""

    facts: BuoyFacts
    last_seen_at: Instant
    battery_volts: float | None = None
    battery_percent: float | None = None
    drift_metres: float | None = None
    position_flag: Flag | None = None
    faults: dict[str, str] = Field(default_factory=dict)


class ReefScore(Contract):
    """The state of one reef at ``as_of``, the newest ``observed_at`` on record there."""

    reef_id: ReefId
    reef_name: str
    as_of: Instant
    heat: HeatStress
    carbonate: Carbonate
    dive: DiveConditions
    latest: dict[str, LatestValue]
    buoys: list[BuoyHealth]


READERS: Final = {SCORES_1: TypeAdapter(ReefScore)}
