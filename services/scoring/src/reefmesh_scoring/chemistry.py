"""Carbonate chemistry of a reef: the newest days that can be judged, or the reason why none can."""

from typing import NamedTuple

from reefmesh.contracts.quantities import PCO2, PH_TOTAL_SCALE
from reefmesh.contracts.scores import JUDGED_DAYS_LIMIT
from reefmesh_scoring.domain.carbonate import CarbonateRules
from reefmesh_scoring.domain.day_chemistry import DayChemistry, judge_totals
from reefmesh_scoring.domain.solar_day import CARBON_DIOXIDE, PH, DayTotals
from reefmesh_scoring.scored_reef import TOTALS_KEPT_DAYS, ScoredReef


class _Basis(NamedTuple):
    """All that a reef's judged days follow from. ``totals``: of the days that may be judged, newest first. A list of totals is
    never changed once the state has it, so two messages between which no such day changed compare the same lists."""

    last: int
    totals: list[DayTotals | None]
    assumed_salinity: float
    ph_accuracy: float
    pco2_accuracy_uatm: float
    rules: CarbonateRules


def judge_chemistry(state: ScoredReef, rules: CarbonateRules) -> list[DayChemistry] | str:
    """Judge the newest days that are over and have enough readings of pH and pCO2, at most ``JUDGED_DAYS_LIMIT``, newest
    first; if there is none, return the reason.

    A day is over when there is a reading of a later day: the few readings of an unfinished day would show a part of the
    daily swing of 0.2 pH only.
    """
    unmeasured = [name for name, quantity in (("pH", PH_TOTAL_SCALE), ("pCO2", PCO2)) if not _is_measured(state, quantity)]
    if unmeasured or state.record is None:
        return f"no {' and no '.join(unmeasured)} measured"
    basis = _Basis(
        last=state.record.last,
        totals=[state.totals.get(day) for day in _days_over(state.record.last, rules)],
        assumed_salinity=35.0 if state.facts is None else state.facts.assumed_salinity,
        ph_accuracy=state.accuracy(PH_TOTAL_SCALE, "ph_accuracy"),
        pco2_accuracy_uatm=state.accuracy(PCO2, "pco2_accuracy_uatm"),
        rules=rules,
    )
    if state.judged is not None and state.judged[0] == basis:
        return state.judged[1]
    days = _judge(state, basis)
    state.judged = None if isinstance(days, str) else (basis, days)
    return days


def _days_over(last: int, rules: CarbonateRules) -> range:
    return range(last - 1, last - 1 - rules.age_days_limit, -1)


def _judge(state: ScoredReef, basis: _Basis) -> list[DayChemistry] | str:
    last, rules = basis.last, basis.rules
    reason = f"no day of the last {rules.age_days_limit} that is over has scored values of pH and pCO2"
    found: list[DayChemistry] = []
    for day, totals in zip(_days_over(last, rules), basis.totals, strict=True):
        if totals is None or not totals[PH + 1] or not totals[CARBON_DIOXIDE + 1]:
            continue
        judged = _judge_day(day, totals, state, basis)
        if isinstance(judged, str):
            reason = judged
            continue
        found.append(judged)
        if len(found) == JUDGED_DAYS_LIMIT:
            break
    if found:
        return found
    today = state.totals.get(last)
    if reason.startswith("no day") and today is not None and today[PH + 1] and today[CARBON_DIOXIDE + 1]:
        return "the first day with pH and pCO2 is not over yet"
    return reason


def _is_measured(state: ScoredReef, quantity: str) -> bool:
    for buoy in state.buoys.values():  # noqa: SIM110  # every message asks twice, and a generator costs more than the answer
        if quantity in buoy.items:
            return True
    return False


def _judge_day(day: int, totals: DayTotals, state: ScoredReef, on: _Basis) -> DayChemistry | str:
    """Judge one day. A day that is over seldom changes when another one does, so the results are remembered together with
    their inputs."""
    basis = (day, *totals, on.assumed_salinity, on.ph_accuracy, on.pco2_accuracy_uatm, on.rules)
    known = state.chemistry.get(day)
    if known is None or known[0] != basis:
        judged = judge_totals(
            day,
            totals,
            assumed_salinity=on.assumed_salinity,
            ph_accuracy=on.ph_accuracy,
            pco2_accuracy_uatm=on.pco2_accuracy_uatm,
            rules=on.rules,
        )
        known = state.chemistry[day] = basis, judged
        for old in [each for each in state.chemistry if each <= day - TOTALS_KEPT_DAYS]:
            del state.chemistry[old]
    return known[1]
