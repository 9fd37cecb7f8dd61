"""The one table of metric names: what reefmesh counts, in which unit, under which labels.

Dashboards, alert rules and code name metrics by these rows alone. Every row carries the label ``service`` besides its own.
"""

from dataclasses import dataclass
from typing import Final, Literal

Unit = Literal[
    "messages",
    "readings",
    "seconds",
    "lanes",
    "units",
    "reefs",
    "events",
    "boolean",
    "ratio",
    "bytes",
    "info",
    "level",
    "celsius_weeks",
    "days",
    "code",
]

OTHER: Final = "other"
"""The value that stands for every label value beyond a label's limit."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its bound: a closed set of ``values``, or the first ``limit`` values seen; the rest become ``OTHER``."""

    name: str
    values: tuple[str, ...] = ()
    limit: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Only rises; ``name`` ends in ``_total``."""

    name: str
    unit: Unit
    help: str
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A value now. Values folded into ``OTHER`` overwrite one another: there it is only a sample of them."""

    name: str
    unit: Unit
    help: str
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """A distribution; ``buckets`` are inclusive upper bounds in the row's unit, ascending, without infinity."""

    name: str
    unit: Unit
    help: str
    buckets: tuple[float, ...]
    labels: tuple[Label, ...] = ()


Row = Counter | Gauge | Histogram

HANDLING_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LATENCY_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 1800.0, 21600.0, 86400.0)
"""With a bound at each objective."""
WAITING_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 21600.0)

SUBSCRIPTION: Final = Label("subscription", limit=16)
CHANNEL: Final = Label("channel", limit=16)
REASON: Final = Label("reason", limit=64)
REEF: Final = Label("reef", limit=1000)  # an operator sets another: REEFMESH_METRICS_REEFS_LIMIT

SCORED_WITHIN_SECONDS: Final = 60.0
"""The objective of scoring: 99.9 % of readings are scored so soon after the broker received their telemetry."""
BACKLOG_AFTER_SECONDS: Final = 86_400.0
"""Telemetry that was received longer ago is no news: a replay from quarantine, a simulated past. It is counted apart."""
DELIVERED_WITHIN_SECONDS: Final = 120.0
"""The objective of alerts: 99.9 % of alerts are with their target so soon after they are due."""

HANDLED_OUTCOMES: Final = ("handled", "duplicate", "parked", "released")

# What every worker counts.
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

# What the broker's client and the outbox tell.
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
    help="Age of the oldest message that is not acknowledged: of all where the engine can tell, else of those in hand.",
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

# What the store tells.
STORE_COMMITS: Final = Counter(
    name="reefmesh_store_commits_total", unit="events", help="Database transactions that were committed."
)
STORE_COMMIT_SECONDS: Final = Counter(
    name="reefmesh_store_commit_seconds_total",
    unit="seconds",
    help="Time that committed transactions took; divided by their number, what one takes.",
)
STORE_UNITS: Final = Counter(
    name="reefmesh_store_units_total",
    unit="units",
    help="Units of work committed; divided by the transactions, how many share one.",
)
STORE_FAILURES: Final = Counter(
    name="reefmesh_store_failures_total", unit="events", help="Transactions that failed; their units are tried again."
)
STORE_UNITS_WAITING: Final = Gauge(
    name="reefmesh_store_units_waiting", unit="units", help="Units of work that wait for a transaction."
)

