"""The words of the pages. Each state has a word and a sign besides its colour."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

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
from reefmesh.contracts.score_parts import DiveVerdict
from reefmesh.visible_text import visible

REPLACED: Final = "\N{REPLACEMENT CHARACTER}"

VERDICTS: Final[dict[DiveVerdict, tuple[str, str]]] = {
    "good": ("Good", "\N{CHECK MARK}"),
    "fair": ("Fair", "\N{ALMOST EQUAL TO}"),
    "poor": ("Poor", "\N{WHITE DOWN-POINTING TRIANGLE}"),
    "experienced_only": ("Experienced only", "!"),
    "no_go": ("No go", "\N{MULTIPLICATION X}"),
    "unknown": ("Unknown", "?"),
}
"""Word and sign."""

QUANTITIES: Final[dict[str, str]] = {
    SEA_WATER_TEMPERATURE: "Water temperature",
    SEA_WATER_SPEED: "Current",
    SEA_WATER_TO_DIRECTION: "Current flows to",
    VISIBILITY: "Visibility",
    PH_TOTAL_SCALE: "pH (total scale)",
    PCO2: "pCO2",
    SALINITY: "Salinity",
    NITRATE_AND_NITRITE: "Nitrate and nitrite",
}
"""In the order of the page."""

UNITS: Final[dict[str, str]] = {
    "degC": "\N{DEGREE SIGN}C",
    "uatm": "\N{GREEK SMALL LETTER MU}atm",
    "umol/L": "\N{GREEK SMALL LETTER MU}mol/L",
    "degree": "\N{DEGREE SIGN}",
    "1": "",
}
"""A unit as people write it."""

_LENGTHS: Final = (("days", 86_400), ("h", 3600), ("min", 60))


def shown(text: str) -> str:
    """Return a stranger's text without what would hide or turn the text around it. (Jinja2 escapes the rest.)"""
    return visible(text, instead=REPLACED)


def age(at: datetime | None, now: datetime) -> str:
    """Return how long ago that was, in the largest unit of which there are at least two."""
    if at is None:
        return "never"
    seconds = max(0.0, (now - at).total_seconds())
    for unit, length in _LENGTHS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def site_time(at: datetime, time_zone: str | None) -> str:
    """Return an instant on the site's clock; in UTC, if the site states no time zone, or none that we know."""
    if time_zone is not None:
        try:
            local = at.astimezone(ZoneInfo(time_zone))
        except (KeyError, ValueError, OSError, OverflowError):  # not a name, not a path inside the database, a folder of it
            return utc(at)
        return f"{local:%Y-%m-%d %H:%M} ({shown(time_zone)})"
    return utc(at)


def utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
