"""What the broker's client and the outbox tell."""

from typing import Final

from reefmesh.observability.table.bounds import HANDLING_BUCKETS
from reefmesh.observability.table.labels import CHANNEL, SUBSCRIPTION
from reefmesh.observability.table.rows import Counter, Gauge, Histogram, Label

PUBLISHED: Final = Counter(
    name="reefmesh_published_total",
    unit="messages",
    labels=(CHANNEL,),
    help="Messages whose durable write the broker confirmed.",
)
PUBLISH_SECONDS: Final = Histogram(
    name="reefmesh_publish_seconds",
    unit="seconds",
    labels=(SUBSCRIPTION,),
    buckets=HANDLING_BUCKETS,
    help="From handing a message's outputs and its acknowledgement to the broker until it confirmed them.",
)
RECONNECTS: Final = Counter(
    name="reefmesh_reconnects_total", unit="events", help="Connections to the broker made again after a loss."
)
BROKER_EVENTS: Final = Counter(
    name="reefmesh_broker_events_total",
    unit="events",
    labels=(
        Label(
            "event",
            values=(
                "connected",
                "lost",
                "consumers_changed",
                "groups_released",
                "reef_isolated",
                "unreadable_parked",
                "parking_folded",
                "advisory_ignored",
            ),
        ),
    ),
    help="What happened between this process and its broker. groups_released: this process gave reefs back because another "
    "one joined; reef_isolated: a stuck or hot reef got a dedicated subscription; unreadable_parked: a message that cannot be "
    "read was parked; parking_folded: a message set aside was only counted; advisory_ignored: consumers were announced that "
    "cannot be.",
)
BROKER_CONNECTED: Final = Gauge(
    name="reefmesh_broker_connected", unit="boolean", help="1 while connected to the broker, else 0."
)
BROKER_LAST_HEARD_SECONDS: Final = Gauge(
    name="reefmesh_broker_last_heard_seconds", unit="seconds", help="Time since the broker was last heard of."
)
MESSAGES_WAITING: Final = Gauge(
    name="reefmesh_messages_waiting",
    unit="messages",
    labels=(SUBSCRIPTION,),
    help="Messages of a subscription that no lane has taken, where the engine can tell.",
)
OLDEST_MESSAGE_AGE_SECONDS: Final = Gauge(
    name="reefmesh_oldest_message_age_seconds",
    unit="seconds",
    labels=(SUBSCRIPTION,),
    help="Age of the oldest message that is not acknowledged: of all where the engine can tell, else of those that are here.",
)
OUTPUTS_OVERDUE: Final = Gauge(
    name="reefmesh_outputs_overdue",
    unit="messages",
    help="Outputs that were committed and are not known to be out for over 30 s, at the latest look; 500: or more.",
)
OUTPUTS_RESENT: Final = Counter(
    name="reefmesh_outputs_resent_total",
    unit="messages",
    help="Outputs sent from the outbox: overdue ones, and those of a reef that was taken over, before later ones.",
)
