"""Counts in a sliding window."""

from hypothesis import given
from hypothesis import strategies as st

from reefmesh_gateway.domain.rate import SlidingCounts
from reefmesh_gateway.limits import requests_limit

WINDOW = 300.0


def test_limit_is_reached_at_its_number_and_free_again_when_it_says() -> None:
    counts = SlidingCounts(window_seconds=WINDOW)
    waits = [counts.spend("a", 1, limit=10, now_seconds=5.0) for _ in range(11)]
    assert [0] * 10 == waits[:10]
    assert 0 < counts.spend("a", 1, limit=10, now_seconds=4.0 + waits[10])
    assert 0 == counts.spend("a", 1, limit=10, now_seconds=5.0 + waits[10])


def test_keys_do_not_count_for_one_another() -> None:
    counts = SlidingCounts(window_seconds=WINDOW)
    assert 0 < [counts.spend("a", 1, limit=1, now_seconds=0.0) for _ in range(2)][1]
    assert 0 == counts.spend("b", 1, limit=1, now_seconds=0.0)


def test_whoever_goes_on_is_not_let_in_and_whoever_stops_is_after_two_windows() -> None:
    counts = SlidingCounts(window_seconds=WINDOW)
    waits = [counts.add("a", limit=100, now_seconds=second) for second in range(1000)]
    assert all(waits[200:])
    assert 0 == counts.add("a", limit=100, now_seconds=1000 + 2 * WINDOW)


def test_number_of_keys_is_bounded_and_the_one_used_least_recently_goes() -> None:
    counts = SlidingCounts(window_seconds=WINDOW, keys_limit=3)
    for key in ("a", "b", "c", "a", "d"):
        counts.spend(key, 1, limit=2, now_seconds=0.0)
    assert 3 == len(counts)
    assert 0 < counts.spend("a", 1, limit=2, now_seconds=0.0)
    assert 0 == counts.spend("b", 2, limit=2, now_seconds=0.0)


@given(steps=st.lists(st.tuples(st.floats(0, 400), st.integers(1, 5)), max_size=60))
def test_no_window_ever_holds_more_than_twice_the_limit(
    steps: list[tuple[float, int]],
) -> None:
    counts, now, spent = SlidingCounts(window_seconds=WINDOW), 0.0, list[tuple[float, int]]()
    for pause, amount in steps:
        now += pause
        if counts.spend("a", amount, limit=10, now_seconds=now) == 0:
            spent.append((now, amount))
    for end, _ in spent:
        assert 20 >= sum(amount for at, amount in spent if end - 0.999 * WINDOW < at <= end)  # not by a rounding error


@given(
    before=st.lists(st.tuples(st.floats(0, 100), st.integers(1, 10)), max_size=20),
    amount=st.integers(min_value=1, max_value=10),
)
def test_refused_amount_fits_when_the_answer_said(before: list[tuple[float, int]], amount: int) -> None:
    counts, now = SlidingCounts(window_seconds=WINDOW), 0.0
    for pause, each in before:
        now += pause
        counts.spend("a", each, limit=10, now_seconds=now)
    if wait := counts.spend("a", amount, limit=10, now_seconds=now):
        assert 0 == counts.spend("a", amount, limit=10, now_seconds=now + wait)


def test_device_has_ten_requests_for_each_report_that_is_due_and_thirty_at_least() -> None:
    assert [30, 30, 100, 3000] == [requests_limit(seconds) for seconds in (1800, 100, 30, 1)]
