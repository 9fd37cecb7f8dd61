"""The law of quality control: verdicts are a function of the set of points, not of how they arrived.

``definition`` below states the tests a second time, as literally and as slowly as possible.
"""

import random
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reefmesh.contracts import quantities
from reefmesh.contracts.flags import Flag
from reefmesh_ingest.domain.quality import (
    DEFAULT_LIMITS,
    MISSING,
    NotCovered,
    QuantityLimits,
    Series,
    SeriesRow,
    VerdictChange,
    WindowSeries,
    dependency_range,
    evaluate,
    tail_us,
    windows,
)

MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_700_000_000_000_000

Points = dict[int, float | None]

# -- the definition, literally ---------------------------------------------------------------------------------------


def exact(value: float) -> Fraction:
    return Fraction(round(value * 10_000), 10_000)


def definition(points: Points, limits: QuantityLimits) -> dict[int, str]:
    """The digits of every point, straight from the prose of the tests, in exact fractions."""
    present = [(time_us, exact(value)) for time_us, value in sorted(points.items()) if value is not None]
    held = [(time_us, value) for time_us, value in present if is_possible(value, limits)]
    digits = dict.fromkeys(points, MISSING.tests)
    for index, (time_us, _) in enumerate(present):
        digits[time_us] = f"{gross_range(present, index, limits)}{climatology(present, index, limits)}222"
    for index, (time_us, _) in enumerate(held):
        digits[time_us] = "".join(
            str(test(held, index, limits)) for test in (gross_range, climatology, spike, rate_of_change, flat_line)
        )
    return digits


Held = list[tuple[int, Fraction]]


def neighbours(held: Held, first: int, second: int, limits: QuantityLimits) -> bool:
    if first < 0 or second >= len(held):
        return False
    return held[second][0] - held[first][0] <= limits.neighbour_gap_seconds * 1_000_000


def is_possible(value: Fraction, limits: QuantityLimits) -> bool:
    return exact(limits.fail_span[0]) <= value <= exact(limits.fail_span[1])


def gross_range(held: Held, index: int, limits: QuantityLimits) -> int:
    value = held[index][1]
    if not is_possible(value, limits):
        return 4
    low, high = limits.suspect_span or limits.fail_span
    return 1 if exact(low) <= value <= exact(high) else 3


def climatology(held: Held, index: int, limits: QuantityLimits) -> int:
    if limits.climatology_by_month is None:
        return 2
    span = limits.climatology_by_month[datetime.fromtimestamp(held[index][0] / 1e6, UTC).month - 1]
    if span is None:
        return 2
    return 1 if exact(span[0]) <= held[index][1] <= exact(span[1]) else 3


def spike(held: Held, index: int, limits: QuantityLimits) -> int:
    if limits.spike_suspect is None and limits.spike_fail is None:
        return 2
    if not (neighbours(held, index - 1, index, limits) and neighbours(held, index, index + 1, limits)):
        return 2
    before, value, after = (held[each][1] for each in (index - 1, index, index + 1))
    height = max(value - max(before, after), min(before, after) - value, Fraction(0))
    return graded(height, limits.spike_suspect, limits.spike_fail)


def rate_of_change(held: Held, index: int, limits: QuantityLimits) -> int:
    if limits.rate_suspect_per_hour is None and limits.rate_fail_per_hour is None:
        return 2
    if not neighbours(held, index - 1, index, limits):
        return 2
    change = abs(held[index][1] - held[index - 1][1])
    if limits.flat_line_tolerance is not None and change < exact(limits.flat_line_tolerance):
        return 1
    since_us = held[index][0] - 25 * HOUR
    day = [point for point in held[max(0, index - limits.flat_line_points_limit) : index] if point[0] >= since_us]
    if held[index][0] - day[0][0] >= 25 * HOUR / 2:
        mean = sum(value for _, value in day) / len(day)
        variance = sum((value - mean) ** 2 for _, value in day) / len(day)
        if change**2 <= 9 * variance:
            return 1
    per_hour = change / Fraction(held[index][0] - held[index - 1][0], HOUR)
    return graded(per_hour, limits.rate_suspect_per_hour, limits.rate_fail_per_hour)


def graded(size: Fraction, suspect: float | None, fail: float | None) -> int:
    if fail is not None and size > exact(fail):
        return 4
    return 3 if suspect is not None and size > exact(suspect) else 1


