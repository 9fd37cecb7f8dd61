"""Measured values of an alert's evidence as people read them, each with the digits that explain its state."""

from typing import Final

from reefmesh.figures import decisive
from reefmesh_alerts.texts.evidence import Evidence, number

DHW_LIMITS: Final = (4.0, 8.0, 12.0, 16.0, 20.0)
"""Degree heating weeks from which Alert Level 1 to 5 are (NOAA Coral Reef Watch, December 2023)."""
HOTSPOT_LIMITS: Final = (0.0, 1.0)
SATURATION_LIMITS: Final = (3.0, 3.5, 4.0)


def dhw(evidence: Evidence) -> str | None:
    value = number(evidence, "dhw_celsius_weeks")
    return None if value is None else decisive(value, DHW_LIMITS, decimals=2)


def hotspot(evidence: Evidence) -> str | None:
    value = number(evidence, "hotspot_celsius")
    return None if value is None else decisive(value, HOTSPOT_LIMITS, decimals=2)


def saturation(evidence: Evidence) -> str:
    value = number(evidence, "omega_aragonite")
    return "" if value is None else f"Omega {decisive(value, SATURATION_LIMITS, decimals=2)}"


def distance(evidence: Evidence, *, short: bool = False) -> str:
    """Return how far a buoy is from its mooring, and its limit."""
    value, limit = number(evidence, "drift_metres"), number(evidence, "limit_metres")
    if value is None:
        return ""
    away = f"{decisive(value, () if limit is None else (limit,), decimals=0)} m"
    away += "" if short else " from its mooring"
    return away if limit is None else f"{away}, limit {limit:g} m"


def battery(evidence: Evidence, *, limits: bool = True) -> str:
    """Return a battery's voltage and charge, as far as they are known, and their limits."""
    said = []
    for quantity, unit, decimals in (("volts", "V", 2), ("percent", "%", 0)):
        value, limit = number(evidence, f"battery_{quantity}"), number(evidence, f"limit_{quantity}")
        if value is None:
            continue
        shown = f"{decisive(value, () if limit is None else (limit,), decimals=decimals)} {unit}"
        said.append(f"{shown} (limit {limit:g} {unit})" if limits and limit is not None else shown)
    return ", ".join(said)
