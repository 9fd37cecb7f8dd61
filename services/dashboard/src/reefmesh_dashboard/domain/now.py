"""What a reef's newest score says now: whether it holds, is stale, unknown, or about what nobody measures there.

A score is made when readings come. If none come any more, nobody makes another, so its age is judged whenever it is shown.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from reefmesh.contracts.flags import SCORED, Flag
from reefmesh.contracts.quantities import PCO2, PH_TOTAL_SCALE, SEA_WATER_SPEED, SEA_WATER_TEMPERATURE, VISIBILITY
from reefmesh.contracts.score_parts import CarbonateBand, DiveFactor, DiveVerdict, Level
from reefmesh.contracts.scores import PUBLISHED_LEVEL_DAYS, ReefScore, is_still_known
from reefmesh_dashboard.domain.schedule import VALUE_STALE_AFTER, silence_allowed

CARBONATE_KNOWN_DAYS: Final = 2
"""A daily mean speaks of today for so long: the day itself, which is complete when it is over, and the day after."""


class Standing(StrEnum):
    """``unknown``: it is measured here, and there is nothing that can be relied on. ``stale``: it was known, and is too old.
    ``not_measured``: no buoy of the reef has ever reported what it is made of."""

    CURRENT = "current"
    STALE = "stale"
    UNKNOWN = "unknown"
    NOT_MEASURED = "not_measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiveNow:
    """``verdict`` is ``unknown`` unless it holds now, and so are those of ``factors``; ``last_verdict`` is what it was until
    ``valid_until``."""

    standing: Standing
    verdict: DiveVerdict
    reasons: tuple[str, ...]
    factors: tuple[DiveFactor, ...] = ()
    last_verdict: DiveVerdict | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatNow:
    """``level`` and ``dhw_celsius_weeks`` are None unless they hold now, and before ``valid_until``; ``last_level`` is that of
    the day ``last_date``."""

    standing: Standing
    reason: str
    level: Level | None = None
    dhw_celsius_weeks: float | None = None
    last_level: Level | None = None
    last_date: date | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarbonateNow:
    """``band`` and ``omega_aragonite`` are None unless they hold now, and before ``valid_until``."""

    standing: Standing
    reason: str
    band: CarbonateBand | None = None
    omega_aragonite: float | None = None
    last_date: date | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueNow:
    """The newest value of a quantity. It is there with its flag and its instant even where it cannot be relied on.
    ``valid_until``: when a current one becomes stale, if no newer one comes."""

    quantity: str
    standing: Standing
    reason: str
    value: float | None = None
    unit: str | None = None
    flag: Flag | None = None
    observed_at: datetime | None = None
    buoy_id: str | None = None
    valid_until: datetime | None = None


NO_SCORE: Final = "no score yet"
NO_VALUE: Final = "its sensor reports no value"


def dive_now(score: ReefScore | None, now: datetime) -> DiveNow:
    if score is None:
        return DiveNow(standing=Standing.UNKNOWN, verdict="unknown", reasons=(NO_SCORE,))
    dive, reasons = score.dive, tuple(score.dive.reasons)
    unjudged = tuple(factor.model_copy(update={"verdict": "unknown"}) for factor in dive.factors)
    if dive.verdict == "unknown":
        if not _is_measured(score, (SEA_WATER_SPEED, VISIBILITY)):
            missing = ("neither current nor visibility is measured here",)
            return DiveNow(standing=Standing.NOT_MEASURED, verdict="unknown", reasons=missing, factors=unjudged)
        return DiveNow(standing=Standing.UNKNOWN, verdict="unknown", reasons=reasons, factors=unjudged)
    if dive.valid_until is None or dive.valid_until < now:
        return DiveNow(
            standing=Standing.STALE,
            verdict="unknown",
            reasons=("the last readings are too old",),
            factors=unjudged,
            last_verdict=dive.verdict,
            valid_until=dive.valid_until,
        )
    return DiveNow(
        standing=Standing.CURRENT,
        verdict=dive.verdict,
        reasons=reasons,
        factors=tuple(dive.factors),
        last_verdict=dive.verdict,
        valid_until=dive.valid_until,
    )


def heat_now(score: ReefScore | None, now: datetime) -> HeatNow:
    if score is None:
        return HeatNow(standing=Standing.UNKNOWN, reason=NO_SCORE)
    day = score.heat.latest
    if day is None:
        if not _is_measured(score, (SEA_WATER_TEMPERATURE,)):
            return HeatNow(standing=Standing.NOT_MEASURED, reason="temperature is not measured here")
        return HeatNow(standing=Standing.UNKNOWN, reason="no temperature that can be relied on")
    if day.level_7day_max is None:
        reason = "the reef's MMM is not known" if score.heat.mmm_celsius is None else day.status.value
        return HeatNow(standing=Standing.UNKNOWN, reason=reason, last_date=day.date)
    if not is_still_known(day.date, now):
        return HeatNow(
            standing=Standing.STALE,
            reason="none of the last 7 days is on record",
            last_level=day.level_7day_max,
            last_date=day.date,
        )
    return HeatNow(
        standing=Standing.CURRENT,
        reason=day.status.value,
        level=day.level_7day_max,
        dhw_celsius_weeks=day.dhw_celsius_weeks,
        last_level=day.level_7day_max,
        last_date=day.date,
        valid_until=_end_of_days(day.date, PUBLISHED_LEVEL_DAYS),
    )


def carbonate_now(score: ReefScore | None, now: datetime) -> CarbonateNow:
    if score is None:
        return CarbonateNow(standing=Standing.UNKNOWN, reason=NO_SCORE)
    carbonate = score.carbonate
    if carbonate.status == "unknown" or carbonate.date is None:
        if not _is_measured(score, (PH_TOTAL_SCALE, PCO2)):
            return CarbonateNow(standing=Standing.NOT_MEASURED, reason="neither pH nor pCO2 is measured here")
        return CarbonateNow(
            standing=Standing.UNKNOWN, reason=carbonate.reason or "not enough is known", last_date=carbonate.date
        )
    if (now.date() - carbonate.date).days >= CARBONATE_KNOWN_DAYS:
        return CarbonateNow(standing=Standing.STALE, reason="the last day is too old", last_date=carbonate.date)
    return CarbonateNow(
        standing=Standing.CURRENT,
        reason=carbonate.reason or carbonate.status,
        band=carbonate.band,
        omega_aragonite=carbonate.omega_aragonite,
        last_date=carbonate.date,
        valid_until=_end_of_days(carbonate.date, CARBONATE_KNOWN_DAYS),
    )


def value_now(score: ReefScore | None, quantity: str, now: datetime) -> ValueNow:
    if score is None:
        return ValueNow(quantity=quantity, standing=Standing.UNKNOWN, reason=NO_SCORE)
    latest = score.latest.get(quantity)
    if latest is None:
        return ValueNow(quantity=quantity, standing=Standing.NOT_MEASURED, reason="not measured here")
    valid_until = None
    if latest.value is None or latest.flag == Flag.MISSING:
        standing, reason = Standing.UNKNOWN, NO_VALUE
    elif latest.flag not in SCORED:
        standing, reason = Standing.UNKNOWN, f"quality control says {latest.flag.name.lower()}"
    elif now - latest.observed_at > (stale_after := _stale_after(score, latest.buoy_id)):
        standing, reason = Standing.STALE, "too old"
    else:
        standing, reason, valid_until = Standing.CURRENT, "", latest.observed_at + stale_after
    return ValueNow(
        quantity=quantity,
        standing=standing,
        reason=reason,
        value=latest.value,
        unit=latest.unit,
        flag=latest.flag,
        observed_at=latest.observed_at,
        buoy_id=latest.buoy_id,
        valid_until=valid_until,
    )


def _end_of_days(first: date, days: int) -> datetime:
    """Return when so many days of UTC are over."""
    return datetime.combine(first + timedelta(days=days), time.min, UTC)


def _is_measured(score: ReefScore, quantities: Collection[str]) -> bool:
    """The newest value of each quantity is in the score, whatever its flag, from its first report on."""
    return any(quantity in score.latest for quantity in quantities)


def _stale_after(score: ReefScore, buoy_id: str) -> timedelta:
    facts = next((buoy.facts for buoy in score.buoys if buoy.facts.buoy_id == buoy_id), None)
    return VALUE_STALE_AFTER if facts is None else silence_allowed(facts)
