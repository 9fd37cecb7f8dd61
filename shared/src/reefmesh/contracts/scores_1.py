"""Body ``scores/1``, which scoring wrote before it told what a day and a DHW rest on, and may still write (ADR 0024).

Its classes carry the number, and go when no queue and no parking can hold such a message any more.
"""

import datetime as dt
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from reefmesh.contracts.contract import Contract, Instant, ReefId
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.score_parts import (
    CarbonateBand,
    CarbonateStatus,
    DaySource,
    DiveFactor,
    DiveVerdict,
    LatestValue,
    Level,
)

DAYS_PER_MESSAGE_LIMIT: Final = 500


class HeatStatus1(StrEnum):
    """How reliable a day's DHW is: the first that applies of unknown, warming_up, insufficient, lower_bound, ok."""

    UNKNOWN = "unknown"
    WARMING_UP = "warming_up"
    INSUFFICIENT = "insufficient"
    LOWER_BOUND = "lower_bound"
    OK = "ok"


class DayScore1(Contract):
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
    status: HeatStatus1


class HeatStress1(Contract):
    """``latest`` is the newest solar date with data; ``changed`` are all days whose score this message sets or revises,
    oldest first; ``highest_dhw_celsius_weeks`` is the highest DHW on record here and not a standard product."""

    mmm_celsius: float | None
    mmm_source: Literal["adjusted", "unadjusted", "unknown"]
    latest: DayScore1 | None
    highest_dhw_celsius_weeks: float | None
    highest_dhw_date: dt.date | None
    changed: list[DayScore1] = Field(default_factory=list, max_length=DAYS_PER_MESSAGE_LIMIT)


class Carbonate1(Contract):
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


class DiveConditions1(Contract):
    """Guidance for divers; the worst factor decides. After ``valid_until`` the verdict is ``unknown``."""

    verdict: DiveVerdict
    reasons: list[str]
    factors: list[DiveFactor]
    valid_until: Instant | None
    advice: str | None = None


class BuoyHealth1(Contract):
    """A buoy at its newest reading: the register's facts, and what the buoy reports about itself."""

    facts: BuoyFacts
    last_seen_at: Instant
    battery_volts: float | None = None
    battery_percent: float | None = None
    drift_metres: float | None = None
    position_flag: Flag | None = None
    faults: dict[str, str] = Field(default_factory=dict)


class ReefScore1(Contract):
    """The state of one reef at ``as_of``, the newest ``observed_at`` on record there."""

    reef_id: ReefId
    reef_name: str
    as_of: Instant
    heat: HeatStress1
    carbonate: Carbonate1
    dive: DiveConditions1
    latest: dict[str, LatestValue]
    buoys: list[BuoyHealth1]
