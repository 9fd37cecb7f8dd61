"""What a dashboard shows of each reef, beside the score itself."""

import math
from collections.abc import Mapping
from typing import Any, Final

from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics

UNKNOWN_LEVEL: Final = -1
VERDICT_CODES: Final = {"unknown": 0, "good": 1, "fair": 2, "poor": 3, "experienced_only": 4, "no_go": 5}
"""Of ``table.REEF_DIVE_VERDICT``: the worse, the higher."""


class ReefGauges:
    """Sets the gauges of a reef when it is scored. A reef that another process takes over keeps its last values here: whoever
    reads them takes the process with the later ``as_of``."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def show(self, reef_id: str, *, as_of_seconds: float, heat: Mapping[str, Any], dive: Mapping[str, Any]) -> None:
        """``heat`` and ``dive`` are fields of ``HeatStress`` and ``DiveConditions``, ``as_of_seconds`` is Unix time."""
        latest = heat["latest"] or {}
        level, weeks = latest.get("level_7day_max"), latest.get("dhw_celsius_weeks")
        metrics = self._metrics
        metrics.set(table.REEF_HEAT_STRESS_LEVEL, UNKNOWN_LEVEL if level is None else int(level), reef_id)
        metrics.set(table.REEF_DEGREE_HEATING, math.nan if weeks is None else weeks, reef_id)
        metrics.set(table.REEF_COVERAGE_DAYS, latest.get("coverage_days", 0), reef_id)
        metrics.set(table.REEF_DIVE_VERDICT, VERDICT_CODES[dive["verdict"]], reef_id)
        metrics.set(table.REEF_SCORE_AS_OF_SECONDS, as_of_seconds, reef_id)

    def clear(self, reef_id: str) -> None:
        """Say that nothing is known of a reef: all its readings were withdrawn."""
        metrics = self._metrics
        metrics.set(table.REEF_HEAT_STRESS_LEVEL, UNKNOWN_LEVEL, reef_id)
        metrics.set(table.REEF_DEGREE_HEATING, math.nan, reef_id)
        metrics.set(table.REEF_COVERAGE_DAYS, 0, reef_id)
        metrics.set(table.REEF_DIVE_VERDICT, VERDICT_CODES["unknown"], reef_id)
