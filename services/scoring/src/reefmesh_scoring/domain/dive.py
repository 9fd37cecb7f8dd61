"""Dive conditions: guidance from current and visibility as they were last measured, judged at an instant of event time.

The limits are defaults of this project, which operators set for themselves. 1.0 kn is where the US Navy diving manual calls
a scuba diver severely handicapped.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from reefmesh.contracts.quantities import SEA_WATER_SPEED, VISIBILITY
from reefmesh.contracts.scores import DiveVerdict
from reefmesh.figures import decisive
from reefmesh_scoring.domain.fixed_point import E6
from reefmesh_scoring.domain.solar_day import SECOND_US

KNOT_METRES_PER_SECOND: Final = 0.514444
FRESH_INTERVALS: Final = 3
"""A value older than three report intervals of its buoy is too old for a verdict."""

HEAT_ADVICE: Final = (
    "The reef is under heat stress: keep a distance from corals, touch nothing, use moorings instead of anchors. "
    "This is care for the reef and no safety verdict."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiveLimits:
    """Current up to each limit, in knots; visibility from each limit on, in metres."""

    current_good_knots: float = 0.5
    current_fair_knots: float = 1.0
    current_experienced_knots: float = 2.0
    visibility_good_metres: float = 10.0
    visibility_fair_metres: float = 5.0
    visibility_poor_metres: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The newest scored value of one quantity, and the report interval of the buoy that measured it."""

    value: float
    observed_us: int
    report_interval_seconds: int

    @property
    def valid_until_us(self) -> int:
        return self.observed_us + FRESH_INTERVALS * self.report_interval_seconds * SECOND_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One factor of a verdict. ``measured`` is kept when it is too old to judge, so that its age can be shown."""

    quantity: str
    measured: Measured | None
    verdict: DiveVerdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiveJudgement:
    """``valid_until_us`` is when the oldest needed value is too old; None when the verdict is unknown already."""

    verdict: DiveVerdict
    reasons: tuple[str, ...]
    factors: tuple[Factor, ...]
    valid_until_us: int | None


def judge_current(metres_per_second: float, limits: DiveLimits) -> tuple[DiveVerdict, str]:
    bounds = (limits.current_good_knots, limits.current_fair_knots, limits.current_experienced_knots)
    knots = decisive(metres_per_second / KNOT_METRES_PER_SECOND, bounds, decimals=1)
    places = max(2, len(knots.partition(".")[2]))
    measured = f"current {knots} kn ({metres_per_second:.{places}f} m/s)"
    if not _exceeds(metres_per_second, limits.current_good_knots):
        return "good", f"{measured}: at most {limits.current_good_knots:g} kn"
    if not _exceeds(metres_per_second, limits.current_fair_knots):
        return "fair", f"{measured}: above {limits.current_good_knots:g} kn"
    if not _exceeds(metres_per_second, limits.current_experienced_knots):
        return "experienced_only", f"{measured}: above {limits.current_fair_knots:g} kn"
    return "no_go", f"{measured}: above {limits.current_experienced_knots:g} kn"


def judge_visibility(metres: float, limits: DiveLimits) -> tuple[DiveVerdict, str]:
    bounds = (limits.visibility_good_metres, limits.visibility_fair_metres, limits.visibility_poor_metres)
    measured = f"visibility {decisive(metres, bounds, decimals=1)} m"
    if metres >= limits.visibility_good_metres:
        return "good", f"{measured}: at least {limits.visibility_good_metres:g} m"
    if metres >= limits.visibility_fair_metres:
        return "fair", f"{measured}: below {limits.visibility_good_metres:g} m"
    if metres >= limits.visibility_poor_metres:
        return "poor", f"{measured}: below {limits.visibility_fair_metres:g} m"
    return "no_go", f"{measured}: below {limits.visibility_poor_metres:g} m"


def judge_dive(*, current: Measured | None, visibility: Measured | None, as_of_us: int, limits: DiveLimits) -> DiveJudgement:
    """Return the verdict at ``as_of_us``: the worst factor decides, and without either factor it is unknown."""
    factors = (
        _factor(SEA_WATER_SPEED, "current", current, as_of_us, limits),
        _factor(VISIBILITY, "visibility", visibility, as_of_us, limits),
    )
    known = sorted((factor for factor in factors if factor.verdict != "unknown"), key=lambda factor: -_rank(factor.verdict))
    unknown = [factor.reason for factor in factors if factor.verdict == "unknown"]
    if unknown:
        # Known bad factors are reasons all the same: one of them alone may be enough not to dive.
        warnings = [factor.reason for factor in known if factor.verdict != "good"]
        return DiveJudgement(verdict="unknown", reasons=(*unknown, *warnings), factors=factors, valid_until_us=None)
    verdict = known[0].verdict
    return DiveJudgement(
        verdict=verdict,
        reasons=tuple(factor.reason for factor in known if factor.verdict == verdict),
        factors=factors,
        valid_until_us=min(factor.measured.valid_until_us for factor in known if factor.measured is not None),
    )


def _rank(verdict: DiveVerdict) -> int:
    """Return the order of verdicts: the worse, the higher. Unknown is no rank among them: it decides before all others."""
    match verdict:
        case "unknown":
            return -1
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
        case _:
            assert_never(verdict)


def _exceeds(metres_per_second: float, knots: float) -> bool:
    """Compare in whole micrometres per second: 0.5 kn is 0.257222 m/s, and a value of just that is not above it."""
    return round(metres_per_second * E6) > round(knots * KNOT_METRES_PER_SECOND * E6)


def _factor(quantity: str, name: str, measured: Measured | None, as_of_us: int, limits: DiveLimits) -> Factor:
    if measured is None:
        return Factor(quantity=quantity, measured=None, verdict="unknown", reason=f"no {name} measured")
    if as_of_us > measured.valid_until_us:
        age_minutes = (as_of_us - measured.observed_us) // (60 * SECOND_US)
        reason = f"{name} is {age_minutes} min old, more than {FRESH_INTERVALS} report intervals"
        return Factor(quantity=quantity, measured=measured, verdict="unknown", reason=reason)
    judge = judge_current if quantity == SEA_WATER_SPEED else judge_visibility
    verdict, reason = judge(measured.value, limits)
    return Factor(quantity=quantity, measured=measured, verdict=verdict, reason=reason)
