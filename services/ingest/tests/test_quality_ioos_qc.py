"""Our verdicts beside those of ioos_qc 3.0.0, the reference implementation of QARTOD in Python.

First, on regular series, that they are equal; then, one by one, where they are not, what each says, and why ours stands.
The page ``docs/quality-control.md`` lists the same differences.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ioos_qc import qartod  # type: ignore[import-untyped]  # ioos_qc ships no types

from reefmesh.contracts.flags import Flag, aggregate
from reefmesh_ingest.domain.quality import QuantityLimits, Series, distance_metres, evaluate, judge_position

NAN = float("nan")
MINUTE = 60
START = 1_704_067_200  # 2024-01-01T00:00:00Z

GROSS_RANGE, CLIMATOLOGY, SPIKE, RATE_OF_CHANGE, FLAT_LINE = range(5)
NOT_EVALUATED = 2

LIMITS = QuantityLimits(
    fail_span=(-5.0, 45.0),
    suspect_span=(18.0, 35.0),
    climatology_by_month=((27.0, 29.0), (26.5, 28.5), None, *((28.0, 30.0),) * 9),
    spike_suspect=1.0,
    spike_fail=3.0,
    rate_suspect_per_hour=3.0,
    rate_fail_per_hour=9.0,
    flat_line_tolerance=0.1875,
    flat_line_suspect_seconds=3600,
    flat_line_fail_seconds=7200,
)


def ours(seconds: Sequence[float], values: Sequence[float], test: int, limits: QuantityLimits = LIMITS) -> list[int]:
    """Stream the values (NaN: missing) and return the digit of one test for each."""
    series, digits = Series(limits), {}
    for second, value in zip(seconds, values, strict=True):
        for time_us, _, now in series.put(round((START + second) * 1_000_000), None if np.isnan(value) else value):
            digits[time_us] = int(now.tests[test])
    return [digit for _, digit in sorted(digits.items())]


def instants(seconds: Sequence[float]) -> np.ndarray:
    return np.array([round((START + second) * 1000) for second in seconds], dtype="datetime64[ms]")


def their_gross_range(values: Sequence[float], limits: QuantityLimits = LIMITS) -> list[int]:
    return flags(qartod.gross_range_test(values, limits.fail_span, limits.suspect_span))


def their_climatology(seconds: Sequence[float], values: Sequence[float], limits: QuantityLimits = LIMITS) -> list[int]:
    spans = limits.climatology_by_month or ()
    config = [{"vspan": span, "tspan": (month, month), "period": "month"} for month, span in enumerate(spans, 1) if span]
    return flags(qartod.climatology_test(config, values, instants(seconds), [NAN] * len(values)))


def their_spike(values: Sequence[float], limits: QuantityLimits = LIMITS) -> list[int]:
    return flags(qartod.spike_test(values, limits.spike_suspect, limits.spike_fail, method="differential"))


def their_rate(seconds: Sequence[float], values: Sequence[float], limits: QuantityLimits = LIMITS) -> list[int]:
    suspect, fail = limits.rate_suspect_per_hour or NAN, limits.rate_fail_per_hour or NAN
    return flags(qartod.rate_of_change_test(values, instants(seconds), suspect / 3600, fail / 3600))


def their_flat_line(seconds: Sequence[float], values: Sequence[float], limits: QuantityLimits = LIMITS) -> list[int]:
    thresholds = (limits.flat_line_suspect_seconds, limits.flat_line_fail_seconds)
    return flags(qartod.flat_line_test(values, instants(seconds), *thresholds, limits.flat_line_tolerance))


def flags(result: np.ndarray) -> list[int]:
    return [int(flag) for flag in result]


def every(step_minutes: float, count: int) -> list[float]:
    return [index * step_minutes * MINUTE for index in range(count)]


# -- equal on regular series -------------------------------------------------------------------------------------------

# Sixteenths are exact in binary and in steps of 1e-4, so values exactly at a threshold are among them, without rounding.
sixteenths = st.one_of(st.integers(28 * 16 - 4, 28 * 16 + 4), st.integers(24 * 16, 34 * 16), st.integers(-6 * 16, 46 * 16)).map(
    lambda sixteenth: sixteenth / 16
)
possible_sixteenths = sixteenths.filter(lambda value: LIMITS.fail_span[0] <= value <= LIMITS.fail_span[1])
"""Others are nobody's neighbours here: see below."""
runs = st.lists(st.tuples(possible_sixteenths, st.integers(1, 12)), min_size=1, max_size=12)
regular_values = st.one_of(
    st.lists(possible_sixteenths, min_size=3, max_size=60),
    runs.map(lambda pairs: [value for value, count in pairs for _ in range(count)]).filter(lambda values: len(values) >= 3),
)
steps_minutes = st.sampled_from([10, 15, 30, 60])


