"""What the gateway tells: the door for devices."""

from typing import Final

from reefmesh.observability.table.rows import Counter, Gauge, Histogram, Label

GATEWAY_REQUESTS: Final = Counter(
    name="reefmesh_gateway_requests_total",
    unit="events",
    labels=(
        Label(
            "status",
            values=("200", "202", "400", "401", "403", "404", "405", "409", "413", "415", "422", "429", "500", "503"),
        ),
    ),
    help="Requests at the HTTP door, by the status of their answer.",
)
GATEWAY_REPORTS: Final = Counter(
    name="reefmesh_gateway_reports_total",
    unit="messages",
    labels=(Label("outcome", values=("accepted", "spoofed", "refused", "unknown", "revoked", "held")),),
    help="Reports of devices at both doors: accepted and confirmed by the broker; sent to quarantine because they name another "
    "device (spoofed), or over MQTT because nobody enrolled their device (unknown) or no certificate of it is valid (revoked); "
    "refused, over HTTP because they are of no format, over MQTT because their device sent far too much; held back over MQTT "
    "until the device's limit allows, and then counted as accepted too.",
)
GATEWAY_LIMITED: Final = Counter(
    name="reefmesh_gateway_limited_total",
    unit="events",
    labels=(Label("limit", values=("address", "device_requests", "device_bytes", "in_hand")),),
    help="Requests that were told to come again later, and reports over MQTT that were held back or refused, by the limit that "
    "they met.",
)
GATEWAY_CONNECTIONS_CLOSED: Final = Counter(
    name="reefmesh_gateway_connections_closed_total",
    unit="events",
    labels=(Label("reason", values=("request_timeout", "answer_timeout", "peer_limit", "limit")),),
    help="Connections to the HTTP door that the gateway closed: no request in time, body or answer not in time, over the limit "
    "of a peer or of all.",
)
GATEWAY_CONFIRM_SECONDS: Final = Histogram(
    name="reefmesh_gateway_confirm_seconds",
    unit="seconds",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    help="From the publication of a request's reports to the broker's confirmation; over MQTT of a batch, retries included.",
)
GATEWAY_DEVICES: Final = Gauge(
    name="reefmesh_gateway_devices",
    unit="units",
    help="Devices with a token or a certificate that was not revoked, as this process knows them.",
)
GATEWAY_IDENTITIES_AGE_SECONDS: Final = Gauge(
    name="reefmesh_gateway_identities_age_seconds",
    unit="seconds",
    help="Since this process read the identities from its database; above 8 s it lets nobody in until it can.",
)
GATEWAY_MQTT_ACTIVE: Final = Gauge(
    name="reefmesh_gateway_mqtt_active",
    unit="boolean",
    help="1 in the one process that is the client of the MQTT broker, 0 in those that stand by.",
)
GATEWAY_MQTT_CONNECTED: Final = Gauge(
    name="reefmesh_gateway_mqtt_connected",
    unit="boolean",
    help="1 while this process is connected to the MQTT broker and subscribed.",
)
GATEWAY_HELD_REPORTS: Final = Gauge(
    name="reefmesh_gateway_held_reports",
    unit="messages",
    help="Reports over MQTT that the active process holds back, because their devices send too often.",
)
