"""The words of the pages, in English. Each state has a word and a sign besides its colour."""

from dataclasses import dataclass
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
from reefmesh.contracts.score_parts import CarbonateBand, DiveVerdict, Level
from reefmesh.visible_text import visible
from reefmesh_dashboard.pages.choices import Choices
from reefmesh_dashboard.pages.language import Language

REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def N_(text: str) -> str:  # noqa: N802 - gettext's name for it
    """Mark a sentence for the catalogues; it is translated where it is said."""
    return text


VERDICTS: Final[dict[DiveVerdict, tuple[str, str]]] = {
    "good": (N_("Good"), "\N{CHECK MARK}"),
    "fair": (N_("Fair"), "\N{ALMOST EQUAL TO}"),
    "poor": (N_("Poor"), "\N{WHITE DOWN-POINTING TRIANGLE}"),
    "experienced_only": (N_("Experienced only"), "!"),
    "no_go": (N_("No go"), "\N{MULTIPLICATION X}"),
    "unknown": (N_("Unknown"), "?"),
}
"""Word and sign."""

LEVELS: Final[dict[Level, str]] = {
    Level.NO_STRESS: N_("No Stress"),
    Level.WATCH: N_("Bleaching Watch"),
    Level.WARNING: N_("Bleaching Warning"),
    Level.ALERT_1: N_("Alert Level 1"),
    Level.ALERT_2: N_("Alert Level 2"),
    Level.ALERT_3: N_("Alert Level 3"),
    Level.ALERT_4: N_("Alert Level 4"),
    Level.ALERT_5: N_("Alert Level 5"),
}

BANDS: Final[dict[CarbonateBand, str]] = {
    "good": N_("good"),
    "adequate": N_("adequate"),
    "low": N_("low"),
    "marginal": N_("marginal"),
}

QUANTITIES: Final[dict[str, str]] = {
    SEA_WATER_TEMPERATURE: N_("Water temperature"),
    SEA_WATER_SPEED: N_("Current"),
    SEA_WATER_TO_DIRECTION: N_("Current flows to"),
    VISIBILITY: N_("Visibility"),
    PH_TOTAL_SCALE: N_("pH (total scale)"),
    PCO2: N_("pCO2"),
    SALINITY: N_("Salinity"),
    NITRATE_AND_NITRITE: N_("Nitrate and nitrite"),
}
"""In the order of the page."""

REASONS: Final = (
    N_("no score yet"),
    N_("the last readings are too old"),
    N_("neither current nor visibility is measured here"),
    N_("temperature is not measured here"),
    N_("no temperature that can be relied on"),
    N_("the reef's MMM is not known"),
    N_("none of the last 7 days is on record"),
    N_("neither pH nor pCO2 is measured here"),
    N_("not enough is known"),
    N_("the last day is too old"),
    N_("its sensor reports no value"),
    N_("quality control says suspect"),
    N_("quality control says fail"),
    N_("too old"),
    # How reliable a day's heat stress is.
    N_("unknown"),
    N_("warming up"),
    N_("insufficient"),
    N_("daytime only"),
    N_("suspect share"),
    N_("lower bound"),
    N_("ok"),
)
"""What ``domain.now`` gives for reasons. Those of a score are sentences with numbers, in English."""

UNITS: Final[dict[str, str]] = {
    "degC": "\N{DEGREE SIGN}C",
    "degF": "\N{DEGREE SIGN}F",
    "uatm": "\N{GREEK SMALL LETTER MU}atm",
    "umol/L": "\N{GREEK SMALL LETTER MU}mol/L",
    "degree": "\N{DEGREE SIGN}",
    "1": "",
}
"""A unit as people write it."""

DECIMALS: Final = {"1": 2, "m/s": 2, "kn": 2, "degree": 0, "uatm": 0}
KNOTS_FOR_EACH_METRE_PER_SECOND: Final = 3600 / 1852

AGES: Final[dict[str, str]] = {
    "days": N_("{count} days ago"),
    "h": N_("{count} h ago"),
    "min": N_("{count} min ago"),
    "s": N_("{count} s ago"),
}
_LENGTHS: Final = (("days", 86_400), ("h", 3600), ("min", 60))


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """How long ago an instant was when the page was made; ``machine`` is the instant, from which a page counts on."""

    text: str
    machine: str


def shown(text: str) -> str:
    """Return a stranger's text without what would hide or turn the text around it. (Jinja2 escapes the rest.)"""
    return visible(text, instead=REPLACED)


def age(at: datetime, now: datetime, language: Language) -> Age:
    """Return how long ago that was, in the largest unit of which there are at least two."""
    seconds = max(0.0, (now - at).total_seconds())
    unit, length = next((each for each in _LENGTHS if seconds >= 2 * each[1]), ("s", 1))
    count = f"{seconds / length:.0f}"
    return Age(text=language.say(AGES[unit], count=count), machine=machine(at))


def number(value: float, unit: str, choices: Choices) -> str:
    """Return a value with its unit, in the unit that was chosen."""
    if unit == "m/s" and choices.speed == "kn":
        value, unit = value * KNOTS_FOR_EACH_METRE_PER_SECOND, "kn"
    elif unit == "degC" and choices.temperature == "F":
        value, unit = value * 9 / 5 + 32, "degF"
    return f"{value:.{DECIMALS.get(unit, 1)}f} {UNITS.get(unit, unit)}".rstrip()


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


def machine(at: datetime) -> str:
    """Return an instant as programs read it."""
    return at.isoformat(timespec="seconds")
