"""Quality control: the IOOS QARTOD tests of one quantity of one buoy, streaming, exact in any order of arrival.

The verdict of a point is a function of the *set* of points of its quantity, never of the order in which they came.

    series = Series(DEFAULT_LIMITS[SEA_WATER_TEMPERATURE])
    for time_us, before, now in series.put(observed_us, 28.4):     # the point itself, and earlier ones that changed
        ...                                                        # before is None for a new point; now.flag, now.tests

Points older than the tail that a series holds (``covers`` returns False) are judged among rows of the caller's table. Take
those of one message first and all at once, then the others in ascending order: rows and series must not be behind each other.

    late = [time_us for time_us in values if not series.covers(time_us)]
    for window in windows([limits], late):
        among = series.window(load_rows(window.low_us, window.high_us), window)
        for time_us in window.times_us:
            changes = among.put(time_us, values[time_us])
        series.adopt(among)
"""

from reefmesh_ingest.domain.quality.judgement import evaluate, verdict_alone
from reefmesh_ingest.domain.quality.limits import DEFAULT_LIMITS, QuantityLimits, Span
from reefmesh_ingest.domain.quality.points import NotCovered, SeriesRow
from reefmesh_ingest.domain.quality.position import distance_metres, judge_position
from reefmesh_ingest.domain.quality.series import Series
from reefmesh_ingest.domain.quality.verdicts import MISSING, Verdict, VerdictChange
from reefmesh_ingest.domain.quality.window_series import WindowSeries
from reefmesh_ingest.domain.quality.windows import LateWindow, dependency_range, reach_us, tail_us, windows

__all__ = [
    "DEFAULT_LIMITS",
    "MISSING",
    "LateWindow",
    "NotCovered",
    "QuantityLimits",
    "Series",
    "SeriesRow",
    "Span",
    "Verdict",
    "VerdictChange",
    "WindowSeries",
    "dependency_range",
    "distance_metres",
    "evaluate",
    "judge_position",
    "reach_us",
    "tail_us",
    "verdict_alone",
    "windows",
]
