"""What scoring counts."""

from typing import Final

from reefmesh.observability.table.bounds import LATENCY_BUCKETS
from reefmesh.observability.table.rows import Counter, Histogram, Label

READINGS_SCORED: Final = Counter(
    name="reefmesh_readings_scored_total",
    unit="readings",
    labels=(Label("timeliness", values=("in_time", "late", "backlog")),),
    help="Readings scored for the first time: in time within 60 s after the broker took their telemetry; backlog after a day.",
)
SCORING_LATENCY_SECONDS: Final = Histogram(
    name="reefmesh_scoring_latency_seconds",
    unit="seconds",
    buckets=LATENCY_BUCKETS,
    help="From the broker's receipt of telemetry to its score, once for each message: its oldest reading of the last day.",
)
