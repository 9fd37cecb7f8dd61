"""Severities: they order the states inside a kind. And the state names that people write in the subscriptions file."""

from collections.abc import Mapping
from typing import Final, assert_never, get_args

from reefmesh.contracts.alerts import Kind
from reefmesh.contracts.scores import CarbonateBand, DiveVerdict, Level

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

CLOSED: Final = 0
OPEN: Final = 1
"""Severities of the kinds with two states: silence of a buoy or a quantity, drift, battery, sensor fault."""


def dive_severity(verdict: DiveVerdict) -> int:
    """Unknown is the worst: nobody should take people to a site without known conditions."""
    match verdict:
        case "good":
            return 0
        case "fair":
            return 1
        case "poor":
            return 2
        case "experienced_only":
            return 3
        case "no_go":
            return 4
        case "unknown":
            return 5
        case _:
            assert_never(verdict)


def chemistry_severity(band: CarbonateBand) -> int:
    match band:
        case "good":
            return 0
        case "adequate":
            return 1
        case "low":
            return 2
        case "marginal":
            return 3
        case _:
            assert_never(band)


_HEAT: Final = {level.title.casefold(): level.value for level in Level}
_DIVE: Final[dict[str, int]] = {verdict: dive_severity(verdict) for verdict in get_args(DiveVerdict)}
_CHEMISTRY: Final[dict[str, int]] = {band: chemistry_severity(band) for band in get_args(CarbonateBand)}
_EPISODE: Final = {"closed": CLOSED, "open": OPEN}


def states_of(kind: Kind) -> Mapping[str, int]:
    """Return state name -> severity, for every state of a kind."""
    match kind:
        case "heat":
            return _HEAT
        case "dive":
            return _DIVE
        case "chemistry":
            return _CHEMISTRY
        case "buoy_silent" | "buoy_drift" | "buoy_battery" | "sensor_fault" | "quantity_silent":
            return _EPISODE
        case _:
            assert_never(kind)


def severity_of(kind: Kind, name: str) -> int:
    """Return the severity of the state ``name`` (``Alert Level 1``, ``no_go``, ``low``), in any case.

    Raises:
        ValueError: this kind has no such state; the message lists its states.
    """
    names = states_of(kind)
    try:
        return names[name.strip().casefold()]
    except KeyError:
        raise ValueError(f"{name!r} is not one of {', '.join(names)}") from None


def highest_severity(kind: Kind) -> int:
    return max(states_of(kind).values())