# What the services count.
READINGS: Final = Counter(
    name="reefmesh_readings_total",
    unit="readings",
    labels=(Label("outcome", values=("accepted", "duplicate", "quarantined")),),
    help="Readings received, by what became of them; the three add up to all.",
)
QUARANTINED: Final = Counter(
    name="reefmesh_quarantined_total",
    unit="events",
    labels=(REASON,),
    help="Quarantine entries: messages, readings or single values that could not be understood.",
)
QUARANTINE_FOLDED: Final = Counter(
    name="reefmesh_quarantine_folded_total",
    unit="events",
    labels=(REASON,),
    help="Of the quarantine entries those that were only counted, because the quota of their device or of all was used up.",
)
QUARANTINE_REMOVED: Final = Counter(
    name="reefmesh_quarantine_removed_total",
    unit="messages",
    help="Messages whose quarantine entries were removed for their age, or were replayed and made room.",
)
QUARANTINE_ENTRIES: Final = Gauge(
    name="reefmesh_quarantine_entries", unit="events", help="Entries that quarantine holds, replayed ones included."
)
QUARANTINE_ENTRIES_LIMIT: Final = Gauge(
    name="reefmesh_quarantine_entries_limit", unit="events", help="Entries that quarantine may hold."
)
QUARANTINE_BYTES: Final = Gauge(
    name="reefmesh_quarantine_bytes", unit="bytes", help="Bytes of the payloads, headers and examples that quarantine holds."
)
QUARANTINE_BYTES_LIMIT: Final = Gauge(
    name="reefmesh_quarantine_bytes_limit", unit="bytes", help="Bytes that quarantine may hold."
)
READING_LAG_SECONDS: Final = Gauge(
    name="reefmesh_reading_lag_seconds",
    unit="seconds",
    labels=(REEF,),
    help="From the observation to the handling of a reef's newest reading, when it was handled.",
)
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
REEF_HEAT_STRESS_LEVEL: Final = Gauge(
    name="reefmesh_reef_heat_stress_level",
    unit="level",
    labels=(REEF,),
    help="Highest bleaching alert level of a reef's latest 7 days, 0 (no stress) to 7 (alert level 5); -1 when unknown, also "
    "when none of the last 7 days is on record.",
)
REEF_DEGREE_HEATING: Final = Gauge(
    name="reefmesh_reef_degree_heating",  # its unit is told below: promtool knows no weeks
    unit="celsius_weeks",
    labels=(REEF,),
    help="Degree heating weeks of a reef's latest day; NaN when unknown or older than 7 days. Its status says how reliable.",
)
REEF_HEAT_STATUS: Final = Gauge(
    name="reefmesh_reef_heat_status",
    unit="code",
    labels=(REEF,),
    help="How reliable a reef's degree heating weeks are: 0 unknown, 1 warming_up, 2 insufficient, 3 daytime_only, "
    "4 suspect_share, 5 lower_bound, 6 ok.",
)
REEF_COVERAGE_DAYS: Final = Gauge(
    name="reefmesh_reef_heat_coverage",  # likewise, no days
    unit="days",
    labels=(REEF,),
    help="Days with readings at night among the latest 84 on record, which degree heating weeks are summed over.",
)
REEF_DIVE_VERDICT: Final = Gauge(
    name="reefmesh_reef_dive_verdict",
    unit="code",
    labels=(REEF,),
    help="Dive verdict when it was made: 0 unknown, 1 good, 2 fair, 3 poor, 4 experienced only, 5 no go.",
)
REEF_SCORE_AS_OF_SECONDS: Final = Gauge(
    name="reefmesh_reef_score_as_of_timestamp_seconds",
    unit="seconds",
    labels=(REEF,),
    help="Observation time of the newest reading in a reef's score, Unix time; of two processes the later one has the reef.",
)
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

# What the process tells of itself.
BUILD_INFO: Final = Gauge(
    name="reefmesh_build_info",
    unit="info",
    labels=(Label("version", limit=1), Label("python", limit=1)),
    help="1, with the versions that run.",
)
PAGE_CONNECTIONS_CLOSED: Final = Counter(
    name="reefmesh_page_connections_closed_total",
    unit="events",
    labels=(Label("reason", values=("request_timeout", "answer_timeout", "peer_limit", "limit", "other_user")),),
    help="Connections to the pages that this process closed: no request in time, answer not read in time, over the limit of "
    "a peer or of all, another user on the listener of the health check.",
)
LABEL_VALUES_FOLDED: Final = Counter(
    name="reefmesh_label_values_folded_total",
    unit="events",
    labels=(Label("metric", limit=128),),
    help="Uses of a label value beyond its limit, shown as 'other'.",
)

ROWS: Final[tuple[Row, ...]] = tuple(value for value in list(vars().values()) if isinstance(value, Counter | Gauge | Histogram))
