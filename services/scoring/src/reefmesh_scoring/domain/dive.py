"""Dive conditions: guidance from current and visibility as they were last measured, judged at an instant of event time.

The limits are the reef's own, where its operator states them in the register, else defaults of this project. 1.0 kn is where
the US Navy diving manual calls a scuba diver severely handicapped.
"""

from functools import lru_cache
from typing import Final, NamedTuple, assert_never

from reefmesh.contracts.quantities import SEA_WATER_SPEED, VISIBILITY
from reefmesh.contracts.register import DiveLimits
from reefmesh.contracts.scores import DiveVerdict
from reefmesh.dive_reasons import KNOT_METRES_PER_SECOND, reason_of_current, reason_of_visibility
from reefmesh_scoring.domain.fixed_point import E6
from reefmesh_scoring.domain.solar_day import SECOND_US

FRESH_INTERVALS: Final = 3
"""A value older than three report intervals of its buoy is too old for a verdict."""

MARGIN_RATIO: Final = 0.1
"""A limit's margin, if the sensor does not resolve less: a change that stays within it may be noise."""

_OF_CURRENT: Final[tuple[DiveVerdict, ...]] = ("good", "fair", "experienced_only", "no_go")
_OF_VISIBILITY: Final[tuple[DiveVerdict, ...]] = ("good", "fair", "poor", "no_go")

HEAT_ADVICE: Final = (
    "The reef is under heat stress: keep a distance from corals, touch nothing, use moorings instead of anchors. "
    "This is care for the reef and no safety verdict."
)


class Measured(NamedTuple):
    """The newest scored value of one quantity, and the report interval of the buoy that measured it."""

    value: float
    observed_us: int
    report_interval_seconds: int

    @property
    def valid_until_us(self) -> int:
        return self.observed_us + FRESH_INTERVALS * self.report_interval_seconds * SECOND_US


class Factor(NamedTuple):
    """One factor of a verdict. ``measured`` is kept when it is too old to judge, so that its age can be shown."""

    quantity: str
    measured: Measured | None
    verdict: DiveVerdict
    reason: str


class DiveJudgement(NamedTuple):
    """``valid_until_us`` is when the oldest needed value is too old; None when the verdict is unknown already."""

    verdict: DiveVerdict
    reasons: tuple[str, ...]
    factors: tuple[Factor, ...]
    valid_until_us: int | None


class VerdictRange(NamedTuple):
    """The verdict on one value, and those that it would have, were every limit moved by its margin."""

    best: DiveVerdict
    verdict: DiveVerdict
    worst: DiveVerdict


class _Scale(NamedTuple):
    """One quantity's limits as they are compared: how many of ``bounds`` a value is beyond is the place of its verdict;
    ``best`` and ``worst`` are the bounds moved by their margins."""

    bounds: tuple[float, float, float]
    best: tuple[float, float, float]
    worst: tuple[float, float, float]


def judge_current(metres_per_second: float, limits: DiveLimits) -> tuple[DiveVerdict, str]:
    scale = _current_scale(limits, None)
    verdict = _OF_CURRENT[_places_above(round(metres_per_second * E6), scale.bounds)]
    return verdict, reason_of_current(metres_per_second, verdict, limits)


def judge_visibility(metres: float, limits: DiveLimits) -> tuple[DiveVerdict, str]:
    scale = _visibility_scale(limits, None)
    verdict = _OF_VISIBILITY[_places_below(metres, scale.bounds)]
    return verdict, reason_of_visibility(metres, verdict, limits)


def range_of_current(metres_per_second: float, limits: DiveLimits, *, resolution: float | None = None) -> VerdictRange:
    """Return what may be said of a current within the margins; ``resolution`` is the sensor's, in m/s."""
    scale, value = _current_scale(limits, resolution), round(metres_per_second * E6)
    return VerdictRange(
        best=_OF_CURRENT[_places_above(value, scale.best)],
        verdict=_OF_CURRENT[_places_above(value, scale.bounds)],
        worst=_OF_CURRENT[_places_above(value, scale.worst)],
    )


def range_of_visibility(metres: float, limits: DiveLimits, *, resolution: float | None = None) -> VerdictRange:
    """Return what may be said of a visibility within the margins; ``resolution`` is the sensor's, in metres."""
    scale = _visibility_scale(limits, resolution)
    return VerdictRange(
        best=_OF_VISIBILITY[_places_below(metres, scale.best)],
        verdict=_OF_VISIBILITY[_places_below(metres, scale.bounds)],
        worst=_OF_VISIBILITY[_places_below(metres, scale.worst)],
    )


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


@lru_cache(maxsize=64)
def _current_scale(limits: DiveLimits, resolution: float | None) -> _Scale:
    """Return the scale of current in whole micrometres per second: 0.5 kn is 0.257222 m/s, and a value of just that is not
    above it."""
    knots = (limits.current_good_knots, limits.current_fair_knots, limits.current_experienced_knots)
    resolution_knots = 0.0 if resolution is None else resolution / KNOT_METRES_PER_SECOND

    def micrometres(sign: int) -> tuple[float, float, float]:
        good, fair, experienced = (
            round(_moved(limit, resolution_knots, sign) * KNOT_METRES_PER_SECOND * E6) for limit in knots
        )
        return good, fair, experienced

    return _Scale(bounds=micrometres(0), best=micrometres(1), worst=micrometres(-1))


@lru_cache(maxsize=64)
def _visibility_scale(limits: DiveLimits, resolution: float | None) -> _Scale:
    metres = (limits.visibility_good_metres, limits.visibility_fair_metres, limits.visibility_poor_metres)

    def moved(sign: int) -> tuple[float, float, float]:
        good, fair, poor = (_moved(limit, resolution or 0.0, sign) for limit in metres)
        return good, fair, poor

    return _Scale(bounds=metres, best=moved(-1), worst=moved(1))


def _moved(limit: float, resolution: float, sign: int) -> float:
    """Return a limit moved up (1) or down (-1) by its margin, or as it is (0)."""
    return limit + sign * max(limit * MARGIN_RATIO, resolution)


def _places_above(value: float, bounds: tuple[float, float, float]) -> int:
    """Return how many of rising bounds a value is above."""
    return (value > bounds[0]) + (value > bounds[1]) + (value > bounds[2])


def _places_below(value: float, bounds: tuple[float, float, float]) -> int:
    """Return how many of falling bounds a value is below."""
    return (value < bounds[0]) + (value < bounds[1]) + (value < bounds[2])


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
