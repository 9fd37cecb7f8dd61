"""Why a dive verdict was given, in the words of scores and alerts alike: the value, with the digits that explain the verdict,
and the limit that it lies above or below."""

from typing import Final

from reefmesh.contracts.register import DiveLimits
from reefmesh.contracts.scores import DiveVerdict
from reefmesh.figures import decisive

KNOT_METRES_PER_SECOND: Final = 0.514444

_DEFAULTS: Final = DiveLimits()


def reason_of_current(metres_per_second: float, verdict: DiveVerdict, limits: DiveLimits | None) -> str:
    """Return the reason of a verdict by these limits; without them, the verdict stands in their place."""
    compared = limits or _DEFAULTS
    bounds = (compared.current_good_knots, compared.current_fair_knots, compared.current_experienced_knots)
    knots = decisive(metres_per_second / KNOT_METRES_PER_SECOND, bounds, decimals=1)
    places = max(2, len(knots.partition(".")[2]))
    measured = f"current {knots} kn ({metres_per_second:.{places}f} m/s)"
    if limits is None:
        return f"{measured}: {verdict}"
    match verdict:
        case "good":
            return f"{measured}: at most {limits.current_good_knots:g} kn"
        case "fair":
            return f"{measured}: above {limits.current_good_knots:g} kn"
        case "experienced_only":
            return f"{measured}: above {limits.current_fair_knots:g} kn"
        case _:
            return f"{measured}: above {limits.current_experienced_knots:g} kn"


def reason_of_visibility(metres: float, verdict: DiveVerdict, limits: DiveLimits | None) -> str:
    """Return the reason of a verdict by these limits; without them, the verdict stands in their place."""
    compared = limits or _DEFAULTS
    bounds = (compared.visibility_good_metres, compared.visibility_fair_metres, compared.visibility_poor_metres)
    measured = f"visibility {decisive(metres, bounds, decimals=1)} m"
    if limits is None:
        return f"{measured}: {verdict}"
    match verdict:
        case "good":
            return f"{measured}: at least {limits.visibility_good_metres:g} m"
        case "fair":
            return f"{measured}: below {limits.visibility_good_metres:g} m"
        case "poor":
            return f"{measured}: below {limits.visibility_fair_metres:g} m"
        case _:
            return f"{measured}: below {limits.visibility_poor_metres:g} m"