def flat_line(held: Held, index: int, limits: QuantityLimits) -> int:
    if limits.flat_line_tolerance is None or limits.flat_line_suspect_seconds is None:
        return 2
    verdict = 2
    for start in range(index, max(-1, index - limits.flat_line_points_limit), -1):
        if start < index and not neighbours(held, start, start + 1, limits):
            return verdict
        values = [value for _, value in held[start : index + 1]]
        if max(values) - min(values) >= exact(limits.flat_line_tolerance):
            return 1 if verdict == 2 else verdict
        elapsed_seconds = Fraction(held[index][0] - held[start][0], 1_000_000)
        if limits.flat_line_fail_seconds is not None and elapsed_seconds >= limits.flat_line_fail_seconds:
            return 4
        if elapsed_seconds >= limits.flat_line_suspect_seconds:
            verdict = 3
    beyond = index - limits.flat_line_points_limit
    if verdict == 2 and beyond >= 0 and neighbours(held, beyond, beyond + 1, limits):
        values = [value for _, value in held[beyond : index + 1]]
        if max(values) - min(values) >= exact(limits.flat_line_tolerance):
            return 1
    return verdict


# -- a caller as the documentation asks for ---------------------------------------------------------------------------


@dataclass
class Caller:
    """Keeps rows as a service would: one message at a time, rows readable only after its commit."""

    limits: QuantityLimits
    rows: dict[int, tuple[float | None, str]] = field(default_factory=dict)
    windows_used: int = 0
    series: Series = field(init=False)

    def __post_init__(self) -> None:
        self.series = Series(self.limits)

    def load(self, low_us: int, high_us: int) -> list[SeriesRow]:
        return [(time_us, *self.rows[time_us]) for time_us in sorted(self.rows) if low_us <= time_us <= high_us]

    def message(self, values: Points) -> None:
        uncommitted = dict(self.rows)
        late = [time_us for time_us in values if not self.series.covers(time_us)]
        for window in windows([self.limits], late):
            self.windows_used += 1
            among = self.series.window(self.load(window.low_us, window.high_us), window)
            for time_us in window.times_us:
                self._put(among, uncommitted, time_us, values[time_us])
            self.series.adopt(among)
        for time_us in sorted(values.keys() - set(late)):
            if not self.series.covers(time_us):
                # Withdrawing the newest points has shortened the tail: commit, and take the other way.
                self.rows = uncommitted
                self.message({each: values[each] for each in values if each >= time_us and each not in late})
                return
            self._put(self.series, uncommitted, time_us, values[time_us])
        self.rows = uncommitted

    def _put(
        self, series: Series | WindowSeries, rows: dict[int, tuple[float | None, str]], time_us: int, value: float | None
    ) -> None:
        changes = series.put(time_us, value)
        assert [change[0] for change in changes] == sorted({change[0] for change in changes})
        assert time_us in {change[0] for change in changes}
        held = {each: row for each, row in rows.items() if row[0] is not None and is_possible(exact(row[0]), self.limits)}
        for each_us, before, now in changes:
            assert (held[each_us][1] if each_us in held else None) == (before and before.tests)
            if each_us == time_us:
                rows[each_us] = (value, now.tests)
            else:
                assert before != now
                rows[each_us] = (rows[each_us][0], now.tests)

    def restart_from_rows(self) -> None:
        if self.rows:
            since_us = max(self.rows) - tail_us(self.limits)
            self.series = Series.from_rows(self.limits, self.load(since_us, max(self.rows)), since_us=since_us)

    def digits(self) -> dict[int, str]:
        return {time_us: tests for time_us, (_, tests) in self.rows.items()}


# -- what is drawn -----------------------------------------------------------------------------------------------------