@given(values=st.lists(sixteenths, min_size=3, max_size=60))
def test_gross_range_of_any_series_equals_ioos_qc(values: list[float]) -> None:
    assert their_gross_range(values) == ours(every(30, len(values)), values, GROSS_RANGE)


@settings(deadline=None)
@given(values=regular_values, step_minutes=st.sampled_from([30, 24 * 60, 10 * 24 * 60]))
def test_climatology_of_any_series_equals_ioos_qc(values: list[float], step_minutes: int) -> None:
    seconds = every(step_minutes, len(values))
    assert their_climatology(seconds, values) == ours(seconds, values, CLIMATOLOGY)


@given(values=regular_values)
def test_spike_of_a_regular_series_equals_ioos_qc(values: list[float]) -> None:
    assert their_spike(values) == ours(every(30, len(values)), values, SPIKE)


@given(values=st.lists(possible_sixteenths, min_size=3, max_size=60), step_minutes=st.sampled_from([1, 5, 10]))
def test_rate_of_change_of_a_regular_series_of_less_than_half_a_day_equals_ioos_qc_after_its_first_point(
    values: list[float], step_minutes: int
) -> None:
    """Later the standard deviation counts here: see below.

    Thresholds of 3/3600 per second have no exact float; 1e-6 off the sixteenths of a change they cannot be met by chance."""
    limits = QuantityLimits(fail_span=(-5.0, 45.0), rate_suspect_per_hour=3.0001, rate_fail_per_hour=9.0001)
    seconds = every(step_minutes, len(values))
    assert their_rate(seconds, values, limits)[1:] == ours(seconds, values, RATE_OF_CHANGE, limits)[1:]


@given(values=regular_values, step_minutes=steps_minutes)
def test_flat_line_of_a_regular_series_equals_ioos_qc_wherever_it_can_be_evaluated(
    values: list[float], step_minutes: int
) -> None:
    seconds = every(step_minutes, len(values))
    theirs, our_digits = their_flat_line(seconds, values), ours(seconds, values, FLAT_LINE)
    assert theirs == [1 if digit == NOT_EVALUATED else digit for digit in our_digits]


@settings(deadline=None)
@given(values=st.lists(possible_sixteenths, min_size=3, max_size=60))
def test_aggregate_of_a_regular_series_of_less_than_half_a_day_equals_ioos_qc(values: list[float]) -> None:
    """Every ten minutes, so that no change below the flat line's tolerance is faster than the rate allows.

    The first point's rate and an early flat line are 2 here and 1 there: in the aggregate gross range outranks both."""
    limits = QuantityLimits(
        fail_span=LIMITS.fail_span,
        suspect_span=LIMITS.suspect_span,
        climatology_by_month=LIMITS.climatology_by_month,
        spike_suspect=LIMITS.spike_suspect,
        spike_fail=LIMITS.spike_fail,
        rate_suspect_per_hour=3.0001,
        flat_line_tolerance=LIMITS.flat_line_tolerance,
        flat_line_suspect_seconds=LIMITS.flat_line_suspect_seconds,
        flat_line_fail_seconds=LIMITS.flat_line_fail_seconds,
    )
    seconds = every(10, len(values))
    vectors = [
        their_gross_range(values),
        their_climatology(seconds, values),
        their_spike(values),
        their_rate(seconds, values, limits),
        their_flat_line(seconds, values),
    ]
    theirs = flags(qartod.qartod_compare([np.array(vector) for vector in vectors]))
    points = [((START + round(second)) * 1_000_000, value) for second, value in zip(seconds, values, strict=True)]
    assert theirs == [verdict.flag for verdict in evaluate(points, limits)]


