"""Body of ``reef.scores``: the state of one reef after a batch of readings. Unknown is a value in every part of it."""

import datetime as dt
from enum import StrEnum
from typing import Any, Final, Literal, assert_never

from pydantic import Field, TypeAdapter

from reefmesh.contracts.contract import BuoyId, Contract, Instant, ReefId
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.readings import READINGS_PER_MESSAGE_LIMIT
from reefmesh.contracts.register import BuoyFacts, DiveLimits
from reefmesh.contracts.schema import SCORES_1, SCORES_2
from reefmesh.contracts.score_parts import (
    CarbonateBand,
    CarbonateStatus,
    DaySource,
    DiveFactor,
    DiveVerdict,
    LatestValue,
    Level,
    Window,
)
from reefmesh.contracts.scores_1 import DAYS_PER_MESSAGE_LIMIT, DayScore1, ReefScore1

__all__ = [
    "DAYS_PER_MESSAGE_LIMIT",
    "FAILED_RUNS_LIMIT",
    "INSTANTS_LIMIT",
    "INSTANT_HOURS",
    "JUDGED_DAYS_LIMIT",
    "PUBLISHED_LEVEL_DAYS",
    "READERS",
    "VALUE_DAYS",
    "BuoyArrival",
    "BuoyHealth",
    "Carbonate",
    "CarbonateBand",
    "CarbonateDay",
    "CarbonateStatus",
    "DayScore",
    "DaySource",
    "DayStatus",
    "DiveConditions",
    "DiveFactor",
    "DiveInstant",
    "DiveVerdict",
    "FailedRun",
    "HeatStatus",
    "HeatStress",
    "LatestValue",
    "Level",
    "ReefScore",
    "SensorHealth",
    "Window",
    "current_score",
    "is_still_known",
]

INSTANT_HOURS: Final = 6
"""A score carries the verdicts of instants of so many hours before ``as_of``."""

INSTANTS_LIMIT: Final = 2 * READINGS_PER_MESSAGE_LIMIT
"""Each reading of a message may have a current and a visibility."""

FAILED_RUNS_LIMIT: Final = 100

VALUE_DAYS: Final = 31
"""A quantity that had no value for so many days of its buoy's reports is not among the buoy's sensors any more."""

JUDGED_DAYS_LIMIT: Final = 3

PUBLISHED_LEVEL_DAYS: Final = 7


class HeatStatus(StrEnum):
    """How reliable a day's DHW is: the first that applies of unknown, warming_up, insufficient, daytime_only, suspect_share,
    lower_bound, ok."""

    UNKNOWN = "unknown"
    WARMING_UP = "warming_up"
    INSUFFICIENT = "insufficient"
    DAYTIME_ONLY = "daytime_only"
    SUSPECT_SHARE = "suspect_share"
    LOWER_BOUND = "lower_bound"
    OK = "ok"


DayStatus = Literal["suspect_share", "missing", "filled", "daytime_only", "ok"]
"""What is to be said of a day's own value, the first that applies: too many of its readings were left out as suspect; it has no
value; its value is a fill; it had no reading at night; nothing."""


class DayScore(Contract):
    """Heat stress of one reef on one solar date, and what it rests on.

    ``source`` and ``readings`` are those of ``sst_celsius``; ``suspect_share`` (0 to 1) of the day's readings was left out as
    suspect. ``dhw_low``/``dhw_high`` is the band from the sensor's stated accuracy. DHW is summed over the at most 84 days of
    ``coverage_days`` (with readings at night), ``whole_days`` (daytime stands in), ``filled_days`` and ``missing_days``;
    ``suspect_days`` of these have the day status ``suspect_share``. The counts and the share are None on a day that was scored
    before they were counted.
    """

    date: dt.date
    source: DaySource
    readings: int = Field(ge=0)
    suspect_share: float | None = Field(ge=0, le=1)
    day_status: DayStatus
    sst_celsius: float | None
    hotspot_celsius: float | None
    dhw_celsius_weeks: float | None
    dhw_low_celsius_weeks: float | None
    dhw_high_celsius_weeks: float | None
    level: Level | None
    level_7day_max: Level | None
    coverage_days: int = Field(ge=0, le=84)
    whole_days: int | None = Field(ge=0, le=84)
    filled_days: int | None = Field(ge=0, le=84)
    missing_days: int | None = Field(ge=0, le=84)
    suspect_days: int | None = Field(ge=0, le=84)
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


class CarbonateDay(Contract):
    """Aragonite saturation from the daily means of one solar date."""

    date: dt.date
    status: CarbonateStatus
    band: CarbonateBand
    omega_aragonite: float
    omega_low: float
    omega_high: float


class Carbonate(Contract):
    """Aragonite saturation from daily means; ``indicative`` when the relative uncertainty is above 20 %.

    ``days`` are the newest days that could be judged, oldest first; the other fields are those of the last of them.
    """

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
    days: list[CarbonateDay] = Field(default_factory=list, max_length=JUDGED_DAYS_LIMIT)


class DiveInstant(Contract):
    """The verdict on one factor by one reading alone; ``unknown``, without a value, if that reading has no scored one now.

    ``best`` and ``worst`` are the verdicts that the value would have, were each limit moved by its margin: 10 % of the limit,
    or the resolution of the sensor if that is more.
    """

    observed_at: Instant
    buoy_id: BuoyId
    quantity: str
    value: float | None
    verdict: DiveVerdict
    best: DiveVerdict
    worst: DiveVerdict


