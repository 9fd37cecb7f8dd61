"""Names of devices (MQTT) at the broker, and what a message of theirs says to the mesh.

The broker's MQTT plugin publishes what devices send to one topic exchange, the levels of a topic with dots between them. The
definitions of ``deploy/rabbitmq`` bind one queue to it, and let each device write to topics of its own name alone. That is why
the topic says who sent a message: the plugin itself states no user.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from reefmesh.broker.rabbitmq.inbound_message import BROKER_INSTANT, MILLISECONDS_LIMIT
from reefmesh.broker.rabbitmq.topology import CONSUMER_TIMEOUT_MILLISECONDS, PARKED_DELIVERIES_LIMIT

DEVICES_EXCHANGE: Final = "reef.devices"
DEVICE_QUEUE: Final = "reef.telemetry.mqtt"
DEVICE_QUEUE_ARGUMENTS: Final[dict[str, str | int | bool]] = {
    "x-queue-type": "quorum",
    "x-single-active-consumer": True,
    "x-overflow": "reject-publish",
    "x-delivery-limit": PARKED_DELIVERIES_LIMIT,
    "x-consumer-timeout": CONSUMER_TIMEOUT_MILLISECONDS,
}
FROM_DEVICES: Final = "buoys.*.d2c.#"
"""The binding key of that queue."""
RELAYED: Final = ("x-death", "CC", "BCC")
"""Headers by which a client of AMQP (no device can set one) has a message published where its user may not write. The broker
takes ``BCC`` away, but leaves the message the routing key that its user may write to."""


def routing_key_of(topic: str) -> str:
    """Return the routing key that the plugin gives this topic."""
    return topic.replace("/", ".")


def topic_of(routing_key: str) -> str:
    """Return the topic with this routing key. A dot in a topic's level cannot be told from the end of the level, so no device
    is called with a dot here."""
    return routing_key.replace(".", "/")


def sender_of(routing_key: str, headers: Mapping[str, Any], user_id: str | None) -> str | None:
    """Return the user that sent it: whom the broker states, else the device that alone may write to this topic. None: a
    message that somebody had relayed."""
    if user_id:
        return user_id
    if any(header in headers for header in RELAYED):
        return None
    levels = routing_key.split(".")
    return levels[1] if len(levels) > 1 and levels[0] == "buoys" else None


def instant_of(headers: Mapping[str, Any]) -> datetime | None:
    """Return when the broker took it; None where its configuration does not make it say so (before 3.12 none can)."""
    stamp = headers.get(BROKER_INSTANT)
    if not isinstance(stamp, int) or not 0 <= stamp < MILLISECONDS_LIMIT:
        return None
    return datetime.fromtimestamp(stamp / 1000, UTC)


def fingerprint_of(routing_key: str, body: bytes) -> bytes:
    """Return what is the same for the same bytes of the same device."""
    return hashlib.sha256(routing_key.encode() + b"\0" + body).digest()
