"""A message of a device as an MQTT broker hands it over: the broker has authorised its topic, and so its sender.

The rules of topics are those of ingest's bridge, which reads the same devices from a broker of the mesh (docs/mqtt.md).
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reefmesh.contracts.schema import NEMOPI_MQTT_1, TELEMETRY_1

FROM_DEVICES: Final = "buoys/+/d2c/#"
"""The filter of all that devices send."""
NAME_CHARACTERS_LIMIT: Final = 128

_FROM_DEVICE: Final = re.compile(r"buoys/([^/]+)/d2c/(.+)")
_OF_TELEMETRY_1: Final = "telemetry-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttMessage:
    """``packet_id`` None: QoS 0, of which nothing is promised or acknowledged. ``is_repeat``: the broker says that it may have
    delivered it before. ``connection``: which connection of the session brought it, counted from 1. ``received_at``: when it
    came here, no two at one instant; MQTT does not say when it came to the broker."""

    topic: str
    payload: bytes
    packet_id: int | None
    is_repeat: bool
    connection: int
    received_at: datetime

    @property
    def sender(self) -> str | None:
        """The device under whose name the broker let it publish; None: a topic that is no device's."""
        named = _FROM_DEVICE.fullmatch(self.topic)
        return named[1] if named and len(named[1]) <= NAME_CHARACTERS_LIMIT else None

    @property
    def content_sha256(self) -> str:
        return hashlib.sha256(self.topic.encode() + b"\0" + self.payload).hexdigest()


def schema_of(topic: str) -> str:
    """Return the format that the topic states: ``.../d2c/telemetry-1`` is ours, any other is a Nemo-Pi's."""
    named = _FROM_DEVICE.fullmatch(topic)
    return TELEMETRY_1 if named and named[2] == _OF_TELEMETRY_1 else NEMOPI_MQTT_1
