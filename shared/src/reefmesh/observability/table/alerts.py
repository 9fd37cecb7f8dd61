"""What alerts counts of its deliveries."""

from typing import Final

from reefmesh.observability.table.bounds import LATENCY_BUCKETS
from reefmesh.observability.table.labels import CHANNEL
from reefmesh.observability.table.rows import Counter, Gauge, Histogram, Label

DELIVERIES: Final = Counter(
    name="reefmesh_deliveries_total",
    unit="messages",
    labels=(CHANNEL, Label("outcome", values=("delivered", "retrying", "failed", "expired", "suppressed", "muted"))),
    help="Alerts given to a target, by outcome; failed was given up, expired could not be sent in time, muted is held back.",
)
DELIVERIES_OVERDUE: Final = Gauge(
    name="reefmesh_deliveries_overdue",
    unit="messages",
    labels=(CHANNEL,),
    help="Alerts that are due for over 120 s at a target and neither delivered nor given up.",
)
TARGET_FAILING_SECONDS: Final = Gauge(
    name="reefmesh_target_failing_seconds",
    unit="seconds",
    labels=(CHANNEL,),
    help="How long a target that fails three attempts in a row or more has taken nothing that was due; 0 for one that works.",
)
ALERT_LATENCY_SECONDS: Final = Histogram(
    name="reefmesh_alert_latency_seconds",
    unit="seconds",
    labels=(CHANNEL,),
    buckets=LATENCY_BUCKETS,
    help="From an alert being due (raised, or the end of quiet hours, or its digest's hour) to its delivery.",
)
