"""Judged points of one quantity of one buoy, in time order; a point can be put, replaced and removed anywhere among them."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from reefmesh_ingest.domain.quality.judgement import judge
from reefmesh_ingest.domain.quality.thresholds import Thresholds, ticks_of
from reefmesh_ingest.domain.quality.verdicts import MISSING, VERDICTS, Verdict, VerdictChange, code_of

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

    Only points with a value are held: a missing value is the absence of a point.
    """

    __slots__ = ("codes", "ticks", "times")

    def __init__(self) -> None:
        self.times = array("q")
        self.ticks = array("q")
        self.codes = array("H")

    def __len__(self) -> int:
        return len(self.times)

    def load(self, rows: Iterable[SeriesRow]) -> None:
        """Append stored rows, oldest first."""
        for time_us, value, tests in rows:
            if value is not None:
                self.times.append(time_us)
                self.ticks.append(ticks_of(value))
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
        """Put a point where others may be newer (None: remove it), and judge again those that it can alter."""
        times, ticks, codes = self.times, self.ticks, self.codes
        index = bisect_left(times, time_us)
        is_held = index < len(times) and times[index] == time_us
        before = VERDICTS[codes[index]] if is_held else None
        if value is None:
            if not is_held:
                return [(time_us, None, MISSING)]
            del times[index], ticks[index], codes[index]
            after = index
        else:
            tick = ticks_of(value)
            if is_held:
                ticks[index] = tick
            else:
                times.insert(index, time_us)
                ticks.insert(index, tick)
                codes.insert(index, 0)
            after = index + 1
        return self._judge_around(time_us, before, index, after, limits=limits)

    def _judge_around(
        self, time_us: int, before: Verdict | None, index: int, after: int, *, limits: Thresholds
    ) -> list[VerdictChange]:
        """Judge again what a change at ``index`` can alter; ``after`` is the index of the first point later than it."""
        times, codes = self.times, self.codes
        gap_us = limits.neighbour_gap_us
        changes: list[VerdictChange] = []
        if after == index:
            changes.append((time_us, before, MISSING))
        first = index - 1 if index > 0 and time_us - times[index - 1] <= gap_us else index
        altered_until_us = time_us + limits.flat_line_window_us + gap_us
        # Points later than the change see it through a chain of neighbours only.
        last = after if after < len(times) and times[after] - time_us <= gap_us else after - 1
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
        changes.sort(key=_time_of)
        return changes


def _time_of(change: VerdictChange) -> int:
    return change[0]
