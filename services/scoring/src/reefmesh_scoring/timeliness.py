"""Measures the time of readings from the broker's receipt of their telemetry to their score."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from reefmesh.clock import Clock
from reefmesh.contracts.readings import Reading
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics

BACKLOG_AFTER: Final = timedelta(seconds=table.BACKLOG_AFTER_SECONDS)
WITHIN: Final = timedelta(seconds=table.SCORED_WITHIN_SECONDS)


class Timeliness:
    """Counts readings against the objective. A reading counts when it is scored for the first time; the time of its later
    revisions depends on the buoy, not on the mesh."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        self._in_time = metrics.counter(table.READINGS_SCORED, "in_time")
        self._late = metrics.counter(table.READINGS_SCORED, "late")
        self._backlog = metrics.counter(table.READINGS_SCORED, "backlog")
        self._latency = metrics.histogram(table.SCORING_LATENCY_SECONDS)

    def note(self, readings: Sequence[Reading]) -> None:
        """Count the readings of one message after their score was committed."""
        received = [reading.received_at for reading in readings if reading.revision == 1 and not reading.withdrawn]
        if not received:
            return
        now = self._clock.now()
        age = now - min(received)
        if age > BACKLOG_AFTER:
            fresh = [each for each in received if now - each <= BACKLOG_AFTER]
            self._backlog.inc(len(received) - len(fresh))
            if not fresh:
                return
            received, age = fresh, now - min(fresh)
        self._latency.observe(max(0.0, age.total_seconds()))
        late = 0
        if age > WITHIN:
            before = now - WITHIN
            late = sum(each < before for each in received)
            self._late.inc(late)
        self._in_time.inc(len(received) - late)
