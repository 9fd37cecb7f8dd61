"""Units that devices state, and what turns them into the units of ``contracts.quantities``.

Only conversions that are a plain multiplication are here, so that ``value = raw * factor`` stays true of every quantity.
Others (pH from mV, salinity from conductivity) need more than the number and are refused as a wrong unit.
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


def normal(unit: str) -> str:
    return unit.strip().replace("°", "").replace("º", "").replace(" ", "").lower()


def factor_of(quantity: str, unit: str) -> float | None:
    """Return what to multiply by, or None when the unit cannot be right for the quantity."""
    return FACTORS[quantity].get(normal(unit))