@given(vectors=st.lists(st.lists(st.sampled_from(list(Flag)), min_size=5, max_size=5), min_size=1, max_size=6))
def test_aggregate_of_any_flags_equals_ioos_qc(vectors: list[list[Flag]]) -> None:
    theirs = flags(qartod.qartod_compare([np.array([int(flag) for flag in vector]) for vector in vectors]))
    assert theirs == [aggregate(column) for column in zip(*vectors, strict=True)]


@settings(deadline=None)
@given(
    latitude=st.floats(-85, 85),
    longitude=st.floats(-179, 179),
    north=st.floats(-0.004, 0.004),
    east=st.floats(-0.004, 0.004),
    limit=st.sampled_from([5.0, 25.0, 100.0]),
)
def test_location_equals_ioos_qc_on_the_ellipsoid_within_the_half_percent_of_a_sphere(
    latitude: float, longitude: float, north: float, east: float, limit: float
) -> None:
    """They compare consecutive positions, we compare with the mooring: so the mooring is the first of two."""
    there = (latitude + north, longitude + east)
    assume(there != (0.0, 0.0))
    flag, distance = judge_position(*there, mooring=(latitude, longitude), suspect_metres=limit, fail_metres=1e6)
    assert distance is not None
    if abs(distance - limit) > 0.006 * limit:
        theirs = qartod.location_test([longitude, there[1]], [latitude, there[0]], range_max=limit, range_method="wgs84")
        assert flags(theirs)[1] == flag


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(91.0, 10.0), (-90.1, 10.0), (10.0, 180.5), (None, 10.0), (10.0, None), (None, None)]
)
def test_location_that_cannot_be_equals_ioos_qc(latitude: float | None, longitude: float | None) -> None:
    values = ([NAN if longitude is None else longitude], [NAN if latitude is None else latitude])
    assert flags(qartod.location_test(*values)) == [judge_position(latitude, longitude, mooring=(10.0, 10.0))[0]]


# -- different, and why ------------------------------------------------------------------------------------------------


def test_value_that_cannot_be_is_nobodys_neighbour_here_and_costs_the_value_behind_it_there() -> None:
    """A probe's 85 degC says nothing about the water, so nothing is compared with it."""
    values = [28.0, 28.0, 85.0, 28.0, 28.0]
    assert [1, 1, 4, 4, 1] == their_rate(every(30, 5), values)
    assert [2, 1, 2, 1, 1] == ours(every(30, 5), values, RATE_OF_CHANGE)


def test_change_of_less_than_the_flat_lines_tolerance_is_none_here_and_suspect_there() -> None:
    """0.125 degC in a minute are 7.5 an hour by division, and one step of a probe."""
    values = [28.0, 28.125, 28.0, 28.125]
    assert [1, 3, 3, 3] == their_rate(every(1, 4), values)
    assert [2, 1, 1, 1] == ours(every(1, 4), values, RATE_OF_CHANGE)


def test_change_within_three_standard_deviations_of_a_day_is_good_here_and_suspect_there() -> None:
    """QARTOD's manual judges the rate by standard deviations over 25 h; ioos_qc by a threshold alone. Here both count."""
    values = [28.0 + 2 * (index % 2) for index in range(60)]
    assert [3] * 59 == their_rate(every(30, 60), values)[1:]
    assert [3] * 24 + [1] * 35 == ours(every(30, 60), values, RATE_OF_CHANGE)[1:]


def test_spike_by_the_mean_of_the_neighbours_flags_them_too_and_is_not_used_here() -> None:
    """ioos_qc's other method, its default: the values beside a spike are flagged for the spike."""
    values = [28.0, 28.0, 38.0, 28.0, 28.0]
    assert [2, 4, 4, 4, 2] == flags(qartod.spike_test(values, LIMITS.spike_suspect, LIMITS.spike_fail))
    assert [2, 1, 4, 1, 2] == their_spike(values) == ours(every(30, 5), values, SPIKE)


def test_spike_beside_a_missing_value_is_found_here_and_not_there() -> None:
    """One lost reading must not hide the spike next to it: the nearest value within the neighbour gap stands in."""
    values = [28.0, 28.0, NAN, 35.0, NAN, 28.0, 28.0]
    assert [2, 2, 9, 2, 9, 2, 2] == their_spike(values)
    assert [2, 1, 9, 4, 9, 1, 2] == ours(every(30, 7), values, SPIKE)


