"""Judged points of one quantity of one buoy, in time order; a point can be put, replaced and removed anywhere among them."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from reefmesh_ingest.domain.quality.judgement import judge, rate_digit, tick_held, verdict_without_neighbours
from reefmesh_ingest.domain.quality.thresholds import Thresholds
from reefmesh_ingest.domain.quality.verdicts import (
    RATE_OF_CHANGE,
    RATE_OF_CHANGE_DIGIT,
    VERDICTS,
    Verdict,
    VerdictChange,
    code_of,
)

SeriesRow = tuple[int, float | None, str]
"""(time in UTC microseconds, value or None when missing, its digits ``tests`` as last published)."""


class NotCovered(LookupError):
    """A point is older than what the series can judge: load ``windows`` and use ``Series.window``."""

    def __init__(self, time_us: int) -> None:
        super().__init__(f"the point at {time_us} us is older than what this series can judge alone")
        self.time_us = time_us


class JudgedPoints:
    """Three parallel arrays, 18 bytes a point: ``times`` in microseconds, strictly ascending, values in ``ticks`` (see
    ``thresholds``), and the ``codes`` of the verdicts last given (see ``verdicts``).

    A missing value and one outside the fail span are the absence of a point.
    """

    __slots__ = ("codes", "ticks", "times")

    def __init__(self) -> None:
        self.times = array("q")
        self.ticks = array("q")
        self.codes = array("H")

    def __len__(self) -> int:
        return len(self.times)

    def load(self, rows: Iterable[SeriesRow], limits: Thresholds) -> None:
        """Append stored rows, oldest first."""
        for time_us, value, tests in rows:
            tick = tick_held(value, limits)
            if tick is not None:
                self.times.append(time_us)
                self.ticks.append(tick)
                self.codes.append(code_of(tests))

    def extend(self, other: "JudgedPoints", low_us: int, high_us: int) -> None:
        """Append the points of ``other`` from ``low_us`` to ``high_us``, both inside; all must be later than those held."""
        start, after = bisect_left(other.times, low_us), bisect_right(other.times, high_us)
        self.times.extend(other.times[start:after])
        self.ticks.extend(other.ticks[start:after])
        self.codes.extend(other.codes[start:after])

    def replace(self, other: "JudgedPoints", low_us: int, high_us: int) -> None:
        """Take the points of ``other`` from ``low_us`` on in place of those held from ``low_us`` to ``high_us``."""
        start, after = bisect_left(self.times, low_us), bisect_right(self.times, high_us)
        its_start = bisect_left(other.times, low_us)
        self.times[start:after] = other.times[its_start:]
        self.ticks[start:after] = other.ticks[its_start:]
        self.codes[start:after] = other.codes[its_start:]

    def forget(self, count: int) -> None:
        """Drop the oldest ``count`` points."""
        del self.times[:count], self.ticks[:count], self.codes[:count]

    def put(self, time_us: int, value: float | None, limits: Thresholds) -> list[VerdictChange]:
        """Put a point where others may be newer (a value that is not held removes it); judge again those that it can alter."""
        times, ticks, codes = self.times, self.ticks, self.codes
        index = bisect_left(times, time_us)
        is_held = index < len(times) and times[index] == time_us
        before = VERDICTS[codes[index]] if is_held else None
        tick = tick_held(value, limits)
        if tick is None:
            absent = (time_us, before, verdict_without_neighbours(time_us, value, limits))
            if not is_held:
                return [absent]
            del times[index], ticks[index], codes[index]
            changes = [absent, *self._judge_around(time_us, before, index, index, limits=limits)]
        else:
            if is_held:
                ticks[index] = tick
            else:
                times.insert(index, time_us)
                ticks.insert(index, tick)
                codes.insert(index, 0)
            changes = self._judge_around(time_us, before, index, index + 1, limits=limits)
        changes.sort(key=_time_of)
        return changes

    def _judge_around(
        self, time_us: int, before: Verdict | None, index: int, after: int, *, limits: Thresholds
    ) -> list[VerdictChange]:
        """Judge again what a change at ``index`` can alter; ``after`` is the index of the first point later than it."""
        times, codes = self.times, self.codes
        gap_us = limits.neighbour_gap_us
        changes: list[VerdictChange] = []
        first = index - 1 if index > 0 and time_us - times[index - 1] <= gap_us else index
        altered_until_us = time_us + limits.flat_line_window_us + gap_us
        # Points later than the change see it through a chain of neighbours only.
        last = after if after < len(times) and times[after] - time_us <= gap_us else after - 1
        judged = first
        for at, (code, run_start) in enumerate(judge(times, self.ticks, limits, first), first):
            if at > last and (last < after or run_start > after or times[at] > altered_until_us):
                # The run of this point, and therefore that of every later one, was ended by a point later than the change,
                # or lasts a whole window without it.
                break
            if times[at] == time_us:
                changes.append((time_us, before, VERDICTS[code]))
            elif code != codes[at]:
                changes.append((times[at], VERDICTS[codes[at]], VERDICTS[code]))
            codes[at] = code
            judged = at + 1
        if limits.has_rate:
            changes += self._judge_rates(judged, time_us + limits.rate_window_us, limits)
        return changes

    def _judge_rates(self, first: int, until_us: int, limits: Thresholds) -> list[VerdictChange]:
        """Judge the rates from index ``first`` on again, whose standard deviation has altered."""
        codes = self.codes
        changes: list[VerdictChange] = []
        for at in range(first, bisect_right(self.times, until_us)):
            before = codes[at]
            now = before & ~RATE_OF_CHANGE_DIGIT | rate_digit(self.times, self.ticks, limits, at) << RATE_OF_CHANGE
            if now != before:
                changes.append((self.times[at], VERDICTS[before], VERDICTS[now]))
                codes[at] = now
        return changes


def _time_of(change: VerdictChange) -> int:
    return change[0]
