"""The colour of an alert's state: NOAA's to Alert Level 2, darker ones beyond; for other kinds good, caution, bad, unknown."""

from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.scores import Level


@dataclass(frozen=True, slots=True)
class Colour:
    """A ground, and a colour for letters on it."""

    back: str
    fore: str


GOOD: Final = Colour("#1f7a4d", "#ffffff")
CAUTION: Final = Colour("#d98e04", "#241700")
BAD: Final = Colour("#b3261e", "#ffffff")
UNKNOWN: Final = Colour("#5b6670", "#ffffff")
SEVERE: Final = 3
"""``experienced_only`` and ``marginal``: from here on verdicts and bands are bad."""


def of_level(level: int) -> Colour:
    match Level(level):
        case Level.NO_STRESS:
            return Colour("#c8fafa", "#10333a")
        case Level.WATCH:
            return Colour("#fff000", "#3a3500")
        case Level.WARNING:
            return Colour("#faaa0a", "#3a2600")
        case Level.ALERT_1:
            return Colour("#f00000", "#ffffff")
        case Level.ALERT_2:
            return Colour("#960000", "#ffffff")
        case Level.ALERT_3:
            return Colour("#7a0052", "#ffffff")
        case Level.ALERT_4:
            return Colour("#4b0062", "#ffffff")
        case Level.ALERT_5:
            return Colour("#2a0035", "#ffffff")


def of_alert(alert: Alert) -> Colour:
    if alert.kind == "heat":
        return of_level(alert.severity) if alert.severity < len(Level) else UNKNOWN
    if alert.to_state == "unknown":
        return UNKNOWN
    if alert.severity == 0:
        return GOOD
    return CAUTION if alert.kind in ("dive", "chemistry") and alert.severity < SEVERE else BAD
