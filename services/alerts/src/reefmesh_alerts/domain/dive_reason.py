"""Why a verdict is told of one factor of a dive: in the score's own words, and after which verdict where that is what holds."""

from reefmesh.contracts.quantities import SEA_WATER_SPEED
from reefmesh.contracts.register import DiveLimits
from reefmesh.dive_reasons import reason_of_current, reason_of_visibility
from reefmesh_alerts.domain.dive_told import Told, verdict_of


def own_reason_of(quantity: str, told: Told, limits: DiveLimits | None) -> str:
    """Return the reason of the instant's own verdict. ``limits`` are those by which the instants were judged, if the score said
    them."""
    reason = reason_of_current if quantity == SEA_WATER_SPEED else reason_of_visibility
    return reason(told.instant.value, verdict_of(told.instant.verdict), limits)


def reason_of(quantity: str, told: Told, limits: DiveLimits | None) -> str:
    """Return the reason of what is told: where that is not the instant's own verdict, which that is and which came before."""
    said = own_reason_of(quantity, told, limits)
    if told.instant.verdict == told.told:
        return said
    own = "" if limits is None else f", {verdict_of(told.instant.verdict)}"
    return f"{said}{own}, after {verdict_of(told.before)}"
