"""Units that devices state, and what turns them into the units of ``contracts.quantities``.

Most are a plain multiplication. A unit with another zero (degF, K) has the factor of its number: ``value = raw * factor`` stays
true of every value, and a number of exactly 0, which has no such factor, is refused. pH from mV needs the probe's calibration
(``ph``). Others (salinity from conductivity) need more than the number and are refused as a wrong unit.
"""

from typing import Final

from reefmesh.contracts.quantities import (
    NITRATE_AND_NITRITE,
    PCO2,
    PH_TOTAL_SCALE,
    SALINITY,
    SEA_WATER_SPEED,
    SEA_WATER_TEMPERATURE,
    SEA_WATER_TO_DIRECTION,
    VISIBILITY,
)

KNOT_METRES_PER_SECOND: Final = 0.514444

FACTORS: Final[dict[str, dict[str, float]]] = {
    SEA_WATER_TEMPERATURE: {"": 1.0, "c": 1.0, "degc": 1.0, "celsius": 1.0},
    PH_TOTAL_SCALE: {"": 1.0, "1": 1.0, "ph": 1.0},
    PCO2: {"uatm": 1.0, "µatm": 1.0, "μatm": 1.0},
    NITRATE_AND_NITRITE: {
        "umol/l": 1.0,
        "µmol/l": 1.0,
        "μmol/l": 1.0,
        "um": 1.0,
        "mmol/m3": 1.0,
        "nmol/l": 0.001,
        "mmol/l": 1000.0,
    },
    SEA_WATER_SPEED: {"m/s": 1.0, "cm/s": 0.01, "kn": KNOT_METRES_PER_SECOND, "kt": KNOT_METRES_PER_SECOND},
    SEA_WATER_TO_DIRECTION: {"degree": 1.0, "degrees": 1.0, "deg": 1.0},
    SALINITY: {"": 1.0, "1": 1.0, "psu": 1.0, "pss": 1.0},
    VISIBILITY: {"m": 1.0, "cm": 0.01},
}
"""Quantity -> unit as ``normal`` writes it -> factor. An empty unit stands only where no other is in use."""

OFFSETS: Final[dict[str, dict[str, tuple[float, float]]]] = {
    SEA_WATER_TEMPERATURE: {
        "f": (5 / 9, -160 / 9),
        "degf": (5 / 9, -160 / 9),
        "fahrenheit": (5 / 9, -160 / 9),
        "k": (1.0, -273.15),
        "kelvin": (1.0, -273.15),
    },
}
"""Quantity -> unit as ``normal`` writes it -> (slope, value of 0)."""

MILLIVOLTS: Final = "mv"
"""The unit of a pH electrode as ``normal`` writes it."""


def normal(unit: str) -> str:
    return unit.strip().replace("°", "").replace("º", "").replace(" ", "").lower()


def factor_of(quantity: str, unit: str) -> float | None:
    """Return what to multiply by, or None when the unit cannot be right for the quantity."""
    return FACTORS[quantity].get(normal(unit))


def is_known(quantity: str, unit: str) -> bool:
    """Tell whether a unit can be right for a quantity without knowing more than the number."""
    return factor_of(quantity, unit) is not None or normal(unit) in OFFSETS.get(quantity, {})


def offset_factor(quantity: str, unit: str, raw: float, correction: float) -> float | None:
    """Return the factor of this very number, corrected, in a unit with another zero; None for any other unit, and for 0."""
    line = OFFSETS.get(quantity, {}).get(normal(unit))
    return None if line is None or raw == 0 else (raw * correction * line[0] + line[1]) / raw
