"""The recent points of one quantity of one buoy, judged as they come."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final, cast

from reefmesh_ingest.domain.quality.judgement import (
    NOT_EVALUATED_DIGIT,
    flat_line_digit,
    judge,
    judge_alone,
    rate_digit,
    run_before,
    spike_digit,
)
from reefmesh_ingest.domain.quality.limits import QuantityLimits
from reefmesh_ingest.domain.quality.thresholds import MICROSECONDS_PER_HOUR, thresholds_of, ticks_of
from reefmesh_ingest.domain.quality.verdicts import (
    MISSING,
    RATE_OF_CHANGE,
    SPIKE,
    VERDICTS,
    Verdict,
    VerdictChange,
    code_of,
)
from reefmesh_ingest.domain.quality.windows import LateWindow

SeriesRow = tuple[int, float | None, str]
"""(time in UTC microseconds, value or None when missing, its digits ``tests`` as last published)."""

State = list[Any]
"""JSON numbers: [first instant that is complete or null, first time, [steps between times], [values in ticks], [codes]]."""

_TRIM_EVERY_POINTS: Final = 8
_NEVER: Final = 2**62


class NotCovered(LookupError):
    """A point is older than what the series can judge: load ``windows`` and use ``Series.window``."""

    def __init__(self, time_us: int) -> None:
        super().__init__(f"the point at {time_us} us is older than what this series can judge alone")
        self.time_us = time_us


class Series:
    """A bounded tail of one quantity of one buoy, with the verdict last given to each point.

    Bounded by time (``tail_us`` behind the newest point) and by count (twice ``flat_line_points_limit``), each plus at most
    8 points; 18 bytes a point. Only points with a value are held: a missing value is the absence of a point.
    Not safe for concurrent use: a reef is in the hands of one lane at a time.
    """

    __slots__ = (
        "_append_after_us",
        "_codes",
        "_limits",
        "_run_highest",
        "_run_is_open",
        "_run_lowest",
        "_run_points",
        "_run_start_us",
        "_since_us",
        "_ticks",
        "_times",
        "_trim_at_points",
        "_until_us",
        "limits",
    )

    def __init__(self, limits: QuantityLimits) -> None:
        """A new, empty series: nothing was ever observed."""
        self.limits = limits
        self._limits = thresholds_of(limits)
        self._times = array("q")
        self._ticks = array("q")
        self._codes = array("H")
        self._since_us: int | None = None  # every point at or after this instant is held; None: every point there is
        self._until_us: int | None = None  # ... and at or before this one
        self._append_after_us = _NEVER  # later points are appended; earlier ones take the way for any place
        self._trim_at_points = 0
        # The flat-line run that ends in the newest point, see ``judgement.Run``.
        self._run_start_us = 0
        self._run_points = 0
        self._run_lowest = self._run_highest = 0
        self._run_is_open = True

    @classmethod
    def from_rows(cls, limits: QuantityLimits, rows: Iterable[SeriesRow], *, since_us: int | None) -> "Series":
        """Rebuild from stored rows, oldest first: all that are at or after ``since_us`` (None: all there are).

        Load at least ``tail_us(limits)`` before the newest row of the buoy. Missing values may be left out.
        """
        series = cls(limits)
        series._load(rows)
        series._since_us = since_us
        series._settle()
        return series

    @classmethod
    def from_state(cls, limits: QuantityLimits, state: State) -> "Series":
        """Resume exactly where ``state`` was taken."""
        series = cls(limits)
        series._since_us, time_us, steps, ticks, codes = state
        if ticks:
            series._times.append(time_us)
        for step in steps:
            time_us += step
            series._times.append(time_us)
        series._ticks.extend(ticks)
        series._codes.extend(codes)
        series._settle()
        return series

    def state(self) -> State:
        """Return a compact list of JSON numbers."""
        times = self._times
        steps = [after - before for before, after in pairwise(times)]
        return [self._since_us, times[0] if times else 0, steps, self._ticks.tolist(), self._codes.tolist()]

    def __len__(self) -> int:
        """How many points are held."""
        return len(self._times)

    def covers(self, time_us: int) -> bool:
        """Say whether ``put`` and ``remove`` at this instant are exact with what is held.

        They are for every point newer than the newest, unless many of the newest were just withdrawn.
        """
        limits = self._limits
        if self._until_us is not None and time_us + limits.reach_us > self._until_us:
            return False
        if self._since_us is None or time_us - limits.reach_us >= self._since_us:
            return True
        # No test looks back over more points than a flat line may have, the one that ends it, and one neighbour.
        return bisect_left(self._times, time_us) > limits.flat_line_points + 1

    def put(self, time_us: int, value: float | None) -> list[VerdictChange]:
        """Add a point, or replace the value of the one at that instant; None is a missing value.

        Returns every point whose verdict is new or different, oldest first, the point itself always included. "Before" is None
        for a point that was not held: a new one, or one whose value was missing. Microseconds in time order.

        Raises:
            NotCovered: ``covers`` says no; nothing was changed.
        """
        return self.put_all([(time_us, value)])

    def put_all(  # noqa: PLR0912, PLR0915 - the hot path: one pass with few calls
        self, points: Iterable[tuple[int, float | None]]
    ) -> list[VerdictChange]:
        """Do as ``put`` with one point after the other, oldest first; returns their changes one after the other.

        Raises:
            NotCovered: as ``put``; the points before that one are in.
        """
        limits, times, ticks, codes = self._limits, self._times, self._ticks, self._codes
        gap_us = limits.neighbour_gap_us
        changes: list[VerdictChange] = []
        for time_us, value in points:
            if value is None or time_us <= self._append_after_us:
                changes += self._put_anywhere(time_us, value)
                continue
            # From here on: newer than all others. The tests are those of ``judge``, arranged so that only what the new point
            # adds is computed; that both always agree is a property test.
            previous_us, previous = times[-1], ticks[-1]
            tick = ticks_of(value)
            code = judge_alone(time_us, tick, limits) + (NOT_EVALUATED_DIGIT << SPIKE)
            step_us = time_us - previous_us
            if step_us <= gap_us:
                if limits.has_rate:
                    change = tick - previous if tick > previous else previous - tick
                    if change * MICROSECONDS_PER_HOUR > limits.rate_suspect_per_hour * step_us:
                        code += rate_digit(change, step_us, limits) << RATE_OF_CHANGE
                else:
                    code += NOT_EVALUATED_DIGIT << RATE_OF_CHANGE
                if limits.has_spike and len(times) > 1 and previous_us - times[-2] <= gap_us:
                    # Until now the previous point had no next neighbour, and its spike digit said so.
                    before = codes[-1]
                    now = before - (NOT_EVALUATED_DIGIT << SPIKE) + (spike_digit(ticks[-2], previous, tick, limits) << SPIKE)
                    codes[-1] = now
                    changes.append((previous_us, VERDICTS[before], VERDICTS[now]))
                if tick < self._run_lowest:
                    self._run_lowest = tick
                elif tick > self._run_highest:
                    self._run_highest = tick
                self._run_points += 1
            else:
                code += NOT_EVALUATED_DIGIT << RATE_OF_CHANGE
                self._run_lowest = self._run_highest = tick
                self._run_start_us = time_us
                self._run_points = 1
                self._run_is_open = True
            times.append(time_us)
            ticks.append(tick)
            self._append_after_us = time_us
            if limits.has_flat_line:
                if self._run_highest - self._run_lowest >= limits.flat_line_tolerance:
                    self._seek_run()
                elif self._run_points > limits.flat_line_points <= len(times):
                    # Only its last points count; the one before them does not differ, so it ends for want of points.
                    self._run_start_us = times[-limits.flat_line_points]
                    self._run_is_open = True
                elapsed_us = time_us - self._run_start_us
                if elapsed_us >= limits.flat_line_suspect_us or self._run_is_open:
                    code += flat_line_digit(elapsed_us, self._run_is_open, limits)
            else:
                code += NOT_EVALUATED_DIGIT
            codes.append(code)
            if len(times) >= self._trim_at_points:
                self._trim()
            changes.append((time_us, None, VERDICTS[code]))
        return changes

    def hold(self) -> None:
        """Forget nothing until ``release``: in a batch with late points each could push out what the next one needs."""
        self._trim_at_points = _NEVER

    def release(self) -> None:
        """Forget what no appended point, and hardly a late one, can need."""
        self._trim_at_points = 0
        if self._times:
            self._trim()

    def remove(self, time_us: int) -> list[VerdictChange]:
        """Withdraw a point: the same as putting a missing value there."""
        return self.put(time_us, None)

    def window(self, rows: Iterable[SeriesRow], window: LateWindow) -> "Series":
        """Return a series of the stored ``rows`` of ``window``, oldest first, in which its late points can be put.

        Where this series holds points itself, its own are used, because rows may be behind within one message.
        """
        held_since_us = window.low_us if self._since_us is None else max(window.low_us, self._since_us)
        among = Series(self.limits)
        among._since_us, among._until_us = window.low_us, window.high_us
        among._load(row for row in rows if window.low_us <= row[0] < held_since_us and row[0] <= window.high_us)
        start, after = bisect_left(self._times, held_since_us), bisect_right(self._times, window.high_us)
        among._times.extend(self._times[start:after])
        among._ticks.extend(self._ticks[start:after])
        among._codes.extend(self._codes[start:after])
        among._settle()
        return among

    def adopt(self, window: "Series") -> None:
        """Take over what was put into a ``window`` of this series, as far as it reaches into what is held."""
        low_us, high_us = cast("int", window._since_us), cast("int", window._until_us)
        if self._since_us is not None:
            low_us = max(low_us, self._since_us)
        start, after = bisect_left(self._times, low_us), bisect_right(self._times, high_us)
        its_start = bisect_left(window._times, low_us)
        self._times[start:after] = window._times[its_start:]
        self._ticks[start:after] = window._ticks[its_start:]
        self._codes[start:after] = window._codes[its_start:]
        self._settle()

    def _put_anywhere(self, time_us: int, value: float | None) -> list[VerdictChange]:
        """Put a point where others may be newer, and judge again those that can see it."""
        if not self.covers(time_us):
            raise NotCovered(time_us)
        times, ticks, codes = self._times, self._ticks, self._codes
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
        changes = self._judge_around(time_us, before, index, after)
        self._settle()
        return changes

    def _judge_around(self, time_us: int, before: Verdict | None, index: int, after: int) -> list[VerdictChange]:
        """Judge again what a change at ``index`` can alter; ``after`` is the index of the first point later than it."""
        limits, times, codes = self._limits, self._times, self._codes
        gap_us = limits.neighbour_gap_us
        changes: list[VerdictChange] = []
        if after == index:
            changes.append((time_us, before, MISSING))
        first = index - 1 if index > 0 and time_us - times[index - 1] <= gap_us else index
        altered_until_us = time_us + limits.flat_line_window_us + gap_us
        # Points later than the change see it through a chain of neighbours only.
        last = after if after < len(times) and times[after] - time_us <= gap_us else after - 1
        for at, (code, run_start) in enumerate(judge(times, self._ticks, limits, first), first):
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

    def _load(self, rows: Iterable[SeriesRow]) -> None:
        for time_us, value, tests in rows:
            if value is not None:
                self._times.append(time_us)
                self._ticks.append(ticks_of(value))
                self._codes.append(code_of(tests))

    def _settle(self) -> None:
        """Derive what appending needs from the points held."""
        times, limits = self._times, self._limits
        if self._until_us is not None or not times:
            # A window ends before newer points; an empty series has no previous point: nothing is appended there.
            self._append_after_us = _NEVER
            return
        self._seek_run()
        if len(times) >= self._trim_at_points:
            self._trim()
        self._append_after_us = times[-1]
        if self._since_us is not None and len(times) <= limits.flat_line_points + 1:
            # Rebuilt from fewer rows than a tail: not even the next point is judged without those before.
            self._append_after_us = max(self._append_after_us, self._since_us + limits.reach_us - 1)

    def _seek_run(self) -> None:
        """Find the flat-line run that ends in the newest point."""
        last = len(self._times) - 1
        run = run_before(self._times, self._ticks, self._limits, last)
        self._run_start_us = self._times[run.start]
        self._run_points = last - run.start + 1
        self._run_lowest, self._run_highest, self._run_is_open = run.lowest, run.highest, run.is_open

    def _trim(self) -> None:
        """Forget points that no appended point and hardly a late one can need."""
        times = self._times
        keep_from = bisect_left(times, times[-1] - self._limits.tail_us)
        keep_from = max(keep_from, len(times) - 2 * self._limits.flat_line_points)
        if keep_from > 0:
            self._since_us = times[keep_from - 1] + 1
            del times[:keep_from], self._ticks[:keep_from], self._codes[:keep_from]
        self._trim_at_points = len(times) + _TRIM_EVERY_POINTS


def _time_of(change: VerdictChange) -> int:
    return change[0]