def test_jump_across_a_missing_value_is_found_here_and_passes_there() -> None:
    """A rate that could not be computed is called good there; here it is computed over the time that really passed."""
    values = [28.0, NAN, 40.0, 40.0]
    assert [1, 9, 1, 1] == their_rate(every(30, 4), values)
    assert [2, 9, 4, 1] == ours(every(30, 4), values, RATE_OF_CHANGE)


def test_missing_value_in_a_month_with_a_climatology_is_missing_here_and_good_there() -> None:
    values = [28.0, NAN, 28.0]
    assert [1, 1, 1] == their_climatology(every(30, 3), values)
    assert [1, 9, 1] == ours(every(30, 3), values, CLIMATOLOGY)


def test_missing_value_of_a_short_series_is_missing_here_and_good_there() -> None:
    assert [1, 1] == their_flat_line(every(30, 2), [28.0, NAN])
    assert [2, 9] == ours(every(30, 2), [28.0, NAN], FLAT_LINE)


def test_flat_line_after_a_missing_value_needs_its_time_here_and_not_there() -> None:
    """Their window counts the missing place as if it had agreed; half an hour was seen, an hour is asked for."""
    values = [29.0, NAN, 28.0, 28.0, 28.0]
    assert [1, 9, 1, 3, 3] == their_flat_line(every(30, 5), values)
    assert [2, 9, 1, 1, 3] == ours(every(30, 5), values, FLAT_LINE)


def test_duplicate_time_replaces_the_value_here_and_is_an_endless_rate_there() -> None:
    """Identity is settled before quality: one instant has one value, so no step is ever zero."""
    with np.errstate(divide="ignore"):
        assert [1, 4, 1] == their_rate([0, 0, 1800], [28.0, 28.1, 28.1])
    assert [2, 1] == ours([0, 0, 1800], [28.0, 28.1, 28.1], RATE_OF_CHANGE)


def test_flat_line_of_duplicate_times_is_an_error_there_only() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of the division by a step of zero before it fails
        with pytest.raises(ValueError, match="negative dimensions"):
            their_flat_line([0, 0, 0, 0], [28.0] * 4)
    assert [2] == ours([0, 0, 0, 0], [28.0] * 4, FLAT_LINE)


def test_flat_line_with_uneven_steps_is_measured_here_and_counted_there() -> None:
    """Their window is a number of points, from the median step. Reports every 10 min, then hourly: five equal hours pass."""
    seconds = [*every(10, 10), *(6000 + second for second in every(60, 5))]
    values = [28.0 + index % 2 for index in range(10)] + [30.0] * 5
    assert [1] * 5 == their_flat_line(seconds, values)[10:]
    assert [1, 3, 4, 4, 4] == ours(seconds, values, FLAT_LINE)[10:]


def test_burst_of_equal_values_is_no_flat_line_here_and_one_there() -> None:
    """Hourly reports, then a buoy that repeats itself every second while its link flaps: three seconds are no two hours."""
    seconds = [*every(60, 10), *(9 * 3600 + second for second in (1, 2, 3))]
    values = [28.0 + index % 2 for index in range(10)] + [29.0] * 3
    assert [3, 4, 4] == their_flat_line(seconds, values)[10:]
    assert [1, 1, 1] == ours(seconds, values, FLAT_LINE)[10:]


def test_flat_line_over_less_than_its_threshold_is_not_flagged_here_and_is_there() -> None:
    """50 minutes are not a multiple of the step: they round down to one step and flag after 30."""
    limits = QuantityLimits(
        fail_span=(-5.0, 45.0), flat_line_tolerance=0.15, flat_line_suspect_seconds=3000, flat_line_fail_seconds=4800
    )
    values = [28.0, 28.0, 28.0, 28.0, 29.0]
    assert [1, 3, 4, 4, 1] == their_flat_line(every(30, 5), values, limits)
    assert [2, 2, 3, 4, 1] == ours(every(30, 5), values, FLAT_LINE, limits)


