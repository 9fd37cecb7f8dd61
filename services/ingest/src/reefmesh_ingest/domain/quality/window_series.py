"""The points around late ones: older than what a ``Series`` holds, judged among rows of the caller's table."""

from reefmesh_ingest.domain.quality.points import JudgedPoints, NotCovered
from reefmesh_ingest.domain.quality.thresholds import Thresholds
from reefmesh_ingest.domain.quality.verdicts import VerdictChange
from reefmesh_ingest.domain.quality.windows import LateWindow


class WindowSeries:
    """Made by ``Series.window``; after the window's late points are put, ``Series.adopt`` takes over what it holds itself."""

    __slots__ = ("_limits", "points", "window")

    def __init__(self, limits: Thresholds, window: LateWindow, points: JudgedPoints) -> None:
        self._limits = limits
        self.window = window
        self.points = points

    def put(self, time_us: int, value: float | None) -> list[VerdictChange]:
        """Do as ``Series.put``.

        Raises:
            NotCovered: the point is none of this window's late ones; nothing was changed.
        """
        reach_us = self._limits.reach_us
        if not self.window.low_us + reach_us <= time_us <= self.window.high_us - reach_us:
            raise NotCovered(time_us)
        return self.points.put(time_us, value, self._limits)
