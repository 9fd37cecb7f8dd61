"""The gauges of each reef that dashboards show."""

import math
from collections.abc import Mapping
from typing import Any, Final, assert_never

from reefmesh.contracts.scores import DiveVerdict
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics

UNKNOWN_LEVEL: Final = -1


def verdict_code(verdict: DiveVerdict) -> int:
    """Return the value of ``table.REEF_DIVE_VERDICT``: the worse, the higher."""
    match verdict:
        case "unknown":
            return 0
        case "good":
            return 1
        case "fair":
            return 2
        case "poor":
            return 3
        case "experienced_only":
            return 4
        case "no_go":
            return 5
        case _:
            assert_never(verdict)


class ReefGauges:
    """Remembers the values of each reef's last score and sets its gauges only when they are read (``sample``): scores are far
    more frequent than reads. When another process takes a reef over, its last values stay here: a query must
    use the process with the latest ``as_of``."""

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
            verdict_code(dive["verdict"]),
            as_of_seconds,
        )

    def clear(self, reef_id: str) -> None:
        """Set a reef to unknown: all its readings were withdrawn. The instant of its last score stays."""
        *_, as_of_seconds = self._unset.get(reef_id, (None,))
        self._unset[reef_id] = (UNKNOWN_LEVEL, math.nan, 0, verdict_code("unknown"), as_of_seconds)

    async def sample(self) -> None:
        """Set the gauges; ``Metrics.add_sampler`` takes this."""
        metrics, unset = self._metrics, self._unset
        self._unset = {}
        for reef_id, (level, weeks, coverage_days, verdict, as_of_seconds) in unset.items():
            metrics.set(table.REEF_HEAT_STRESS_LEVEL, level, reef_id)
            metrics.set(table.REEF_DEGREE_HEATING, weeks, reef_id)
            metrics.set(table.REEF_COVERAGE_DAYS, coverage_days, reef_id)
            metrics.set(table.REEF_DIVE_VERDICT, verdict, reef_id)
            if as_of_seconds is not None:
                metrics.set(table.REEF_SCORE_AS_OF_SECONDS, as_of_seconds, reef_id)