def test_moving_series_with_steps_longer_than_the_flat_line_is_good_here_and_fails_there() -> None:
    """Half an hour is less than an hourly step: their window is one point, which never differs from itself."""
    limits = QuantityLimits(
        fail_span=(-5.0, 45.0), flat_line_tolerance=0.15, flat_line_suspect_seconds=1800, flat_line_fail_seconds=1800
    )
    values = [28.0, 29.0, 30.0, 31.0, 32.0]
    assert [4, 4, 4, 4, 4] == their_flat_line(every(60, 5), values, limits)
    assert [2, 1, 1, 1, 1] == ours(every(60, 5), values, FLAT_LINE, limits)


def test_rate_within_a_second_is_exact_here_and_cut_to_whole_seconds_there() -> None:
    """1.9 s becomes 1 s there: the rate nearly doubles and 2.84 degC an hour is called more than 3."""
    seconds, values = [0.0, 1.9, 3.8], [28.0, 28.0015, 28.0015]
    assert [1, 3, 1] == their_rate(seconds, values)
    assert [2, 1, 1] == ours(seconds, values, RATE_OF_CHANGE)


def test_first_point_has_no_rate_here_and_a_good_one_there() -> None:
    assert [1, 1] == their_rate(every(30, 2), [28.0, 28.0])
    assert [2, 1] == ours(every(30, 2), [28.0, 28.0], RATE_OF_CHANGE)


def test_flat_line_before_enough_time_is_not_evaluated_here_and_good_there() -> None:
    """Unknown is a value: nothing was seen yet that would tell a calm sea from a dead sensor."""
    assert [1, 1, 3, 3, 4] == their_flat_line(every(30, 5), [28.0] * 5)
    assert [2, 2, 3, 3, 4] == ours(every(30, 5), [28.0] * 5, FLAT_LINE)


def test_points_across_a_gap_are_strangers_here_and_neighbours_there() -> None:
    """Water may change by 4 degC in a day; that is neither a spike nor two days of flat line."""
    seconds, values = every(24 * 60, 3), [26.0, 30.0, 26.0]
    assert [2, 4, 2] == their_spike(values)
    assert [2, 2, 2] == ours(seconds, values, SPIKE)
    assert [1, 1, 1] == their_rate(seconds, values)
    assert [2, 2, 2] == ours(seconds, values, RATE_OF_CHANGE)
    assert [4, 4, 4] == their_flat_line(seconds, [26.0] * 3)
    assert [2, 2, 2] == ours(seconds, [26.0] * 3, FLAT_LINE)


def test_spike_exactly_at_its_threshold_is_good_here_and_suspect_there() -> None:
    """32.02 - 31.02 is more than 1 in binary floating point; in integers of 1e-4 it is not."""
    values = [31.02, 32.02, 31.02]
    assert [2, 3, 2] == their_spike(values)
    assert [2, 1, 2] == ours(every(30, 3), values, SPIKE)


def test_threshold_of_zero_is_refused_here_and_silently_switches_the_test_off_there() -> None:
    assert [2, 1, 2] == flags(qartod.spike_test([28.0, 40.0, 28.0], 0, 0))
    with pytest.raises(ValueError, match="spike_suspect"):
        QuantityLimits(fail_span=(-5.0, 45.0), spike_suspect=0)


def test_first_position_and_null_island_are_judged_here_and_pass_there() -> None:
    """They ask how far a buoy moved since its last report: the first is always good, and so is a slow drift to anywhere."""
    assert [1] == flags(qartod.location_test([0.0], [0.0], range_max=25, range_method="wgs84"))
    assert (Flag.FAIL, None) == judge_position(0.0, 0.0, mooring=(-8.0, 115.0))
    drifting = [115.0 + index * 0.0002 for index in range(100)]
    theirs = flags(qartod.location_test(drifting, [-8.0] * 100, range_max=25, range_method="wgs84"))
    assert [1] * 100 == theirs
    assert distance_metres(-8.0, drifting[-1], -8.0, 115.0) > 2_000
    assert judge_position(-8.0, drifting[-1], mooring=(-8.0, 115.0))[0] is Flag.FAIL


def test_position_without_a_mooring_is_not_evaluated_here_and_good_there() -> None:
    assert [1] == flags(qartod.location_test([115.0], [-8.0]))
    assert (Flag.NOT_EVALUATED, None) == judge_position(-8.0, 115.0, mooring=None)
