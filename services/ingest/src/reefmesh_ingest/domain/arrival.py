"""Arrival, the first step: the headers of a message are read, before its body is opened."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reefmesh.contracts.envelope import Envelope
from reefmesh_ingest.domain.decode.values import clean_text, us_of

REPLAY_OF: Final = "replay-of"
RECEIVED_AT: Final = "received-at"
DEVICE: Final = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """A message as it came. ``origin`` is its own event id, or that of the message which it replays.

    ``transport_device`` is the device that the transport authenticated, None where it knew none.
    """

    message: Envelope
    origin: str
    replay_of: str | None
    received_us: int
    transport_device: str | None


def reception_of(message: Envelope) -> Reception:
    """Read the headers; a header that is missing or unreadable never refuses the message."""
    headers = message.headers
    replay_of = headers.get(REPLAY_OF)
    schema_id = clean_text(message.schema_id, 64)
    if schema_id != message.schema_id:
        message = message.model_copy(update={"schema_id": schema_id})  # a database takes this; no decoder knows either text
    if replay_of is not None:
        replay_of = clean_text(replay_of, 128)
    return Reception(
        message=message,
        origin=replay_of or message.event_id,
        replay_of=replay_of,
        received_us=_received_us(headers.get(RECEIVED_AT), message),
        transport_device=headers.get(DEVICE) or None,
    )


def _received_us(stamp: str | None, message: Envelope) -> int:
    """When the broker received it; the envelope's own time replaces a stamp that is missing or unreadable."""
    if stamp is not None:
        try:
            instant = datetime.fromisoformat(stamp)
        except ValueError:
            instant = None
        if instant is not None and instant.tzinfo is not None and (at := us_of(instant)) >= 0:
            return at
    return max(0, us_of(message.produced_at))
