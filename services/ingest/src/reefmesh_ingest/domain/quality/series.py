"""The recent points of one quantity of one buoy, judged as they come: the hot path is the append of a newer point."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from reefmesh_ingest.domain.quality.judgement import (
    NOT_EVALUATED_DIGIT,
    fast_change_digit,
    flat_line_digit,
    judge_alone,
    run_before,
    spike_digit,
    verdict_without_neighbours,
)
from reefmesh_ingest.domain.quality.limits import QuantityLimits
from reefmesh_ingest.domain.quality.points import JudgedPoints, NotCovered, SeriesRow
from reefmesh_ingest.domain.quality.thresholds import MICROSECONDS_PER_HOUR, thresholds_of, ticks_of
from reefmesh_ingest.domain.quality.verdicts import RATE_OF_CHANGE, SPIKE, VERDICTS, VerdictChange
from reefmesh_ingest.domain.quality.window_series import WindowSeries
from reefmesh_ingest.domain.quality.windows import LateWindow

_TRIM_EVERY_POINTS: Final = 8
_NEVER: Final = 2**62


class Series:
    """A bounded tail of one quantity of one buoy, with the verdict last given to each point.

    Bounded by time (``tail_us`` behind the newest point) and by count (twice ``flat_line_points_limit``), each plus at most
    8 points.
    Not safe for concurrent use: a reef is in the hands of one lane at a time.
    """

    __slots__ = (
        "_append_after_us",
        "_limits",
        "_points",
        "_run_highest",
        "_run_is_open",
        "_run_lowest",
        "_run_points",
        "_run_start_us",
        "_since_us",
        "_trim_at_points",
        "limits",
    )

    def __init__(self, limits: QuantityLimits) -> None:
        """A new, empty series: nothing was ever observed."""
        self.limits = limits
        self._limits = thresholds_of(limits)
        self._points = JudgedPoints()
        self._since_us: int | None = None  # every point at or after this instant is held; None: every point there is
        self._append_after_us = _NEVER  # later points are appended; earlier ones are put anywhere
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
        series._points.load(rows, series._limits)
        series._since_us = since_us
        series._settle()
        return series

    def __len__(self) -> int:
        """How many points are held."""
        return len(self._points)

    def covers(self, time_us: int) -> bool:
        """Tell whether ``put`` and ``remove`` at this instant are exact with what is held.

        True for every point newer than the newest, unless many of the newest were just withdrawn.
        """
        limits = self._limits
        if self._since_us is None or time_us - limits.reach_us >= self._since_us:
            return True
        # No test looks back over more points than a flat line may have, the one that ends it, and one neighbour.
        return bisect_left(self._points.times, time_us) > limits.flat_line_points + 1

    def put(self, time_us: int, value: float | None) -> list[VerdictChange]:
        """Add a point, or replace the value of the one at that instant; None is a missing value.

        Returns every point whose verdict is new or different, oldest first, the point itself always included. "Before" is None
        for a point that was not held: a new one, or one whose value was missing or failed the gross range. Microseconds in time
        order.

        Raises:
            NotCovered: ``covers`` is False for this instant; nothing was changed.
        """
        return self.put_all([(time_us, value)])

    def put_all(  # noqa: PLR0912, PLR0915 - the hot path: one pass with few calls
        self, points: Iterable[tuple[int, float | None]]
    ) -> list[VerdictChange]:
        """Do as ``put`` with one point after the other, oldest first; returns their changes one after the other.

        Raises:
            NotCovered: as ``put``; the points before that one are in.
        """
        limits, points_held = self._limits, self._points
        times, ticks, codes = points_held.times, points_held.ticks, points_held.codes
        gap_us = limits.neighbour_gap_us
        changes: list[VerdictChange] = []
        for time_us, value in points:
            if value is None or time_us <= self._append_after_us:
                changes += self._put_anywhere(time_us, value)
                continue
            # From here on: newer than all others. The tests are those of ``judge``, arranged so that only what the new point
            # adds is computed; that both always agree is a property test.
            tick = ticks_of(value)
            if not limits.fail_lowest <= tick <= limits.fail_highest:
                changes.append((time_us, None, verdict_without_neighbours(time_us, value, limits)))
                continue
            previous_us, previous = times[-1], ticks[-1]
            code = judge_alone(time_us, tick, limits) + (NOT_EVALUATED_DIGIT << SPIKE)
            step_us = time_us - previous_us
            if step_us <= gap_us:
                if limits.has_rate:
                    change = tick - previous if tick > previous else previous - tick
                    if change * MICROSECONDS_PER_HOUR > limits.rate_suspect_per_hour * step_us:
                        digit = fast_change_digit(
                            times, ticks, limits, len(times), change=change, step_us=step_us, time_us=time_us
                        )
                        code += digit << RATE_OF_CHANGE
                else:
                    code += NOT_EVALUATED_DIGIT << RATE_OF_CHANGE
                if limits.has_spike and len(times) > 1 and previous_us - times[-2] <= gap_us:
                    # Until now the previous point had no next neighbour, and its spike digit was "not evaluated".
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
        if len(self._points):
            self._trim()

    def remove(self, time_us: int) -> list[VerdictChange]:
        """Withdraw a point: the same as putting a missing value there."""
        return self.put(time_us, None)

    def window(self, rows: Iterable[SeriesRow], window: LateWindow) -> WindowSeries:
        """Return the stored ``rows`` of ``window``, oldest first, as points among which its late points can be put.

        Where this series holds points itself, its own are used, because rows may be behind within one message.
        """
        held_since_us = window.low_us if self._since_us is None else max(window.low_us, self._since_us)
        points = JudgedPoints()
        earlier = (row for row in rows if window.low_us <= row[0] < held_since_us and row[0] <= window.high_us)
        points.load(earlier, self._limits)
        points.extend(self._points, held_since_us, window.high_us)
        return WindowSeries(self._limits, window, points)

    def adopt(self, among: WindowSeries) -> None:
        """Take over what was put into a window of this series, as far as the window reaches into what is held."""
        low_us, high_us = among.window.low_us, among.window.high_us
        if self._since_us is not None:
            low_us = max(low_us, self._since_us)
        self._points.replace(among.points, low_us, high_us)
        self._settle()

    def _put_anywhere(self, time_us: int, value: float | None) -> list[VerdictChange]:
        if not self.covers(time_us):
            raise NotCovered(time_us)
        changes = self._points.put(time_us, value, self._limits)
        self._settle()
        return changes

    def _settle(self) -> None:
        """Derive what appending needs from the points held."""
        times, limits = self._points.times, self._limits
        if not times:
            self._append_after_us = _NEVER  # without a previous point the first one is put, not appended
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
        times, ticks = self._points.times, self._points.ticks
        last = len(times) - 1
        run = run_before(times, ticks, self._limits, last)
        self._run_start_us = times[run.start]
        self._run_points = last - run.start + 1
        self._run_lowest, self._run_highest, self._run_is_open = run.lowest, run.highest, run.is_open

    def _trim(self) -> None:
        """Forget points that no appended point and hardly a late one can need."""
        times = self._points.times
        keep_from = bisect_left(times, times[-1] - self._limits.tail_us)
        keep_from = max(keep_from, len(times) - 2 * self._limits.flat_line_points)
        if keep_from > 0:
            self._since_us = times[keep_from - 1] + 1
            self._points.forget(keep_from)
        self._trim_at_points = len(times) + _TRIM_EVERY_POINTS
