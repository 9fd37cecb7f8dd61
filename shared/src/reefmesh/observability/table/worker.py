"""What every worker counts."""

from typing import Final

from reefmesh.observability.table.bounds import HANDLING_BUCKETS, WAITING_BUCKETS
from reefmesh.observability.table.labels import HANDLED_OUTCOMES, REASON, REEF, SUBSCRIPTION
from reefmesh.observability.table.rows import Counter, Gauge, Histogram, Label

MESSAGES_RECEIVED: Final = Counter(
    name="reefmesh_messages_received_total",
    unit="messages",
    labels=(SUBSCRIPTION,),
    help="Deliveries taken from a subscription, redeliveries included.",
)
MESSAGES_HANDLED: Final = Counter(
    name="reefmesh_messages_handled_total",
    unit="messages",
    labels=(SUBSCRIPTION, Label("outcome", values=HANDLED_OUTCOMES)),
    help="Deliveries given back to the broker, by what became of them: handled, duplicate, parked or released.",
)
HANDLING_SECONDS: Final = Histogram(
    name="reefmesh_handling_seconds",
    unit="seconds",
    labels=(SUBSCRIPTION,),
    buckets=HANDLING_BUCKETS,
    help="From a delivery's receipt to its acknowledgement, commit and outputs included.",
)
WAITING_SECONDS: Final = Histogram(
    name="reefmesh_waiting_seconds",
    unit="seconds",
    labels=(SUBSCRIPTION,),
    buckets=WAITING_BUCKETS,
    help="From a message's production to its receipt by a lane.",
)
LANES: Final = Gauge(
    name="reefmesh_lanes", unit="lanes", labels=(SUBSCRIPTION,), help="Lanes that this process runs on a subscription."
)
LANES_BUSY: Final = Gauge(
    name="reefmesh_lanes_busy", unit="lanes", labels=(SUBSCRIPTION,), help="Lanes with a message in their hands."
)
LANES_STUCK: Final = Gauge(
    name="reefmesh_lanes_stuck",
    unit="lanes",
    labels=(SUBSCRIPTION,),
    help="Lanes whose message has not moved for longer than the stall limit.",
)
RETRIES: Final = Counter(
    name="reefmesh_retries_total",
    unit="events",
    labels=(SUBSCRIPTION, REASON),
    help="Attempts at a message that failed for now and are repeated in its lane, by the failure's kind.",
)
DUPLICATES: Final = Counter(
    name="reefmesh_duplicates_total",
    unit="messages",
    labels=(SUBSCRIPTION,),
    help="Messages skipped because their effect was there already.",
)
REDELIVERIES_HEALED: Final = Counter(
    name="reefmesh_redeliveries_healed_total",
    unit="messages",
    labels=(SUBSCRIPTION,),
    help="Redeliveries whose state was there and whose unsent outputs were sent from the outbox.",
)
SEQUENCE_GAPS: Final = Counter(
    name="reefmesh_sequence_gaps_total",
    unit="messages",
    labels=(SUBSCRIPTION,),
    help="Messages of a reef that had not come when a later one, which had waited for them, was applied.",
)
GAPS_ACCEPTED: Final = Counter(
    name="reefmesh_gaps_accepted_total",
    unit="messages",
    labels=(SUBSCRIPTION, Label("reason", ("waited", "rests", "crowded", "purged"))),
    help=(
        "Messages applied although earlier ones of their reef had not come, by why: they had waited in vain, their reef had of "
        "late (it rests), too many reefs waited (crowded), or too many had of late and in vain (purged: messages were deleted)."
    ),
)
NUMBER_CONFLICTS: Final = Counter(
    name="reefmesh_number_conflicts_total",
    unit="messages",
    labels=(SUBSCRIPTION,),
    help="Messages whose number was applied for another event, and which were parked: the publisher gives numbers twice.",
)
NUMBERS_UNVERIFIED: Final = Counter(
    name="reefmesh_numbers_unverified_total",
    unit="messages",
    labels=(SUBSCRIPTION,),
    help="Messages skipped as duplicates by a number so old that its event is not remembered any more.",
)
ORDER_VIOLATIONS: Final = Counter(
    name="reefmesh_order_violations_total",
    unit="messages",
    labels=(SUBSCRIPTION,),
    help="Messages of a reef that came after a later one of it and were not replayed: the objective is none.",
)
PARKED: Final = Counter(
    name="reefmesh_parked_total",
    unit="messages",
    labels=(SUBSCRIPTION, REASON),
    help="Messages set aside with their reason.",
)
PARKED_FOLDED: Final = Counter(
    name="reefmesh_parked_folded_total",
    unit="messages",
    labels=(SUBSCRIPTION, REASON),
    help="Of the messages set aside those that were only counted, as the quota of their sender or of the parking was used up.",
)
PARKED_REMOVED: Final = Counter(
    name="reefmesh_parked_removed_total",
    unit="messages",
    labels=(SUBSCRIPTION, REASON),
    help="Messages that were set aside and then deleted for their age, by the reason for which they were set aside.",
)
PARKING_MESSAGES: Final = Gauge(
    name="reefmesh_parking_messages",
    unit="messages",
    labels=(SUBSCRIPTION,),
    help="Messages in a subscription's parking that its quota binds.",
)
PARKING_MESSAGES_LIMIT: Final = Gauge(
    name="reefmesh_parking_messages_limit",
    unit="messages",
    labels=(SUBSCRIPTION,),
    help="How many of them may lie there; one user may take a half, one claimed device of a user a tenth.",
)
PARKING_BYTES: Final = Gauge(
    name="reefmesh_parking_bytes", unit="bytes", labels=(SUBSCRIPTION,), help="Bytes of these messages, headers included."
)
PARKING_BYTES_LIMIT: Final = Gauge(
    name="reefmesh_parking_bytes_limit", unit="bytes", labels=(SUBSCRIPTION,), help="Bytes that they may have."
)
POISON: Final = Counter(
    name="reefmesh_poison_total",
    unit="messages",
    labels=(SUBSCRIPTION, Label("sender"), REEF),
    help="Messages that can never be handled, by the device that they name (none where nobody is named) and by reef.",
)
POISON_BREAKER_OPEN: Final = Gauge(
    name="reefmesh_poison_breaker_open",
    unit="boolean",
    labels=(SUBSCRIPTION,),
    help="1 when too much was poison and the consumer has stopped, else 0.",
)
FENCE_REFUSALS: Final = Counter(
    name="reefmesh_fence_refusals_total",
    unit="events",
    labels=(SUBSCRIPTION,),
    help="Units of work refused because another process had written the reef.",
)
REEFS_CACHED: Final = Gauge(
    name="reefmesh_reefs_cached", unit="reefs", labels=(SUBSCRIPTION,), help="Reefs whose state this process holds in memory."
)
