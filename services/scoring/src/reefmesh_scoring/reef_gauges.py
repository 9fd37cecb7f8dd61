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
    """Keeps what a reef's last score says, and sets its gauges when they are read (``sample``): a reef is scored far more often
    than anybody looks. A reef that another process takes over keeps its last values here: whoever reads them takes the process
    with the later ``as_of``."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._unset: dict[str, tuple[float, float, float, float, float | None]] = {}  # since they were last read

    def show(self, reef_id: str, *, as_of_seconds: float, heat: Mapping[str, Any], dive: Mapping[str, Any]) -> None:
        """``heat`` and ``dive`` are fields of ``HeatStress`` and ``DiveConditions``, ``as_of_seconds`` is Unix time."""
        latest = heat["latest"] or {}
        level, weeks = latest.get("level_7day_max"), latest.get("dhw_celsius_weeks")
        self._unset[reef_id] = (
            UNKNOWN_LEVEL if level is None else int(level),
            math.nan if weeks is None else weeks,
            latest.get("coverage_days", 0),
            VERDICT_CODES[dive["verdict"]],
            as_of_seconds,
        )

    def clear(self, reef_id: str) -> None:
        """Say that nothing is known of a reef: all its readings were withdrawn. The instant of its last score stays."""
        *_, as_of_seconds = self._unset.get(reef_id, (None,))
        self._unset[reef_id] = (UNKNOWN_LEVEL, math.nan, 0, VERDICT_CODES["unknown"], as_of_seconds)

    async def sample(self) -> None:
        """Give it to ``Metrics.add_sampler``."""
        metrics, unset = self._metrics, self._unset
        self._unset = {}
        for reef_id, (level, weeks, coverage_days, verdict, as_of_seconds) in unset.items():
            metrics.set(table.REEF_HEAT_STRESS_LEVEL, level, reef_id)
            metrics.set(table.REEF_DEGREE_HEATING, weeks, reef_id)
            metrics.set(table.REEF_COVERAGE_DAYS, coverage_days, reef_id)
            metrics.set(table.REEF_DIVE_VERDICT, verdict, reef_id)
            if as_of_seconds is not None:
                metrics.set(table.REEF_SCORE_AS_OF_SECONDS, as_of_seconds, reef_id)