class DiveConditions(Contract):
    """Guidance for divers; the worst factor decides. After ``valid_until`` the verdict is ``unknown``.

    ``instants`` are those that this message sets or revises, oldest first, from ``INSTANT_HOURS`` hours before ``as_of`` on.
    A consumer that keeps the last one of each instant, buoy and quantity of these hours has them all, in whatever order they
    arrived. With ``all_instants`` they are all there are, after readings were withdrawn: it forgets the others.
    ``limits`` are those by which all of this was judged; None: not said.
    """

    verdict: DiveVerdict
    reasons: list[str]
    factors: list[DiveFactor]
    valid_until: Instant | None
    advice: str | None = None
    instants: list[DiveInstant] = Field(default_factory=list, max_length=INSTANTS_LIMIT)
    all_instants: bool = False
    limits: DiveLimits | None = None


class SensorHealth(Contract):
    """One quantity of a buoy. ``last_value_at``: of its newest value, whatever its flag. ``failing_since``: of the third
    failing value in a row, if that run has not ended; a run ends with the second good value in a row. ``ignored_at``: of the
    newest report whose value of it was ignored, as the register states, if no later one counted."""

    last_value_at: Instant | None
    failing_since: Instant | None
    ignored_at: Instant | None = None


class BuoyHealth(Contract):
    """A buoy at its newest reading: the register's facts, and what the buoy reports about itself.

    ``battery_at`` and ``position_at`` are when it reported these. ``sensors`` maps each quantity that had a value in the last
    ``VALUE_DAYS`` days, or fails, to its health; it is None, as the two instants are, if ``scores/1`` did not say it.
    """

    facts: BuoyFacts
    last_seen_at: Instant
    battery_volts: float | None = None
    battery_percent: float | None = None
    battery_at: Instant | None = None
    drift_metres: float | None = None
    position_flag: Flag | None = None
    position_at: Instant | None = None
    faults: dict[str, str] = Field(default_factory=dict)
    sensors: dict[str, SensorHealth] | None = None


class FailedRun(Contract):
    """A run of failing values of one sensor that is over: the third failing value in a row, and the second good one after."""

    buoy_id: BuoyId
    quantity: str
    since: Instant
    ended_at: Instant


class BuoyArrival(Contract):
    """The readings of one buoy in a message that are newer than all before: when the newest of them was received, and how long
    the oldest of them had been held back until then."""

    buoy_id: BuoyId
    received_at: Instant
    held_back_seconds: float = Field(ge=0)


class ReefScore(Contract):
    """The state of one reef at ``as_of``, the newest ``observed_at`` on record there.

    ``time_zone`` is the IANA name that the register states, None where it states none. ``failed_runs`` are those that ended
    with this message, oldest first; ``arrivals`` tell of its readings.
    """

    reef_id: ReefId
    reef_name: str
    time_zone: str | None = Field(default=None, max_length=64)
    as_of: Instant
    heat: HeatStress
    carbonate: Carbonate
    dive: DiveConditions
    latest: dict[str, LatestValue]
    buoys: list[BuoyHealth]
    failed_runs: list[FailedRun] = Field(default_factory=list, max_length=FAILED_RUNS_LIMIT)
    arrivals: list[BuoyArrival] = Field(default_factory=list, max_length=READINGS_PER_MESSAGE_LIMIT)


READERS: Final[dict[str, TypeAdapter[Any]]] = {SCORES_1: TypeAdapter(ReefScore1), SCORES_2: TypeAdapter(ReefScore)}


def is_still_known(day: dt.date, now: dt.datetime) -> bool:
    """Tell whether the published level of a day says anything of ``now``. It is the highest of seven days: when none of the
    last seven is on record, there is no level today, only a last one with its date."""
    return (now.date() - day).days < PUBLISHED_LEVEL_DAYS


def current_score(score: ReefScore | ReefScore1) -> ReefScore:
    """Return a score of any readable major as one of the current: what the older one did not say is None, or empty."""
    if isinstance(score, ReefScore):
        return score
    heat = score.heat
    return ReefScore(
        reef_id=score.reef_id,
        reef_name=score.reef_name,
        as_of=score.as_of,
        heat=HeatStress(
            mmm_celsius=heat.mmm_celsius,
            mmm_source=heat.mmm_source,
            latest=None if heat.latest is None else _current_day(heat.latest),
            highest_dhw_celsius_weeks=heat.highest_dhw_celsius_weeks,
            highest_dhw_date=heat.highest_dhw_date,
            changed=[_current_day(day) for day in heat.changed],
        ),
        carbonate=Carbonate(**dict(score.carbonate)),
        dive=DiveConditions(**dict(score.dive)),
        latest=score.latest,
        buoys=[BuoyHealth(**dict(buoy)) for buoy in score.buoys],
    )


def _current_day(day: DayScore1) -> DayScore:
    status: DayStatus
    match day.source:
        case "night":
            status = "ok"
        case "whole_day":
            status = "daytime_only"
        case "filled" | "missing":
            status = day.source
        case _:
            assert_never(day.source)
    return DayScore(
        **dict(day) | {"status": HeatStatus(day.status.value)},
        suspect_share=None,
        day_status=status,
        whole_days=None,
        filled_days=None,
        missing_days=None,
        suspect_days=None,
    )
