"""The copy of a message that lies in the parking: the original's facts, and why it was parked.

The broker must take the copy, whatever the original holds: all headers have to fit into one frame of AMQP. So each of them is
cut, and so is their sum.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from reefmesh.broker.parking_quota import BODY_BYTES, DEVICE, SAMPLE_BYTES, ParkedPart
from reefmesh.broker.rabbitmq.message_headers import PLAIN, Headers, is_fact, text_of
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage

PARKING_ID: Final = "parking_id"
REASON, DETAIL, ATTEMPTS, PARKED_AT = "parked-reason", "parked-detail", "parked-attempts", "parked-at"
SENDER: Final = "parked-sender"
"""Who sent the parked message, as the broker stated it; a replay takes it along."""
FOR: Final = " for "
BODY_SHA256: Final = "parked-body-sha256"
"""The hash of a body of which only the beginning was parked."""
DEAD_LETTERED_FOR: Final = "x-first-death-reason"
"""The broker's own header of a message that it moved here itself: it was delivered too often."""
VALUE_BYTES_LIMIT: Final = 10_000
DETAIL_CHARACTERS_LIMIT: Final = 2_000
SENDER_CHARACTERS_LIMIT: Final = 200
DEVICE_CHARACTERS_LIMIT: Final = 128
LENGTH_DIGITS_LIMIT: Final = 18
FACTS_LIMIT: Final = 200
FACTS_BYTES_LIMIT: Final = 64 * 1024
"""Of all facts together. A frame has 128 KiB; an envelope that this mesh publishes has an eighth of it at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedCopy:
    """``headers``: of the message that is parked. ``user_id``: who sent it, by the broker's word. ``own_exchange``: of the
    subscription."""

    own_exchange: str
    headers: Headers
    user_id: str | None
    body: bytes
    reason: str
    detail: str
    attempts: int
    parked_at: datetime

    def part_of(self, message: OutboundMessage) -> ParkedPart:
        """Return what the quota counts of a copy that is sent in this form or a smaller one."""
        return ParkedPart(
            user_id=self.user_id,
            device=_device(self.headers),
            reason=self.reason,
            stored_bytes=_stored_bytes(message.headers, len(message.body)),
        )

    def whole(self, destination: str) -> OutboundMessage:
        return OutboundMessage.to_queue(self.own_exchange, destination, self._headers(), self.body)

    def small(self, destination: str) -> OutboundMessage:
        """Return a copy with the beginning of the body, its length and its hash."""
        if len(self.body) <= SAMPLE_BYTES:
            return self.whole(destination)
        cut = {BODY_BYTES: str(len(self.body)), BODY_SHA256: hashlib.sha256(self.body).hexdigest()}
        return OutboundMessage.to_queue(self.own_exchange, destination, self._headers() | cut, self.body[:SAMPLE_BYTES])

    def _headers(self) -> dict[str, str]:
        return {
            **_kept_facts(self.headers),
            PARKING_ID: uuid4().hex,
            REASON: cut(self.reason),
            DETAIL: cut(self.detail[:DETAIL_CHARACTERS_LIMIT]),
            ATTEMPTS: str(self.attempts),
            PARKED_AT: self.parked_at.isoformat(),
            **_sender(self.user_id, self.headers),
        }


def parked_part(headers: Headers, user_id: str | None, body: bytes) -> ParkedPart:
    """Return what the quota counts of a copy that lies in the parking. ``user_id``: who sent the copy; only of what the broker
    moved there by itself it is the sender of the message."""
    sender = text_of(headers, SENDER)
    return ParkedPart(
        user_id=user_id if is_dead_letter(headers) else (sender or "").partition(FOR)[0] or None,
        device=_device(headers),
        reason=reason_of(headers),
        stored_bytes=_stored_bytes(headers, len(body)),
    )


def is_dead_letter(headers: Headers) -> bool:
    """Whether the broker moved this message to the parking by itself."""
    return PARKING_ID not in headers and DEAD_LETTERED_FOR in headers


def reason_of(headers: Headers) -> str:
    if is_dead_letter(headers):
        return text_of(headers, DEAD_LETTERED_FOR) or ""
    return text_of(headers, REASON) or ""


def cut(value: str) -> str:
    """Return as much of a text as a header of a copy has."""
    raw = value.encode(errors="replace")
    return value if len(raw) <= VALUE_BYTES_LIMIT else raw[:VALUE_BYTES_LIMIT].decode(errors="ignore")


def _stored_bytes(headers: Mapping[str, Any], body_bytes: int) -> int:
    return body_bytes + sum(len(name) + (len(value) if isinstance(value, str) else 8) for name, value in headers.items())


def _device(headers: Headers) -> str | None:
    device = text_of(headers, DEVICE)
    return None if device is None else device[:DEVICE_CHARACTERS_LIMIT]


def _sender(user_id: str | None, headers: Headers) -> dict[str, str]:
    """Return who sent a message that is to be parked. Of a replay that is two names; only the first is the broker's word."""
    before = text_of(headers, SENDER)
    if user_id is None:
        return {}
    text = user_id if before is None else f"{user_id}{FOR}{before.rpartition(FOR)[2]}"
    return {SENDER: cut(text[:SENDER_CHARACTERS_LIMIT])}


def _kept_facts(headers: Headers) -> dict[str, str]:
    """Return the facts, those of the envelope first; what is too much is left out."""
    names = sorted((name for name in headers if is_fact(name)), key=lambda name: name not in PLAIN)
    kept: dict[str, str] = {}
    left_bytes = FACTS_BYTES_LIMIT
    for name in names[:FACTS_LIMIT]:
        if (value := text_of(headers, name)) is None:
            continue
        value = cut(value)
        left_bytes -= len(name.encode()) + len(value.encode(errors="replace"))
        if left_bytes >= 0:
            kept[name] = value
    return kept
