"""Dive conditions: the limits, the worst factor, and when nothing can be said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefmesh.contracts.register import DiveLimits
from reefmesh.dive_reasons import KNOT_METRES_PER_SECOND
from reefmesh_scoring.domain.dive import (
    Measured,
    judge_current,
    judge_dive,
    judge_visibility,
    range_of_current,
    range_of_visibility,
)

NOW_US = 10**15
MINUTE_US = 60 * 10**6
LIMITS = DiveLimits()


def measured(value: float, age_minutes: float = 0, interval_minutes: int = 30) -> Measured:
    observed_us = NOW_US - round(age_minutes * MINUTE_US)
    return Measured(value=value, observed_us=observed_us, report_interval_seconds=interval_minutes * 60)


@pytest.mark.parametrize(
    ("knots", "verdict"),
    [
        (0.0, "good"),
        (0.5, "good"),
        (0.51, "fair"),
        (1.0, "fair"),
        (1.01, "experienced_only"),
        (2.0, "experienced_only"),
        (2.01, "no_go"),
    ],
)
def test_current_is_judged_by_its_limits(knots: float, verdict: str) -> None:
    assert verdict == judge_current(knots * KNOT_METRES_PER_SECOND, LIMITS)[0]


def test_current_of_just_the_limit_in_metres_per_second_is_not_above_it() -> None:
    assert judge_current(0.257222, LIMITS)[0] == "good"
    assert judge_current(0.257223, LIMITS)[0] == "fair"


@pytest.mark.parametrize(
    ("metres", "verdict"), [(10, "good"), (9.9, "fair"), (5, "fair"), (4.9, "poor"), (3, "poor"), (2.9, "no_go"), (0, "no_go")]
)
def test_visibility_is_judged_by_its_limits(metres: float, verdict: str) -> None:
    assert verdict == judge_visibility(metres, LIMITS)[0]


@pytest.mark.parametrize(
    ("current", "visibility", "verdict"),
    [(0.1, 20, "good"), (0.3, 20, "fair"), (0.1, 4, "poor"), (0.6, 4, "experienced_only"), (0.1, 1, "no_go"), (2, 20, "no_go")],
)
def test_worst_factor_decides(current: float, visibility: float, verdict: str) -> None:
    judged = judge_dive(current=measured(current), visibility=measured(visibility), as_of_us=NOW_US, limits=LIMITS)
    assert verdict == judged.verdict
    assert judged.reasons


def test_verdict_is_valid_until_the_oldest_value_is_three_of_its_own_intervals_old() -> None:
    judged = judge_dive(
        current=measured(0.1, age_minutes=60), visibility=measured(20, interval_minutes=60), as_of_us=NOW_US, limits=LIMITS
    )
    assert NOW_US + 30 * MINUTE_US == judged.valid_until_us


def test_value_of_exactly_three_intervals_still_counts_and_an_older_one_does_not() -> None:
    at_limit = judge_dive(current=measured(0.1, age_minutes=90), visibility=measured(20), as_of_us=NOW_US, limits=LIMITS)
    assert at_limit.verdict == "good"
    stale = judge_dive(current=measured(0.1, age_minutes=90.1), visibility=measured(20), as_of_us=NOW_US, limits=LIMITS)
    assert (stale.verdict, stale.valid_until_us) == ("unknown", None)
    assert stale.factors[0].measured is not None, "the age of a stale value can still be shown"
    assert "90 min old" in stale.reasons[0]


def test_missing_factor_makes_it_unknown_and_a_bad_one_is_said_all_the_same() -> None:
    judged = judge_dive(current=measured(1.5), visibility=None, as_of_us=NOW_US, limits=LIMITS)
    assert judged.verdict == "unknown"
    assert judged.reasons[0] == "no visibility measured"
    assert "above 2 kn" in judged.reasons[1]


def test_limits_are_the_operators() -> None:
    limits = DiveLimits(current_good_knots=1, visibility_good_metres=4, visibility_fair_metres=3.5)
    judged = judge_dive(current=measured(0.5), visibility=measured(4), as_of_us=NOW_US, limits=limits)
    assert judged.verdict == "good"


@pytest.mark.parametrize(
    ("knots", "resolution_knots", "judged"),
    [
        (0.44, None, ("good", "good", "good")),
        (0.46, None, ("good", "good", "fair")),
        (0.54, None, ("good", "fair", "fair")),
        (0.56, None, ("fair", "fair", "fair")),
        (1.85, None, ("experienced_only", "experienced_only", "no_go")),
        (2.15, None, ("experienced_only", "no_go", "no_go")),
        (0.56, 0.1, ("good", "fair", "fair")),
        (0.46, 0.01, ("good", "good", "fair")),
    ],
)
def test_margin_of_a_current_limit_is_a_tenth_of_it_or_what_the_sensor_resolves(
    knots: float, resolution_knots: float | None, judged: tuple[str, str, str]
) -> None:
    resolution = None if resolution_knots is None else resolution_knots * KNOT_METRES_PER_SECOND
    assert judged == range_of_current(knots * KNOT_METRES_PER_SECOND, LIMITS, resolution=resolution)


@pytest.mark.parametrize(
    ("metres", "resolution", "judged"),
    [
        (11.1, None, ("good", "good", "good")),
        (10.5, None, ("good", "good", "fair")),
        (9.5, None, ("good", "fair", "fair")),
        (4.8, None, ("fair", "poor", "poor")),
        (2.8, None, ("poor", "no_go", "no_go")),
        (12.0, 3.0, ("good", "good", "fair")),
    ],
)
def test_margin_of_a_visibility_limit_is_a_tenth_of_it_or_what_the_sensor_resolves(
    metres: float, resolution: float | None, judged: tuple[str, str, str]
) -> None:
    assert judged == range_of_visibility(metres, LIMITS, resolution=resolution)


CURRENT_BOUNDS = (LIMITS.current_good_knots, LIMITS.current_fair_knots, LIMITS.current_experienced_knots)


@given(
    st.sampled_from(CURRENT_BOUNDS),
    st.sampled_from([-1, 0, 1]),
    st.floats(1e-5, 0.4),
)
def test_reason_has_the_digits_that_explain_the_verdict(limit: float, sign: int, distance: float) -> None:
    """Whoever compares the printed knots with the limits comes to the printed verdict."""
    verdict, reason = judge_current((limit + sign * distance) * KNOT_METRES_PER_SECOND, LIMITS)
    shown = float(reason.removeprefix("current ").partition(" kn")[0])
    verdicts = ("good", "fair", "experienced_only", "no_go")
    assert verdict == verdicts[sum(shown > bound for bound in CURRENT_BOUNDS)]


def test_reason_of_an_ordinary_value_has_ordinary_digits() -> None:
    assert "current 1.6 kn (0.80 m/s): above 1 kn" == judge_current(0.8, LIMITS)[1]
    assert "current 0.498 kn (0.256 m/s): at most 0.5 kn" == judge_current(0.256, LIMITS)[1]
    assert "visibility 9.96 m: below 10 m" == judge_visibility(9.96, LIMITS)[1]
