"""A device's MQTT message as telemetry of the mesh: its device, its reef, its time of reception."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from reefmesh.contracts.channels import UNREGISTERED
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, Envelope, event_id_of
from reefmesh.contracts.schema import NEMOPI_MQTT_1, TELEMETRY_1
from reefmesh_ingest.domain.arrival import SENT_BY

DEVICE_CHARACTERS_LIMIT: Final = 128
"""Twice as long as any registered name: what is cut here is no registered device."""
TOPIC_CHARACTERS_LIMIT: Final = 256
USER_CHARACTERS_LIMIT: Final = 128
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD_LIMIT: Final = timedelta(minutes=10)
STEP: Final = "mqtt"

_TELEMETRY_1: Final = re.compile(r"buoys/[^/]+/d2c/telemetry-1")
_FROM_DEVICE: Final = re.compile(r"buoys/([^/]+)/d2c(?:/|\Z)")


def device_of(topic: str | None) -> str | None:
    """Return the device (a Nemo-Pi: its IMEI) that sent to ``buoys/<device>/d2c/...``; None for any other topic."""
    named = _FROM_DEVICE.match(topic) if topic else None
    return named[1][:DEVICE_CHARACTERS_LIMIT] if named else None


def schema_of(topic: str | None) -> str:
    """Return the format that the topic states: ``buoys/<device>/d2c/telemetry-1`` is ours, any other is a Nemo-Pi's."""
    return TELEMETRY_1 if topic is not None and _TELEMETRY_1.fullmatch(topic) else NEMOPI_MQTT_1


def received_at(stamp: datetime | None, now: datetime) -> datetime:
    """Return when the broker received it, by its own clock where that can be right, else ``now``. It may have waited long."""
    if stamp is None or not EARLIEST <= stamp <= now + AHEAD_LIMIT:
        return now
    return stamp


def telemetry_of(
    *,
    message_id: str,
    topic: str | None,
    body: bytes,
    stamp: datetime | None,
    reef_id: str | None,
    now: datetime,
    sent_by: str | None = None,
) -> Envelope:
    """Return the message for ``reef.telemetry``; any body can be published, because ingest checks it later.

    A repeat of the same ``message_id`` has the same event id. ``reef_id`` None: the register does not know the device.
    ``sent_by``: the user that sent it, if it may send as its own device alone.

    A body above what the mesh carries is cut to the limit: ingest takes far less, and the header ``body-bytes``
    states its length.
    """
    at = received_at(stamp, now)
    headers = {"received-at": at.isoformat()}
    device = device_of(topic)
    if sent_by is not None:
        headers[SENT_BY] = sent_by[:USER_CHARACTERS_LIMIT]
    if device is not None:
        headers["device"] = device
    elif topic is not None:
        headers["topic"] = topic[:TOPIC_CHARACTERS_LIMIT]
    if len(body) > BODY_BYTES_LIMIT:
        headers["body-bytes"] = str(len(body))
        body = body[:BODY_BYTES_LIMIT]
    return Envelope(
        event_id=event_id_of(message_id, STEP),
        reef_id=reef_id or UNREGISTERED,
        schema_id=schema_of(topic),
        produced_at=at,
        body=body,
        headers=headers,
    )
