"""The gauges of each reef that dashboards show."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple, assert_never

from reefmesh.clock import Clock
from reefmesh.contracts.scores import DiveVerdict, HeatStatus, is_still_known
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


def status_code(status: HeatStatus) -> int:
    """Return the value of ``table.REEF_HEAT_STATUS``: the more reliable, the higher."""
    match status:
        case HeatStatus.UNKNOWN:
            return 0
        case HeatStatus.WARMING_UP:
            return 1
        case HeatStatus.INSUFFICIENT:
            return 2
        case HeatStatus.DAYTIME_ONLY:
            return 3
        case HeatStatus.SUSPECT_SHARE:
            return 4
        case HeatStatus.LOWER_BOUND:
            return 5
        case HeatStatus.OK:
            return 6
        case _:
            assert_never(status)


class ShownScore(NamedTuple):
    """The values of one reef's last score; ``day`` is its newest solar date (ISO), None without one."""

    day: str | None
    level: float
    weeks: float
    status: str
    coverage_days: float
    verdict: DiveVerdict
    as_of_seconds: float | None


class ReefGauges:
    """Remembers the values of each reef's last score and sets its gauges only when they are read (``sample``): scores are far
    more frequent than reads. When another process takes a reef over, its last values stay here: a query must
    use the process with the latest ``as_of``.

    A level ends with the week that it is the highest of: the gauges of a reef that is not heard any more become unknown.
    """

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._unset: dict[str, ShownScore] = {}  # since they were last read
        self._known: dict[str, date] = {}
        """The newest day of each reef whose level is shown, until that is too old."""

    def show(self, reef_id: str, *, as_of_seconds: float, heat: Mapping[str, Any], dive: Mapping[str, Any]) -> None:
        """``heat`` and ``dive`` are fields of ``HeatStress`` and ``DiveConditions``, ``as_of_seconds`` is Unix time."""
        latest = heat["latest"] or {}
        level, weeks = latest.get("level_7day_max"), latest.get("dhw_celsius_weeks")
        self._unset[reef_id] = ShownScore(
            day=latest.get("date"),
            level=UNKNOWN_LEVEL if level is None else int(level),
            weeks=math.nan if weeks is None else weeks,
            status=latest.get("status", HeatStatus.UNKNOWN.value),
            coverage_days=latest.get("coverage_days", 0),
            verdict=dive["verdict"],
            as_of_seconds=as_of_seconds,
        )

    def clear(self, reef_id: str) -> None:
        """Set a reef to unknown: all its readings were withdrawn. The instant of its last score stays."""
        before = self._unset.get(reef_id)
        self._unset[reef_id] = ShownScore(
            day=None,
            level=UNKNOWN_LEVEL,
            weeks=math.nan,
            status=HeatStatus.UNKNOWN.value,
            coverage_days=0,
            verdict="unknown",
            as_of_seconds=None if before is None else before.as_of_seconds,
        )

    async def sample(self) -> None:
        """Set the gauges; ``Metrics.add_sampler`` takes this."""
        metrics, unset = self._metrics, self._unset
        self._unset = {}
        for reef_id, shown in unset.items():
            metrics.set(table.REEF_HEAT_STRESS_LEVEL, shown.level, reef_id)
            metrics.set(table.REEF_DEGREE_HEATING, shown.weeks, reef_id)
            metrics.set(table.REEF_HEAT_STATUS, status_code(HeatStatus(shown.status)), reef_id)
            metrics.set(table.REEF_COVERAGE_DAYS, shown.coverage_days, reef_id)
            metrics.set(table.REEF_DIVE_VERDICT, verdict_code(shown.verdict), reef_id)
            if shown.as_of_seconds is not None:
                metrics.set(table.REEF_SCORE_AS_OF_SECONDS, shown.as_of_seconds, reef_id)
            self._known.pop(reef_id, None)
            if shown.day is not None:
                self._known[reef_id] = date.fromisoformat(shown.day)
        now = self._clock.now()
        for reef_id in [reef_id for reef_id, day in self._known.items() if not is_still_known(day, now)]:
            del self._known[reef_id]
            metrics.set(table.REEF_HEAT_STRESS_LEVEL, UNKNOWN_LEVEL, reef_id)
            metrics.set(table.REEF_DEGREE_HEATING, math.nan, reef_id)
            metrics.set(table.REEF_HEAT_STATUS, status_code(HeatStatus.UNKNOWN), reef_id)
