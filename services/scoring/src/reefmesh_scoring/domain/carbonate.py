"""Aragonite saturation from pH and pCO2, directly: two measured parameters fix the carbonate ion without a solver.

Temperatures in degC, salinity on the practical scale, pH on the total scale, pCO2 in microatmospheres, at the surface.
"""

from dataclasses import dataclass, replace
from math import exp, log, log10, sqrt
from math import pow as power
from typing import Final

from reefmesh.contracts.register import ChemistryBands
from reefmesh.contracts.scores import CarbonateBand

ZERO_CELSIUS_KELVIN: Final = 273.15
_GAS_CONSTANT: Final = 83.1451  # cm3 bar / (mol K)
_ATMOSPHERE_BAR: Final = 1.01325
RELATIVE_PER_PH: Final = 2 * log(10)
"""Omega goes with the inverse square of [H+]: dOmega/Omega = 4.605 per unit of pH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarbonateRules:
    """Operator configuration; every number is a default of this project and no standard.

    A day is judged once it is over and has at least ``readings_minimum`` scored values of pH and of pCO2, and for
    ``age_days_limit`` days after it.
    """

    good_above: float = 4.0
    adequate_from: float = 3.5
    low_from: float = 3.0
    indicative_above: float = 0.20
    readings_minimum: int = 4
    age_days_limit: int = 7

    def __post_init__(self) -> None:
        if not 1 <= self.age_days_limit <= 7:
            raise ValueError("age_days_limit is 1 to 7 days: totals of older days are not at hand")

    def with_bands(self, bands: ChemistryBands) -> "CarbonateRules":
        """Return the rules with a reef's own bands."""
        return replace(self, good_above=bands.good_above, adequate_from=bands.adequate_from, low_from=bands.low_from)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """Omega of aragonite with its band of uncertainty."""

    omega: float
    low: float
    high: float
    relative_uncertainty: float
    indicative: bool
    band: CarbonateBand


def k0(kelvin: float, salinity: float) -> float:
    """Return the solubility of CO2, mol/(kg atm) (Weiss 1974)."""
    t = kelvin / 100
    return exp(-60.2409 + 93.4517 / t + 23.3585 * log(t) + salinity * (0.023517 - 0.023656 * t + 0.0047036 * t * t))


def fugacity_uatm(pco2_uatm: float, kelvin: float) -> float:
    """Return fCO2 from pCO2 at one atmosphere (Weiss 1974)."""
    b = -1636.75 + 12.0408 * kelvin - 0.0327957 * kelvin**2 + 3.16528e-5 * kelvin**3
    delta = 57.7 - 0.118 * kelvin
    return pco2_uatm * exp((b + 2 * delta) * _ATMOSPHERE_BAR / (_GAS_CONSTANT * kelvin))


def pk1(kelvin: float, salinity: float) -> float:
    """Return -log10 of the first dissociation constant of carbonic acid (Lueker et al. 2000)."""
    return 3633.86 / kelvin - 61.2172 + 9.67770 * log(kelvin) - 0.011555 * salinity + 0.0001152 * salinity**2


def pk2(kelvin: float, salinity: float) -> float:
    """Return -log10 of the second dissociation constant of carbonic acid (Lueker et al. 2000)."""
    return 471.78 / kelvin + 25.9290 - 3.16967 * log(kelvin) - 0.01781 * salinity + 0.0001122 * salinity**2


def calcium_mol_per_kg(salinity: float) -> float:
    return 0.02128 / 40.087 * salinity / 1.80655


def aragonite_solubility(kelvin: float, salinity: float) -> float:
    """Return the stoichiometric solubility product of aragonite, (mol/kg)^2 (Mucci 1983)."""
    return power(
        10.0,
        -171.945
        - 0.077993 * kelvin
        + 2903.293 / kelvin
        + 71.595 * log10(kelvin)
        + (-0.068393 + 0.0017276 * kelvin + 88.135 / kelvin) * sqrt(salinity)
        - 0.10018 * salinity
        + 0.0059415 * salinity**1.5,
    )


def omega_aragonite(*, ph: float, pco2_uatm: float, salinity: float, celsius: float) -> float:
    """Return the saturation state of aragonite."""
    kelvin = celsius + ZERO_CELSIUS_KELVIN
    fco2_atm = fugacity_uatm(pco2_uatm, kelvin) * 1e-6
    # One power of ten for K1 K2 / H^2 keeps the digits that two small numbers would lose.
    dissociated = power(10.0, 2 * ph - pk1(kelvin, salinity) - pk2(kelvin, salinity))
    carbonate = k0(kelvin, salinity) * fco2_atm * dissociated
    return calcium_mol_per_kg(salinity) * carbonate / aragonite_solubility(kelvin, salinity)


def relative_uncertainty(*, ph_accuracy: float, pco2_uatm: float, pco2_accuracy_uatm: float) -> float:
    """Return dOmega/Omega, both errors at their worst together."""
    return RELATIVE_PER_PH * ph_accuracy + pco2_accuracy_uatm / pco2_uatm


def band_of(omega: float, rules: CarbonateRules) -> CarbonateBand:
    if omega > rules.good_above:
        return "good"
    if omega >= rules.adequate_from:
        return "adequate"
    return "low" if omega >= rules.low_from else "marginal"


def judge(
    *,
    ph: float,
    pco2_uatm: float,
    salinity: float,
    celsius: float,
    ph_accuracy: float,
    pco2_accuracy_uatm: float,
    rules: CarbonateRules,
) -> Saturation:
    """Judge daily means. ``pco2_uatm`` must be above 0.

    The band of uncertainty is linear and stops at 0 below: a probe of +-0.1 pH alone makes it +-46 %.
    """
    omega = omega_aragonite(ph=ph, pco2_uatm=pco2_uatm, salinity=salinity, celsius=celsius)
    relative = relative_uncertainty(ph_accuracy=ph_accuracy, pco2_uatm=pco2_uatm, pco2_accuracy_uatm=pco2_accuracy_uatm)
    return Saturation(
        omega=omega,
        low=max(0.0, omega * (1 - relative)),
        high=omega * (1 + relative),
        relative_uncertainty=relative,
        indicative=relative > rules.indicative_above,
        band=band_of(omega, rules),
    )
