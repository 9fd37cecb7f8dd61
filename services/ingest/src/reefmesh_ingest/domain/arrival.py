"""Arrival, the first step: the headers of a message are read, before its body is opened."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import REPLAY_OF
from reefmesh_ingest.domain.decode.values import clean_text, instant_us_of, us_of
from reefmesh_ingest.domain.instants import AHEAD_MICROSECONDS_LIMIT, EARLIEST_US

RECEIVED_AT: Final = "received-at"
DEVICE: Final = "device"
SENT_BY: Final = "sent-by"
"""Header that the bridge sets: the broker user that sent a device's message, unless it may send as any device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """A message as it came. ``origin`` is its own event id, or that of the message which it replays. ``latest_us`` is the last
    instant that can be a time in it.

    ``transport_device`` is the device that the transport named, None where it named none. ``sent_by`` is the user that sent the
    message, if it may send as its own device alone.
    """

    message: Envelope
    origin: str
    replay_of: str | None
    received_us: int
    latest_us: int
    transport_device: str | None
    sent_by: str | None = None


def reception_of(message: Envelope, *, now: datetime) -> Reception:
    """Read the headers; a header that is missing or unreadable never refuses the message."""
    now_us = us_of(now)
    latest_us = now_us + AHEAD_MICROSECONDS_LIMIT
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
        received_us=_received_us(headers.get(RECEIVED_AT), message, now_us=now_us, latest_us=latest_us),
        latest_us=latest_us,
        transport_device=headers.get(DEVICE) or None,
        sent_by=headers.get(SENT_BY),
    )


def _received_us(stamp: str | None, message: Envelope, *, now_us: int, latest_us: int) -> int:
    """When the broker received it. The envelope's own time replaces a stamp that is missing, unreadable or impossible, and now
    replaces both."""
    if stamp is not None and (at_us := instant_us_of(stamp)) is not None and EARLIEST_US <= at_us <= latest_us:
        return at_us
    produced_us = us_of(message.produced_at)
    return produced_us if EARLIEST_US <= produced_us <= latest_us else now_us