# Ticks whose differences meet the thresholds below exactly, exceed them and miss them by one.
values = st.one_of(
    st.sampled_from([28.0, 28.0001, 28.1, 28.15, 28.1499, 28.2, 29.0, 29.0001, 30.0, 31.0, 31.0001, 45.0, 45.0001, 35.0, 35.1]),
    st.sampled_from([28.0, 28.1]),  # flat lines
    st.none(),
)
steps = st.one_of(
    st.sampled_from([5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE]),
    st.sampled_from([1, MINUTE + 1, 30 * MINUTE + 1, 59 * MINUTE, 60 * MINUTE, 60 * MINUTE + 1, 7 * HOUR]),
)
limits_drawn = st.builds(
    QuantityLimits,
    fail_span=st.just((-5.0, 45.0)),
    suspect_span=st.sampled_from([None, (18.0, 35.0)]),
    climatology_by_month=st.sampled_from([None, (None,) * 9 + ((28.0, 29.0), (28.0, 30.0), (28.0, 31.0))]),
    spike_suspect=st.sampled_from([None, 0.5, 1.0]),
    spike_fail=st.sampled_from([None, 1.0, 3.0]),
    rate_suspect_per_hour=st.sampled_from([None, 0.6, 3.0]),
    rate_fail_per_hour=st.sampled_from([None, 6.0]),
    flat_line_tolerance=st.just(0.15),
    flat_line_suspect_seconds=st.sampled_from([1800, 3600]),
    flat_line_fail_seconds=st.sampled_from([None, 3600, 7200]),
    flat_line_points_limit=st.sampled_from([2, 3, 7, 1500]),
    neighbour_gap_seconds=st.sampled_from([1800, 3600]),
) | st.sampled_from(list(DEFAULT_LIMITS.values()))


@st.composite
def series_of_points(draw: st.DrawFn, most: int = 60) -> Points:
    pairs = draw(st.lists(st.tuples(steps, values), min_size=1, max_size=most))
    points: Points = {}
    time_us = START
    for step_us, value in pairs:
        time_us += step_us
        points[time_us] = value
    return points


TEMPERATURE = DEFAULT_LIMITS[quantities.SEA_WATER_TEMPERATURE]


def steady(count: int, *, value: float = 28.0, step_us: int = 30 * MINUTE, start_us: int = START) -> Points:
    return {start_us + index * step_us: value for index in range(count)}


def next_verdicts(series: Series) -> list[VerdictChange]:
    """What a series says of the points that it holds and of those that come next: all that a caller can see of it."""
    twin = deepcopy(series)
    newest_us = START + 500 * 30 * MINUTE
    changes = [change for time_us in steady(500) if twin.covers(time_us) for change in twin.put(time_us, 28.3)]
    return changes + twin.put_all([(newest_us, 28.0), (newest_us + MINUTE, 31.0), (newest_us + 2 * MINUTE, 28.0)])


def put_all(series: Series, points: Points) -> dict[int, str]:
    final = {}
    for time_us, value in points.items():
        for each_us, _, now in series.put(time_us, value):
            final[each_us] = now.tests
    return final


@given(points=series_of_points(), limits=limits_drawn)
def test_evaluate_of_any_series_follows_the_definition(points: Points, limits: QuantityLimits) -> None:
    judged = evaluate(sorted(points.items()), limits)
    assert [definition(points, limits)[time_us] for time_us in sorted(points)] == [verdict.tests for verdict in judged]


@given(points=series_of_points(), limits=limits_drawn, data=st.data())
def test_series_of_points_in_any_order_with_corrections_and_withdrawals_equals_batch(
    points: Points, limits: QuantityLimits, data: st.DataObject
) -> None:
    """Arrival does not matter: wrong values first, any order, withdrawn and put again; in the end only the set counts."""
    order = data.draw(st.permutations(sorted(points)))
    wrong = data.draw(st.lists(st.tuples(st.sampled_from(order), values), max_size=20))
    series = Series(limits)
    final: dict[int, str] = {}
    for time_us, value in [*wrong, *((time_us, points[time_us]) for time_us in order)]:
        if series.covers(time_us):
            for each_us, _, now in series.put(time_us, value):
                final[each_us] = now.tests
        else:
            return  # such orders are the subject of the tests with a caller, below
    assert definition(points, limits) == final


def arrivals(times: Iterable[int], delays: list[int]) -> list[int]:
    delayed = [(index + delays[index % len(delays)], time_us) for index, time_us in enumerate(sorted(times))]
    return [time_us for _, time_us in sorted(delayed)]


