"""Carbonate chemistry of one solar date, from its daily means."""

from dataclasses import dataclass

from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DayChemistry:
    """The chemistry of one solar date; ``salinity_assumed`` when no buoy measured salinity on it."""

    day: int
    saturation: Saturation
    salinity: float
    salinity_assumed: bool


def judge_totals(
    day: int,
    totals: DayTotals,
    *,
    assumed_salinity: float,
    ph_accuracy: float,
    pco2_accuracy_uatm: float,
    rules: CarbonateRules,
) -> DayChemistry | str:
    """Judge a day by its totals; a string is the reason why that is impossible."""
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
