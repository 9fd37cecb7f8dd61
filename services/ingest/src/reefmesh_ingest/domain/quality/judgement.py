"""The QARTOD tests themselves, on points held in memory.

A series here is two parallel sequences: times in microseconds, strictly ascending, and values in ticks (see ``thresholds``).
Missing values are not in it, nor are values outside the fail span of the gross range: the first 85 degC of a probe says nothing
about the water. So both are transparent: the neighbours of a point are the nearest points in the series, when they are at most
``neighbour_gap_us`` away. Points that fail other tests stay neighbours.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from operator import mul
from typing import Final, NamedTuple

from reefmesh.contracts.flags import Flag
from reefmesh_ingest.domain.quality.limits import RATE_DEVIATIONS, RATE_HISTORY_SECONDS, QuantityLimits
from reefmesh_ingest.domain.quality.thresholds import (
    MICROSECONDS_PER_HOUR,
    MICROSECONDS_PER_SECOND,
    Thresholds,
    thresholds_of,
    ticks_of,
)
from reefmesh_ingest.domain.quality.verdicts import (
    CLIMATOLOGY,
    GROSS_RANGE,
    MISSING,
    RATE_OF_CHANGE,
    SPIKE,
    VERDICTS,
    Verdict,
)

NOT_EVALUATED_DIGIT: Final = Flag.NOT_EVALUATED - 1
SUSPECT_DIGIT: Final = Flag.SUSPECT - 1
FAIL_DIGIT: Final = Flag.FAIL - 1

_WITHOUT_NEIGHBOURS: Final = (NOT_EVALUATED_DIGIT << SPIKE) + (NOT_EVALUATED_DIGIT << RATE_OF_CHANGE) + NOT_EVALUATED_DIGIT
_RATE_HISTORY_US: Final = RATE_HISTORY_SECONDS * MICROSECONDS_PER_SECOND
_MICROSECONDS_PER_DAY: Final = 24 * MICROSECONDS_PER_HOUR
_EPOCH: Final = date(1970, 1, 1)


def evaluate(points: Sequence[tuple[int, float | None]], limits: QuantityLimits) -> list[Verdict]:
    """Judge a whole series at once: the definition that ``Series`` keeps up with.

    ``points`` are (time in UTC microseconds, value or None when missing), their times strictly ascending.
    """
    thresholds = thresholds_of(limits)
    held = [(time_us, tick) for time_us, value in points if (tick := tick_held(value, thresholds)) is not None]
    times, ticks = [time_us for time_us, _ in held], [tick for _, tick in held]
    codes = (code for code, _ in judge(times, ticks, thresholds, 0))
    return [
        verdict_without_neighbours(time_us, value, thresholds)
        if tick_held(value, thresholds) is None
        else VERDICTS[next(codes)]
        for time_us, value in points
    ]


def tick_held(value: float | None, limits: Thresholds) -> int | None:
    """Return the value in ticks; None where it is missing or outside the fail span, so that no series holds it."""
    if value is None:
        return None
    tick = ticks_of(value)
    return tick if limits.fail_lowest <= tick <= limits.fail_highest else None


def verdict_without_neighbours(time_us: int, value: float | None, limits: Thresholds) -> Verdict:
    """Return the verdict of a value that no series holds."""
    return MISSING if value is None else VERDICTS[judge_alone(time_us, ticks_of(value), limits) + _WITHOUT_NEIGHBOURS]


def verdict_alone(time_us: int, value: float | None, limits: QuantityLimits) -> Verdict:
    """Return the verdict of a value that counts nowhere, so that it has no neighbours and is nobody's."""
    return verdict_without_neighbours(time_us, value, thresholds_of(limits))


class Run(NamedTuple):
    """The longest run of neighbours that ends in a point and whose range is below the flat line's tolerance.

    ``start`` is the index of its first point. It ends early once it lasts the whole flat-line window, because more would not
    alter the flag, or once it has ``flat_line_points`` points.
    ``is_open``: it ended for want of points, not because one differed.
    """

    start: int
    lowest: int
    highest: int
    is_open: bool


def run_before(times: Sequence[int], ticks: Sequence[int], limits: Thresholds, index: int) -> Run:
    """Return the run that ends in the point at ``index``."""
    gap_us, tolerance = limits.neighbour_gap_us, limits.flat_line_tolerance
    window_start_us = times[index] - limits.flat_line_window_us
    first = index - limits.flat_line_points + 1
    start_us = times[index]
    lowest = highest = ticks[index]
    start = index
    while start_us > window_start_us:
        if start == 0:
            return Run(start, lowest, highest, True)
        earlier_us = times[start - 1]
        if start_us - earlier_us > gap_us:
            return Run(start, lowest, highest, True)
        earlier = ticks[start - 1]
        low, high = lowest, highest
        if earlier < low:
            low = earlier
        elif earlier > high:
            high = earlier
        if high - low >= tolerance:
            return Run(start, lowest, highest, False)
        if start == first:
            return Run(start, lowest, highest, True)
        lowest, highest = low, high
        start -= 1
        start_us = earlier_us
    return Run(start, lowest, highest, False)