@settings(max_examples=25, deadline=None)
@given(
    limits=limits_drawn,
    seed=st.integers(0, 2**32),
    count=st.integers(1, 220),
    palette=st.sampled_from(
        [
            [28.0, 28.0, 28.0, 28.1, 28.1, 28.2, 29.0, 31.1, 46.0, None],
            [28.0] * 40 + [28.2, None],
            [28.0] * 20 + [31.1, 36.0],
            [28.0, 28.05, 28.1, 28.15, 28.2],
        ]
    ),
    delays=st.lists(st.sampled_from([0, 0, 0, 0, 1, 3, 40, 150]), min_size=1, max_size=30),
    message_points=st.integers(1, 40),
    restart_every=st.sampled_from([1, 3, 1000]),
)
def test_long_series_with_late_points_and_restarts_equals_batch(  # noqa: PLR0917 - drawn by name
    limits: QuantityLimits,
    seed: int,
    count: int,
    palette: list[float | None],
    delays: list[int],
    message_points: int,
    restart_every: int,
) -> None:
    """The tail is trimmed, points come later than it reaches, readings are corrected, the process restarts: no difference."""
    dice = random.Random(seed)
    time_us = START
    points: Points = {}
    for _ in range(count):
        time_us += dice.choice([MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, 30 * MINUTE, 61 * MINUTE, 4 * HOUR])
        points[time_us] = dice.choice(palette)
    caller = Caller(limits)
    queue = arrivals(points, delays)
    for number, start in enumerate(range(0, count, message_points)):
        message = {each: points[each] for each in queue[start : start + message_points]}
        for each in message:
            if dice.random() < 0.1:
                message[each] = dice.choice([28.0, 30.0, None])
        caller.message(message)
        caller.message({each: points[each] for each in message})
        if number % restart_every == restart_every - 1:
            caller.restart_from_rows()
    assert definition(points, limits) == caller.digits()


@settings(max_examples=10, deadline=None)
@given(limits=limits_drawn, seed=st.integers(0, 2**32), late_hours=st.integers(0, 5))
def test_long_series_never_later_than_its_tail_needs_no_rows(limits: QuantityLimits, seed: int, late_hours: int) -> None:
    dice = random.Random(seed)
    limits = replace(limits, flat_line_points_limit=1500)
    points: Points = {time_us: dice.choice([28.0, 28.1, 28.2]) for time_us in steady(200)}
    caller = Caller(limits)
    for time_us in sorted(points, key=lambda time_us: time_us + dice.choice([0, 0, late_hours * HOUR])):
        caller.message({time_us: points[time_us]})
    assert caller.windows_used == 0
    assert definition(points, limits) == caller.digits()


