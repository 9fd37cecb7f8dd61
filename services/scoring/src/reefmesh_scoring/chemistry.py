"""Carbonate chemistry of a reef as it stands: which day is judged, and what is said when none can be."""

from dataclasses import dataclass

from reefmesh.contracts.quantities import PCO2, PH_TOTAL_SCALE, SEA_WATER_TEMPERATURE
from reefmesh_scoring.domain.carbonate import CarbonateRules, Saturation, judge
from reefmesh_scoring.domain.solar_day import (
    CARBON_DIOXIDE,
    PH,
    PRACTICAL_SALINITY,
    TEMPERATURE,
    DayTotals,
    daily_mean,
    date_of,
)
from reefmesh_scoring.reef_state import ReefState


@dataclass(frozen=True, slots=True, kw_only=True)
class DayChemistry:
    """The chemistry of one solar date; ``salinity_assumed`` when nothing measured it that day."""

    day: int
    saturation: Saturation
    salinity: float
    salinity_assumed: bool


def judge_chemistry(state: ReefState, rules: CarbonateRules) -> DayChemistry | str:
    """Judge the newest day that is over and has enough of pH and pCO2; else return why not.

    A day is over when the reef has been heard on a later one: an unfinished day is a few readings of a daily swing of 0.2 pH.
    """
    silent = [name for name, quantity in (("pH", PH_TOTAL_SCALE), ("pCO2", PCO2)) if not _is_measured(state, quantity)]
    if silent or state.record is None:
        return f"no {' and no '.join(silent)} measured"
    last = state.record.last
    reason = f"no day of the last {rules.age_days_limit} that is over has scored values of pH and pCO2"
    for day in range(last - 1, last - 1 - rules.age_days_limit, -1):
        totals = state.totals.get(day)
        if totals is None or not totals[PH + 1] or not totals[CARBON_DIOXIDE + 1]:
            continue
        judged = _judge_day(day, totals, state, rules)
        if isinstance(judged, DayChemistry):
            return judged
        reason = judged
    today = state.totals.get(last)
    if reason.startswith("no day") and today is not None and today[PH + 1] and today[CARBON_DIOXIDE + 1]:
        return "the first day with pH and pCO2 is not over yet"
    return reason


def _is_measured(state: ReefState, quantity: str) -> bool:
    return any(quantity in buoy.items for buoy in state.buoys.values())


def _judge_day(day: int, totals: DayTotals, state: ReefState, rules: CarbonateRules) -> DayChemistry | str:
    """A day that is over seldom changes, and every message asks for it: what was found last is kept with what it came from."""
    assumed_salinity = 35.0 if state.facts is None else state.facts.assumed_salinity
    ph_accuracy = state.accuracy(PH_TOTAL_SCALE, "ph_accuracy")
    pco2_accuracy_uatm = state.accuracy(PCO2, "pco2_accuracy_uatm")
    basis = (day, *totals, assumed_salinity, ph_accuracy, pco2_accuracy_uatm, rules)
    if state.chemistry is None or state.chemistry[0] != basis:
        judged = _judge_totals(
            day,
            totals,
            assumed_salinity=assumed_salinity,
            ph_accuracy=ph_accuracy,
            pco2_accuracy_uatm=pco2_accuracy_uatm,
            rules=rules,
        )
        state.chemistry = basis, judged
    return state.chemistry[1]


def _judge_totals(
    day: int,
    totals: DayTotals,
    *,
    assumed_salinity: float,
    ph_accuracy: float,
    pco2_accuracy_uatm: float,
    rules: CarbonateRules,
) -> DayChemistry | str:
    on_date = f"on {date_of(day).isoformat()}"
    fewest = min(totals[PH + 1], totals[CARBON_DIOXIDE + 1])
    if fewest < rules.readings_minimum:
        return f"only {fewest} readings of pH or pCO2 {on_date}, at least {rules.readings_minimum} make a daily mean"
    ph, pco2_uatm, celsius = (daily_mean(totals, at) for at in (PH, CARBON_DIOXIDE, TEMPERATURE))
    salinity = daily_mean(totals, PRACTICAL_SALINITY)
    if ph is None or pco2_uatm is None or celsius is None:
        return f"no scored {SEA_WATER_TEMPERATURE} {on_date}"
    if pco2_uatm <= 0:
        return f"mean pCO2 {on_date} is not above 0"
    used = assumed_salinity if salinity is None else salinity
    saturation = judge(
        ph=ph,
        pco2_uatm=pco2_uatm,
        salinity=used,
        celsius=celsius,
        ph_accuracy=ph_accuracy,
        pco2_accuracy_uatm=pco2_accuracy_uatm,
        rules=rules,
    )
    return DayChemistry(day=day, saturation=saturation, salinity=used, salinity_assumed=salinity is None)