def judge(times: Sequence[int], ticks: Sequence[int], limits: Thresholds, first: int) -> Iterator[tuple[int, int]]:
    """Yield the code of every point from index ``first`` on, and the index at which its flat-line run starts."""
    gap_us, last = limits.neighbour_gap_us, len(times) - 1
    run: Run | None = None
    for index in range(first, last + 1):
        time_us, tick = times[index], ticks[index]
        has_previous = index > 0 and time_us - times[index - 1] <= gap_us
        has_next = index < last and times[index + 1] - time_us <= gap_us
        code = judge_alone(time_us, tick, limits)
        if has_previous and has_next and limits.has_spike:
            code += spike_digit(ticks[index - 1], tick, ticks[index + 1], limits) << SPIKE
        else:
            code += NOT_EVALUATED_DIGIT << SPIKE
        code += rate_digit(times, ticks, limits, index) << RATE_OF_CHANGE
        start = index
        if limits.has_flat_line:
            run = _run_after(run, ticks, limits, index) if run and has_previous else None
            run = run or run_before(times, ticks, limits, index)
            start = run.start
            code += flat_line_digit(time_us - times[start], run.is_open, limits)
        else:
            code += NOT_EVALUATED_DIGIT
        yield code, start


def _run_after(run: Run, ticks: Sequence[int], limits: Thresholds, index: int) -> Run | None:
    """Extend the run of the previous neighbour by the point at ``index``; None if its run must be sought."""
    low, high = min(run.lowest, ticks[index]), max(run.highest, ticks[index])
    if high - low >= limits.flat_line_tolerance:
        return None
    if index - run.start >= limits.flat_line_points:
        # Its last points only; lowest and highest may be those of points left out, which at worst has the run sought anew.
        return Run(index - limits.flat_line_points + 1, low, high, True)
    return Run(run.start, low, high, run.is_open)


def judge_alone(time_us: int, tick: int, limits: Thresholds) -> int:
    """Return the part of the code that needs no neighbours: gross range and climatology."""
    code = 0
    if not limits.lowest <= tick <= limits.highest:
        is_possible = limits.fail_lowest <= tick <= limits.fail_highest
        code = (SUSPECT_DIGIT if is_possible else FAIL_DIGIT) << GROSS_RANGE
    spans = limits.climatology_by_month
    span = None if spans is None else spans[_month_of_day(time_us // _MICROSECONDS_PER_DAY) - 1]
    if span is None:
        return code + (NOT_EVALUATED_DIGIT << CLIMATOLOGY)
    if span[0] <= tick <= span[1]:
        return code
    return code + (SUSPECT_DIGIT << CLIMATOLOGY)


@lru_cache(maxsize=4096)
def _month_of_day(day: int) -> int:
    return (_EPOCH + timedelta(days=day)).month


def spike_digit(previous: int, tick: int, following: int, limits: Thresholds) -> int:
    """How far the value lies above both neighbours, or below both, against the thresholds."""
    height = min(tick - previous, tick - following) if tick > previous else min(previous - tick, following - tick)
    if height <= limits.spike_suspect:
        return 0
    return FAIL_DIGIT if height > limits.spike_fail else SUSPECT_DIGIT


def rate_digit(times: Sequence[int], ticks: Sequence[int], limits: Thresholds, index: int) -> int:
    """Return the digit of the change to the point at ``index``."""
    if index == 0 or not limits.has_rate:
        return NOT_EVALUATED_DIGIT
    step_us = times[index] - times[index - 1]
    if step_us > limits.neighbour_gap_us:
        return NOT_EVALUATED_DIGIT
    change = abs(ticks[index] - ticks[index - 1])
    if change * MICROSECONDS_PER_HOUR <= limits.rate_suspect_per_hour * step_us:
        return 0
    return fast_change_digit(times, ticks, limits, index, change=change, step_us=step_us, time_us=times[index])


def fast_change_digit(
    times: Sequence[int], ticks: Sequence[int], limits: Thresholds, count: int, *, change: int, step_us: int, time_us: int
) -> int:
    """Return the digit of a change that is faster than the suspect limit, to a point at ``time_us`` behind the first ``count``
    points. It passes all the same if it is no more than the sensor's own steps, or than this water's own way."""
    if change < limits.same_below or _is_usual(times, ticks, limits, count, change=change, time_us=time_us):
        return 0
    return FAIL_DIGIT if change * MICROSECONDS_PER_HOUR > limits.rate_fail_per_hour * step_us else SUSPECT_DIGIT


def _is_usual(times: Sequence[int], ticks: Sequence[int], limits: Thresholds, count: int, *, change: int, time_us: int) -> bool:
    """Whether the change is within so many standard deviations of what was before it; False while the record is too short."""
    start = max(bisect_left(times, time_us - limits.rate_window_us, 0, count), count - limits.flat_line_points)
    if time_us - times[start] < _RATE_HISTORY_US:
        return False
    before = ticks[start:count]
    total = sum(before)
    squares: int = sum(map(mul, before, before))
    scaled = change * len(before)  # both sides are squares, so that no root is rounded
    return scaled * scaled <= RATE_DEVIATIONS * RATE_DEVIATIONS * (len(before) * squares - total * total)


def flat_line_digit(elapsed_us: int, is_open: bool, limits: Thresholds) -> int:
    """Return the digit of a run by its duration; a run that is short only because no point is before it is not evaluated."""
    if elapsed_us >= limits.flat_line_fail_us:
        return FAIL_DIGIT
    if elapsed_us >= limits.flat_line_suspect_us:
        return SUSPECT_DIGIT
    return NOT_EVALUATED_DIGIT if is_open else 0