@pytest.mark.parametrize("points_limit", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_late_point_is_exact_wherever_the_count_of_points_behind_it_covers_it(points_limit: int, seed: int) -> None:
    """So many points come in a minute that the tail is bounded by count; every place in it that it covers is tried."""
    dice = random.Random(seed)
    limits = replace(TEMPERATURE, flat_line_points_limit=points_limit)
    points: Points = {time_us: dice.choice([28.0, 28.0, 28.0, 28.1, 28.5]) for time_us in steady(120, step_us=1_000_000)}
    series = Series(limits)
    final = put_all(series, points)
    tried = 0
    for held_us in points:
        for late_us, value in ((held_us + 500_000, 28.0), (held_us, 29.0), (held_us, None)):
            again = deepcopy(series)
            if again.covers(late_us):
                tried += 1
                digits = final | {time_us: now.tests for time_us, _, now in again.put(late_us, value)}
                assert definition({**points, late_us: value}, limits) == digits
    assert tried > 0


@settings(max_examples=60, deadline=None)
@given(points=series_of_points(), changed=st.data(), limits=limits_drawn)
def test_dependency_range_holds_all_that_a_change_alters_and_needs(
    points: Points, changed: st.DataObject, limits: QuantityLimits
) -> None:
    time_us = changed.draw(st.sampled_from(sorted(points)))
    low_us, high_us = dependency_range(limits, time_us)
    after = {**points, time_us: changed.draw(values)}
    near = {each: value for each, value in points.items() if low_us <= each <= high_us}
    near_after = {**near, time_us: after[time_us]}
    whole_before, whole_after = definition(points, limits), definition(after, limits)
    near_digits_before, near_digits_after = definition(near, limits), definition(near_after, limits)
    altered = {each for each in points if whole_before[each] != whole_after[each]}
    assert altered <= near.keys()
    for each in altered:
        assert (whole_before[each], whole_after[each]) == (near_digits_before[each], near_digits_after[each])


def test_series_of_a_year_of_half_hours_stays_small() -> None:
    series = Series(TEMPERATURE)
    put_all(series, {time_us: 28.0 + index % 7 / 10 for index, time_us in enumerate(steady(17_520))})
    assert len(series) <= tail_us(TEMPERATURE) // (30 * MINUTE) + 33


def test_series_of_one_point_a_second_is_bounded_by_count_and_stays_exact() -> None:
    limits = QuantityLimits(
        fail_span=(-5.0, 45.0),
        flat_line_tolerance=0.15,
        flat_line_suspect_seconds=60,
        flat_line_fail_seconds=3600,
        flat_line_points_limit=100,
    )
    points: Points = {
        time_us: 28.0 if index % 300 > 120 else 28.0 + index % 2 for index, time_us in enumerate(steady(700, step_us=1_000_000))
    }
    series = Series(limits)
    final = put_all(series, points)
    assert len(series) <= 2 * 100 + 32
    assert definition(points, limits) == final
    late_us = max(points) - 20_500_000
    for each_us, _, now in series.put(late_us, 27.0):
        final[each_us] = now.tests
    assert definition({**points, late_us: 27.0}, limits) == final


def test_point_before_what_is_held_is_refused_and_changes_nothing() -> None:
    series = Series(TEMPERATURE)
    put_all(series, steady(500))
    before = next_verdicts(series)
    assert not series.covers(START + MINUTE)
    with pytest.raises(NotCovered) as refused:
        series.put(START + MINUTE, 28.0)
    assert refused.value.time_us == START + MINUTE
    assert before == next_verdicts(series)


def test_series_rebuilt_from_too_few_rows_refuses_even_the_next_point() -> None:
    rows = [(time_us, value, "12111") for time_us, value in steady(3).items()]
    series = Series.from_rows(TEMPERATURE, rows, since_us=START)
    next_us = START + 90 * MINUTE
    assert not series.covers(next_us)
    with pytest.raises(NotCovered):
        series.put(next_us, 28.0)


def test_backlog_before_live_data_is_judged_among_rows() -> None:
    """A buoy that was offline reports live first and its backlog afterwards."""
    caller = Caller(TEMPERATURE)
    backlog = {time_us: 28.0 + index % 5 / 10 for index, time_us in enumerate(steady(300))}
    live = dict.fromkeys(steady(200, start_us=max(backlog) + 30 * MINUTE), 29.0)
    for time_us, value in live.items():
        caller.message({time_us: value})
    caller.message(dict(list(backlog.items())[:150]))
    caller.message(dict(list(backlog.items())[150:]))
    assert caller.windows_used > 0
    assert definition({**backlog, **live}, TEMPERATURE) == caller.digits()


def test_put_of_the_next_point_completes_the_spike_test_of_the_previous_one() -> None:
    series = Series(TEMPERATURE)
    put_all(series, {START: 28.0})
    [(_, before, first)] = series.put(START + 30 * MINUTE, 29.4)
    assert before is None
    assert (Flag.PASS, "12211") == (first.flag, first.tests)
    changes = series.put(START + 60 * MINUTE, 28.0)
    assert [(START + 30 * MINUTE, first), (START + 60 * MINUTE, None)] == [change[:2] for change in changes]
    assert ["12311", "12211"] == [change[2].tests for change in changes]
    assert [Flag.SUSPECT, Flag.PASS] == [change[2].flag for change in changes]


def test_withdrawn_point_lets_its_neighbours_be_good_again() -> None:
    series = Series(TEMPERATURE)
    put_all(series, {START: 28.0, START + 30 * MINUTE: 28.3, START + 60 * MINUTE: 38.0, START + 90 * MINUTE: 28.2})
    changes = {time_us: (before, now) for time_us, before, now in series.remove(START + 60 * MINUTE)}
    assert MISSING == changes[START + 60 * MINUTE][1]
    assert START + 30 * MINUTE not in changes, "the spike had flagged only itself"
    assert "12231" == (changes[START + 90 * MINUTE][0] or MISSING).tests
    assert "12211" == changes[START + 90 * MINUTE][1].tests


def test_missing_value_is_flagged_missing_and_no_neighbour_of_anybody() -> None:
    readings = enumerate([28.0, None, 31.0, None, 28.0])
    final = put_all(Series(TEMPERATURE), {START + index * 20 * MINUTE: value for index, value in readings})
    assert ["12222", "99999", "12331", "99999", "12231"] == list(final.values())


@pytest.mark.parametrize("sentinel", [85.0, -127.0, -999.0, -9999.0, 1e30])
def test_field_15_value_that_a_broken_probe_says_fails_by_itself_and_costs_its_neighbours_nothing(sentinel: float) -> None:
    """FIELD 15: 85 degC is what a DS18B20 says after power-on, -127 what its driver says without one."""
    values = [28.0, 28.1, sentinel, 28.1, 28.0]
    final = put_all(Series(TEMPERATURE), {START + index * 30 * MINUTE: value for index, value in enumerate(values)})
    assert ["12222", "12112", "42222", "12112", "12212"] == list(final.values())


@pytest.mark.parametrize("quantity", [each for each, limits in DEFAULT_LIMITS.items() if limits.spike_suspect is not None])
@pytest.mark.parametrize("sign", [1, -1])
def test_field_15_spike_flags_only_itself(quantity: str, sign: int) -> None:
    limits = DEFAULT_LIMITS[quantity]
    assert limits.suspect_span is not None
    assert limits.spike_suspect is not None
    usual = sum(limits.suspect_span) / 2
    peak = usual + sign * 1.1 * limits.spike_suspect
    final = put_all(Series(limits), {START + index * HOUR: peak if index == 3 else usual for index in range(7)})
    assert ["2", "1", "1", "3", "1", "1", "2"] == [tests[2] for tests in final.values()]


def test_field_03_one_step_of_the_sensor_in_a_minute_is_no_change_of_rate() -> None:
    """FIELD 3: 0.1 degC in a minute is 6 degC an hour by division, and one step of the probe."""
    dice = random.Random(3)
    points: Points = {time_us: round(dice.uniform(28.02, 28.13), 1) for time_us in steady(2 * 24 * 60, step_us=MINUTE)}
    assert {28.0, 28.1} == set(points.values())
    final = put_all(Series(replace(TEMPERATURE, flat_line_tolerance=0.1)), points)
    assert "3" in {tests[3] for tests in final.values()}, "without the tolerance of one and a half steps it is one"
    final = put_all(Series(TEMPERATURE), points)
    assert {"1", "2"} == {tests[3] for tests in final.values()}


def test_field_02_cold_bores_that_come_every_two_hours_are_this_waters_own_way() -> None:
    """FIELD 2: bores of deep water, 30.2 to 26.9 degC within minutes. The coldest rows are the signal."""
    bore = [30.2] * 7 + [28.2, 26.9, 27.6, 28.6, 29.6]
    points: Points = {time_us: bore[index % 12] for index, time_us in enumerate(steady(95 * 144, step_us=10 * MINUTE))}
    series = Series(TEMPERATURE)
    flags = {}
    for time_us, value in points.items():
        for each_us, _, now in series.put(time_us, value):
            flags[each_us] = now.flag
    suspect = [time_us for time_us, flag in flags.items() if flag is not Flag.PASS]
    assert max(suspect) < START + 13 * HOUR, "until there is a record to compare with"
    assert len(suspect) < len(flags) / 200


def test_rate_looks_at_the_water_of_the_day_before_and_no_longer() -> None:
    """A stormy day excuses a fast change for 25 hours; after another, calm one the same change is suspect."""
    stormy: Points = {time_us: 28.0 + index % 4 for index, time_us in enumerate(steady(60))}
    calm = steady(60, start_us=max(stormy) + 30 * MINUTE, value=28.0)
    series = Series(TEMPERATURE)
    put_all(series, stormy)
    again = deepcopy(series)
    assert "1" == put_all(again, {max(stormy) + 30 * MINUTE: 28.0})[max(stormy) + 30 * MINUTE][3]
    put_all(series, calm)
    late_us = max(calm) + 30 * MINUTE
    assert "3" == put_all(series, {late_us: 31.0})[late_us][3]


def test_correction_alters_the_rates_of_all_the_next_day() -> None:
    """The standard deviation of a point hours later holds it; its flat line and its neighbours do not."""
    points: Points = {**steady(30, step_us=HOUR), START + 30 * HOUR: 31.5}
    series = Series(TEMPERATURE)
    final = put_all(series, points)
    assert "3" == final[START + 30 * HOUR][3]
    corrected = START + 20 * HOUR
    changes = {time_us: now.tests for time_us, _, now in series.put(corrected, 40.0)}
    assert "1" == changes[START + 30 * HOUR][3]
    assert definition({**points, corrected: 40.0}, TEMPERATURE) == final | changes


@pytest.mark.parametrize("gap_us", [3 * HOUR, 3 * HOUR + 1])
def test_points_farther_apart_than_the_gap_are_not_neighbours(gap_us: int) -> None:
    final = put_all(Series(TEMPERATURE), {START: 20.0, START + gap_us: 30.0, START + 2 * gap_us: 20.0})
    assert ("12431" if gap_us == 3 * HOUR else "12222") == final[START + gap_us]


def test_one_reading_a_day_is_never_judged_by_its_neighbours() -> None:
    final = put_all(Series(TEMPERATURE), steady(100, step_us=24 * HOUR))
    assert {"12222"} == set(final.values())


@pytest.mark.parametrize(("peak", "digit"), [(32.01, "1"), (32.0101, "3"), (34.01, "3"), (34.0101, "4")])
def test_spike_exactly_at_its_threshold_does_not_exceed_it(peak: float, digit: str) -> None:
    """32.01 - 31.01 is less than 1 in binary floating point, 34.01 - 31.01 is not 3 either: ticks decide alike."""
    final = put_all(Series(TEMPERATURE), {START: 31.01, START + 30 * MINUTE: peak, START + 60 * MINUTE: 31.01})
    assert digit == final[START + 30 * MINUTE][2]


@pytest.mark.parametrize(
    ("change", "step_us", "digit"), [(1.5, 30 * MINUTE, "1"), (1.5001, 30 * MINUTE, "3"), (1.5, 30 * MINUTE - 1, "3")]
)
def test_rate_exactly_at_its_threshold_does_not_exceed_it(change: float, step_us: int, digit: str) -> None:
    final = put_all(Series(TEMPERATURE), {START: 28.3, START + step_us: 28.3 + change})
    assert digit == final[START + step_us][3]


def test_flat_line_counts_elapsed_time_not_points() -> None:
    points = steady(49)
    final = [*put_all(Series(TEMPERATURE), points).values()]
    assert ["2"] * 24 + ["3"] * 24 + ["4"] == [tests[4] for tests in final]
    half: Points = {time_us: value for index, (time_us, value) in enumerate(points.items()) if index % 4 == 0}
    final_of_half = put_all(Series(TEMPERATURE), half)
    assert "4" == final_of_half[max(half)][4]


def test_flat_line_after_a_move_is_good_although_it_is_short() -> None:
    final = put_all(Series(TEMPERATURE), {START: 28.0, START + 30 * MINUTE: 28.5, START + 60 * MINUTE: 28.5})
    assert ["2", "1", "1"] == [tests[4] for tests in final.values()]


@pytest.mark.parametrize("value", [1e300, -1e300, 1.7e308, 4.6e18])
def test_absurd_value_fails_and_breaks_nothing(value: float) -> None:
    points: Points = {START: 28.0, START + 30 * MINUTE: value, START + 60 * MINUTE: 28.0}
    series = Series(TEMPERATURE)
    assert "4" == put_all(series, points)[START + 30 * MINUTE][0]


def test_value_that_is_not_a_number_is_refused_and_changes_nothing() -> None:
    series = Series(TEMPERATURE)
    put_all(series, steady(3))
    before = next_verdicts(series)
    for time_us in (START + 30 * MINUTE, START + 40 * MINUTE, START + 10 * HOUR):
        with pytest.raises(ValueError, match="must be a number"):
            series.put(time_us, float("nan"))
    assert before == next_verdicts(series)


@example(times=[0, 10])
@given(times=st.lists(st.integers(0, 400), min_size=1, max_size=30))
def test_windows_are_disjoint_and_hold_every_dependency(times: list[int]) -> None:
    times_us = [START + each * HOUR for each in times]
    made = windows([TEMPERATURE], times_us)
    assert sorted(set(times_us)) == [time_us for window in made for time_us in window.times_us]
    assert all(before.high_us < after.low_us for before, after in pairwise(made))
    for window in made:
        for time_us in window.times_us:
            low_us, high_us = dependency_range(TEMPERATURE, time_us)
            assert window.low_us <= low_us
            assert high_us <= window.high_us
