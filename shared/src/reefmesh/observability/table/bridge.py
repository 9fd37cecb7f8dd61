"""What the bridge from MQTT tells."""

from typing import Final

from reefmesh.observability.table.labels import REASON
from reefmesh.observability.table.rows import Counter, Gauge, Label

BRIDGED: Final = Counter(
    name="reefmesh_bridged_total",
    unit="messages",
    labels=(Label("device", values=("registered", "unregistered", "nameless")),),
    help="Messages that devices sent over MQTT, moved to reef.telemetry, by what is known of the device.",
)
BRIDGE_FAILURES: Final = Counter(
    name="reefmesh_bridge_failures_total",
    unit="events",
    labels=(REASON,),
    help="Attempts to move messages of devices that failed and are repeated, by the failure's kind.",
)
BRIDGE_ACTIVE: Final = Gauge(
    name="reefmesh_bridge_active",
    unit="boolean",
    help="1 when the broker gives the messages of devices to this process, 0 while it stands by or is away.",
)
