"""Writes ``scores/2``, and ``scores/1`` while consumers of it may run. The parts are plain mappings of the contract's fields:
building models for every message would cost more than the scores. Tests check that the mappings are valid.

What has the contract's default is left out: no battery, no advice, a buoy's usual facts. Defaults are part of a major, so every
reader of it reads the same. What is the same as in the score before is not left out: a consumer may never have had that one.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pydantic_core import from_json, to_json

from reefmesh.contracts.contract import Contract
from reefmesh.contracts.quantities import SEA_WATER_SPEED, UNITS, VISIBILITY
from reefmesh.contracts.register import DiveLimits
from reefmesh.contracts.scores import DAYS_PER_MESSAGE_LIMIT, HeatStatus, Level
from reefmesh.contracts.scores_1 import BuoyHealth1, Carbonate1, DayScore1, DiveConditions1, HeatStatus1, ReefScore1
from reefmesh_scoring.chemistry import judge_chemistry
from reefmesh_scoring.dive_instants import Instants
from reefmesh_scoring.domain.carbonate import CarbonateRules
from reefmesh_scoring.domain.day_chemistry import DayChemistry
from reefmesh_scoring.domain.dive import HEAT_ADVICE, Factor, Measured, judge_dive
from reefmesh_scoring.domain.fixed_point import E4
from reefmesh_scoring.domain.heat_stress import E4_DAYS_PER_DHW, DayHeat, day_status_of
from reefmesh_scoring.domain.solar_day import SECOND_US, date_text_of, text_of
from reefmesh_scoring.domain.window import LOOKBACK_US, NewestScored
from reefmesh_scoring.kept_readings import BATTERY_PERCENT, BATTERY_VOLTS, POSITION
from reefmesh_scoring.scored_reef import NEVER_US, NewestValue, ScoredBuoy, ScoredReef
from reefmesh_scoring.sensor_health import fault_fields, sensor_fields

Fields = dict[str, Any]

_UNKNOWN_UNIT: Final = "unknown"

_OF_THE_MESSAGE: Final = frozenset({"failed_runs", "arrivals"})
"""Fields that tell of one message alone, besides the days that changed."""

_WITHOUT_A_WORD_IN_1: Final = frozenset({HeatStatus.DAYTIME_ONLY.value, HeatStatus.SUSPECT_SHARE.value})


def day_fields(row: DayHeat) -> Fields:
    """Return the fields of ``DayScore``."""
    return {
        "date": date_text_of(row.day),
        "source": row.source,
        "readings": row.readings,
        "suspect_share": None if row.suspect_e4 is None else row.suspect_e4 / E4,
        "day_status": day_status_of(row.source, row.suspect_e4),
        "sst_celsius": _celsius(row.sst_e4),
        "hotspot_celsius": _celsius(row.hotspot_e4),
        "dhw_celsius_weeks": _weeks(row.dhw_e4_days),
        "dhw_low_celsius_weeks": _weeks(row.dhw_low_e4_days),
        "dhw_high_celsius_weeks": _weeks(row.dhw_high_e4_days),
        "level": row.level,
        "level_7day_max": row.level_7day_max,
        "coverage_days": row.coverage_days,
        "whole_days": row.whole_days,
        "filled_days": row.filled_days,
        "missing_days": row.missing_days,
        "suspect_days": row.suspect_days,
        "status": row.status.value,  # an enumeration member costs the serializer a microsecond
    }


def score_fields(state: ScoredReef, *, instants: Instants, limits: DiveLimits, rules: CarbonateRules) -> Fields:
    """Return the fields of ``ReefScore``, except for the days that changed; ``instants`` are those of its dive conditions."""
    if state.facts is None or state.as_of_us is None:
        raise ValueError("a reef without a reading has no score")
    dive = _dive_fields(state, state.as_of_us, limits)
    if instants.fields:
        dive["instants"] = instants.fields
    if instants.are_all:
        dive["all_instants"] = True
    fields: Fields = {
        "reef_id": state.reef_id,
        "reef_name": state.facts.name,
        "as_of": text_of(state.as_of_us),
        "heat": _heat_fields(state),
        "carbonate": _carbonate_fields(judge_chemistry(state, rules)),
        "dive": dive,
        "latest": _latest_fields(state, state.as_of_us),
        "buoys": [_buoy_fields(buoy) for _, buoy in sorted(state.buoys.items()) if buoy.last_seen_us != NEVER_US],
    }
    if state.conditions is not None and state.conditions.time_zone is not None:
        fields["time_zone"] = state.conditions.time_zone
    return fields


def score_bodies(fields: Fields, changed: Sequence[DayHeat], *, latest: DayHeat | None) -> list[bytes]:
    """Return one body, or several when more days changed than one body may carry; what else is of this
    message alone is in the first, and all other fields are the same in each.

    ``latest`` is the latest day in ``fields``, which usually is one of the changed days.
    """
    heat = fields["heat"]
    bodies: list[bytes] = []
    for start in range(0, max(1, len(changed)), DAYS_PER_MESSAGE_LIMIT):
        part = changed[start : start + DAYS_PER_MESSAGE_LIMIT]
        if part:
            heat["changed"] = [heat["latest"] if row is latest else day_fields(row) for row in part]
        bodies.append(to_json(fields))
        fields = {name: value for name, value in fields.items() if name not in _OF_THE_MESSAGE}
    return bodies


def bodies_1(bodies: Sequence[bytes]) -> list[bytes]:
    """Return bodies of ``scores/2`` as ``scores/1``, for consumers that read no other yet. It has no word for a DHW that rests
    on daytime or lost too many readings as suspect: these are ``insufficient`` there, and never ``ok``."""
    return [to_json(_fields_1(from_json(body))) for body in bodies]


def _fields_1(fields: Fields) -> Fields:
    heat = fields["heat"]
    latest = heat["latest"]
    changed = [_day_fields_1(day) for day in heat.get("changed", ())]
    return _only(fields, ReefScore1) | {
        "buoys": [_only(buoy, BuoyHealth1) for buoy in fields["buoys"]],
        "heat": heat | {"latest": None if latest is None else _day_fields_1(latest), "changed": changed},
        "carbonate": _only(fields["carbonate"], Carbonate1),
        "dive": _only(fields["dive"], DiveConditions1),
    }


def _only(fields: Fields, model: type[Contract]) -> Fields:
    """Return those of the fields that a model has."""
    return {name: value for name, value in fields.items() if name in model.model_fields}


def _day_fields_1(day: Fields) -> Fields:
    fields = _only(day, DayScore1)
    if day["status"] in _WITHOUT_A_WORD_IN_1:
        fields["status"] = HeatStatus1.INSUFFICIENT.value
    return fields


def _heat_fields(state: ScoredReef) -> Fields:
    facts, latest = state.facts, state.latest
    highest = state.highest_before
    if latest is not None and latest.dhw_e4_days is not None and (highest is None or latest.dhw_e4_days > highest[0]):
        highest = latest.dhw_e4_days, latest.day
    return {
        "mmm_celsius": None if facts is None else facts.mmm_celsius,
        "mmm_source": "unknown" if facts is None else facts.mmm_source,
        "latest": None if latest is None else day_fields(latest),
        "highest_dhw_celsius_weeks": None if highest is None else _weeks(highest[0]),
        "highest_dhw_date": None if highest is None else date_text_of(highest[1]),
    }


def _carbonate_fields(days: Sequence[DayChemistry] | str) -> Fields:
    if isinstance(days, str):
        return {"status": "unknown", "reason": days}
    judged = days[0]
    saturation = judged.saturation
    fields: Fields = {
        "status": "indicative" if saturation.indicative else "ok",
        "date": date_text_of(judged.day),
        "omega_aragonite": saturation.omega,
        "omega_low": saturation.low,
        "omega_high": saturation.high,
        "relative_uncertainty": saturation.relative_uncertainty,
        "band": saturation.band,
        "salinity": judged.salinity,
        "days": [_judged_day_fields(day) for day in reversed(days)],
    }
    if judged.salinity_assumed:
        fields |= {"salinity_assumed": True, "reason": f"salinity {judged.salinity:g} is assumed, not measured"}
    return fields


def _judged_day_fields(judged: DayChemistry) -> Fields:
    saturation = judged.saturation
    return {
        "date": date_text_of(judged.day),
        "status": "indicative" if saturation.indicative else "ok",
        "band": saturation.band,
        "omega_aragonite": saturation.omega,
        "omega_low": saturation.low,
        "omega_high": saturation.high,
    }


def _dive_fields(state: ScoredReef, as_of_us: int, limits: DiveLimits) -> Fields:
    judged = judge_dive(
        current=_measured(state, SEA_WATER_SPEED), visibility=_measured(state, VISIBILITY), as_of_us=as_of_us, limits=limits
    )
    level = None if state.latest is None else state.latest.level_7day_max
    fields: Fields = {
        "verdict": judged.verdict,
        "reasons": judged.reasons,
        "factors": [_factor_fields(factor, as_of_us) for factor in judged.factors],
        "valid_until": None if judged.valid_until_us is None else text_of(judged.valid_until_us),
        "limits": _limit_fields(limits),
    }
    if level is not None and level >= Level.ALERT_1:
        fields["advice"] = HEAT_ADVICE
    return fields


@lru_cache(maxsize=64)
def _limit_fields(limits: DiveLimits) -> Fields:
    return limits.model_dump(exclude_defaults=True)


def _measured(state: ScoredReef, quantity: str) -> Measured | None:
    newest = _scored(state, quantity)
    if newest is None:
        return None
    interval_seconds = state.buoys[newest.buoy_id].facts.report_interval_seconds
    return Measured(value=newest.value, observed_us=newest.observed_us, report_interval_seconds=interval_seconds)


def _scored(state: ScoredReef, quantity: str) -> NewestScored | None:
    newest = state.scored.get(quantity)
    if newest is None or state.as_of_us is None or newest.observed_us < state.as_of_us - LOOKBACK_US:
        return None
    return newest


def _factor_fields(factor: Factor, as_of_us: int) -> Fields:
    measured = factor.measured
    return {
        "quantity": factor.quantity,
        "value": None if measured is None else measured.value,
        "unit": UNITS[factor.quantity],
        "verdict": factor.verdict,
        "observed_at": None if measured is None else text_of(measured.observed_us),
        "age_seconds": None if measured is None else (as_of_us - measured.observed_us) / SECOND_US,
        "reason": factor.reason,
    }


def _latest_fields(state: ScoredReef, as_of_us: int) -> Fields:
    newest: dict[str, tuple[int, str, NewestValue]] = {}
    for buoy_id, buoy in state.buoys.items():
        for name, item in buoy.items.items():
            if not name.startswith("@"):
                found = newest.get(name)
                if found is None or (item.observed_us, buoy_id) > found[:2]:
                    newest[name] = (item.observed_us, buoy_id, item)
    return {name: _value_fields(state, name, *newest[name], as_of_us=as_of_us) for name in sorted(newest)}


def _value_fields(state: ScoredReef, name: str, observed_us: int, buoy_id: str, item: NewestValue, *, as_of_us: int) -> Fields:
    window = _scored(state, name)
    return {
        "quantity": name,
        "unit": UNITS.get(name, _UNKNOWN_UNIT),
        "value": item.value,
        "flag": item.flag,
        "observed_at": text_of(observed_us),
        "age_seconds": (as_of_us - observed_us) / SECOND_US,
        "buoy_id": buoy_id,
        "window": None
        if window is None
        else {
            "starts_at": text_of(window.starts_us),
            "minimum": window.minimum,
            "mean": window.mean,
            "maximum": window.maximum,
            "count": window.count,
        },
    }


def _buoy_fields(buoy: ScoredBuoy) -> Fields:
    items: Mapping[str, NewestValue] = buoy.items
    volts, percent, position = items.get(BATTERY_VOLTS), items.get(BATTERY_PERCENT), items.get(POSITION)
    fields: Fields = {
        "facts": buoy.facts.model_dump(exclude_defaults=True),
        "last_seen_at": text_of(buoy.last_seen_us),
        "sensors": sensor_fields(buoy),
    }
    if volts is not None:
        fields["battery_volts"] = volts.value
    if percent is not None:
        fields["battery_percent"] = percent.value
    if volts is not None or percent is not None:
        fields["battery_at"] = text_of(max(each.observed_us for each in (volts, percent) if each is not None))
    if position is not None:
        fields["position_at"] = text_of(position.observed_us)
        fields |= {"drift_metres": position.value, "position_flag": position.flag}
    if faults := fault_fields(buoy):
        fields["faults"] = faults
    return fields


def _celsius(value_e4: int | None) -> float | None:
    return None if value_e4 is None else value_e4 / E4


def _weeks(value_e4_days: int | None) -> float | None:
    return None if value_e4_days is None else value_e4_days / E4_DAYS_PER_DHW
