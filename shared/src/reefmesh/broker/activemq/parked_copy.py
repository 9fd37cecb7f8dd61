"""The copy of a message that lies in the parking: the original's facts, and why it was parked.

The broker must take the copy, whatever the original holds. It closes the connection for a header line above its limit, and
counts the bytes after escaping; so a copy may be refused although the broker took the original. Hence each header is cut to a
line that the broker takes, and so is their sum.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from reefmesh.broker.activemq.message_headers import (
    HEADER_LINE_BYTES_LIMIT,
    PLAIN,
    USER_ID,
    carried,
    is_fact,
    line_bytes,
    text_of,
)
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.parking_quota import BODY_BYTES, DEVICE, SAMPLE_BYTES, ParkedPart

PARKING_ID: Final = "parking_id"
"""A header that can stand in a selector, which a name with a dash cannot."""
REASON, DETAIL, ATTEMPTS, PARKED_AT = "parked-reason", "parked-detail", "parked-attempts", "parked-at"
SENDER: Final = "parked-sender"
"""Who sent the parked message, as the broker stated it; a replay takes it along."""
FOR: Final = " for "
SENDER_CHARACTERS_LIMIT: Final = 200
BODY_SHA256: Final = "parked-body-sha256"
"""The hash of a body of which only the beginning was parked."""
LENGTH_DIGITS_LIMIT: Final = 18
DEVICE_CHARACTERS_LIMIT: Final = 128
DETAIL_CHARACTERS_LIMIT: Final = 2_000
FACTS_LIMIT: Final = 200
FACTS_BYTES_LIMIT: Final = 64 * 1024
"""Of all facts together, as lines. An envelope that this mesh publishes has an eighth of it at most."""
NAME_BYTES_LIMIT: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedCopy:
    """``headers``: of the frame that is parked."""

    headers: Mapping[str, str]
    body: bytes
    reason: str
    detail: str
    attempts: int
    parked_at: datetime

    @property
    def user_id(self) -> str | None:
        return self.headers.get(USER_ID)

    def part_of(self, message: OutboundMessage) -> ParkedPart:
        """Return what the quota counts of a copy that is sent in this form or a smaller one: headers, and the body as it came.
        ActiveMQ gives a journal file back when nothing in it is needed, so a small copy may hold as much as a whole one."""
        return ParkedPart(
            user_id=self.user_id,
            device=_device(self.headers),
            reason=self.reason,
            stored_bytes=_stored_bytes(dict(message.headers), len(self.body)),
        )

    def whole(self, destination: str) -> OutboundMessage:
        return OutboundMessage(destination=destination, headers=self._headers(), body=self.body)

    def small(self, destination: str) -> OutboundMessage:
        """Return a copy with the beginning of the body, its length and its hash."""
        if len(self.body) <= SAMPLE_BYTES:
            return self.whole(destination)
        digest = hashlib.sha256(self.body).hexdigest()
        headers = [*self._headers(), (BODY_BYTES, str(len(self.body))), (BODY_SHA256, digest)]
        return OutboundMessage(destination=destination, headers=headers, body=self.body[:SAMPLE_BYTES])

    def _headers(self) -> list[tuple[str, str]]:
        return [
            ("persistent", "true"),
            *_kept_facts(self.headers),
            (PARKING_ID, uuid4().hex),
            cut_to_line(*carried(REASON, self.reason)),
            cut_to_line(*carried(DETAIL, self.detail[:DETAIL_CHARACTERS_LIMIT])),
            (ATTEMPTS, str(self.attempts)),
            (PARKED_AT, self.parked_at.isoformat()),
            *_sender(self.headers),
        ]


def parked_part(headers: Mapping[str, str], body: bytes) -> ParkedPart:
    """Return what the quota counts of a copy that lies in the parking."""
    length = headers.get(BODY_BYTES, "")
    is_cut = length.isascii() and length.isdigit() and len(length) <= LENGTH_DIGITS_LIMIT
    return ParkedPart(
        user_id=(text_of(headers, SENDER) or "").partition(FOR)[0] or None,
        device=_device(headers),
        reason=text_of(headers, REASON) or "",
        stored_bytes=_stored_bytes(headers, int(length) if is_cut else len(body)),
    )


def cut_to_line(name: str, value: str) -> tuple[str, str]:
    """Return the header with as much of its value as the broker takes in one line."""
    excess = line_bytes(name, value) - HEADER_LINE_BYTES_LIMIT
    while excess > 0:
        value = value[: len(value) - max(1, excess // 4)]  # a character has four bytes at most, so this never cuts too much
        excess = line_bytes(name, value) - HEADER_LINE_BYTES_LIMIT
    return name, value


def _stored_bytes(headers: Mapping[str, str], body_bytes: int) -> int:
    return body_bytes + sum(len(name) + len(value) for name, value in headers.items())


def _device(headers: Mapping[str, str]) -> str | None:
    device = text_of(headers, DEVICE)
    return None if device is None else device[:DEVICE_CHARACTERS_LIMIT]


def _sender(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return who sent a message that is to be parked. Of a replay that is two names; only the first is the broker's word."""
    user_id, before = headers.get(USER_ID), text_of(headers, SENDER)
    if user_id is None:
        return []
    text = user_id if before is None else f"{user_id}{FOR}{before.rpartition(FOR)[2]}"
    return [cut_to_line(*carried(SENDER, text[:SENDER_CHARACTERS_LIMIT]))]


def _kept_facts(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the facts, those of the envelope first; what is too much is left out."""
    names = sorted(filter(is_fact, headers), key=lambda name: name not in PLAIN)
    kept: list[tuple[str, str]] = []
    left_bytes = FACTS_BYTES_LIMIT
    for name in names[:FACTS_LIMIT]:
        if line_bytes(name, "") > NAME_BYTES_LIMIT:
            continue
        header = cut_to_line(*carried(name, headers[name]))
        left_bytes -= line_bytes(*header)
        if left_bytes >= 0:
            kept.append(header)
    return kept
