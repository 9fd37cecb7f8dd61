"""A message that the broker has delivered through a shard or its overflow queue, until it is acknowledged or returned."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Protocol
from uuid import uuid4

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from reefmesh.broker.rabbitmq.message_headers import Headers, facts_of, is_fact, text_of
from reefmesh.broker.rabbitmq.parked_copy import SENDER
from reefmesh.broker.rabbitmq.slots import ShardSlots
from reefmesh.broker.rabbitmq.transport import FAULT
from reefmesh.broker.sequence_number import sequence_number
from reefmesh.contracts.envelope import FOLLOWS, Envelope
from reefmesh.errors import PoisonMessage

MOVED_ALONG: Final = frozenset({SENDER, FAULT})
"""Headers that a copy takes along, beside the envelope's facts."""
MOVED_ID, MOVED_USER, MOVED_AGAIN = "moved-id", "moved-user", "moved-again"
"""Headers of a copy in an overflow queue: id and sender of the original, and whether that was delivered again."""
UNREADABLE: Final = "unreadable"
BROKER_INSTANT: Final = "timestamp_in_ms"
"""The header in which the broker states when it took a message, where its configuration says so."""
MILLISECONDS_LIMIT: Final = 100_000_000_000_000
"""Since 1970: until the year 5138."""


class MessageState(Enum):
    """``NEW``: not settled, no lane has released it. ``RELEASED``: not settled; a lane gave it up, so it counts as redelivered.
    ``SETTLED``: acknowledged. ``RETURNED``: the broker has taken it back."""

    NEW = "new"
    RELEASED = "released"
    SETTLED = "settled"
    RETURNED = "returned"


class DeliveringTenure(Protocol):
    """What an inbound message needs of the tenure in which it came."""

    is_paused: bool

    async def acknowledge(self, message: "InboundMessage") -> None: ...


@dataclass(slots=True, eq=False)
class InboundMessage:
    """``identity``: the same for an original and its copy in the overflow queue. ``user_id``: who sent the original, by the
    broker's word; of a copy that this service made, by its own, which took that down. ``is_own_copy``: it did.
    ``misplacement``: why it may be in another shard than the rest of its reef. ``follows``: which event it says it follows."""

    tenure: "DeliveringTenure"
    delivery_tag: int
    is_overflow: bool
    is_own_copy: bool
    headers: Headers
    body: bytes
    identity: str
    user_id: str | None
    was_delivered: bool
    misplacement: str | None
    reef_id: str
    seq: int | None
    event_id: str | None
    follows: str | None
    state: MessageState = field(default=MessageState.NEW)

    @classmethod
    def of(
        cls, delivered: DeliveredMessage, tenure: "DeliveringTenure", *, shard: ShardSlots | None, own_user: str
    ) -> "InboundMessage":
        """``shard``: through which it came; None: through the overflow queue of one."""
        properties = delivered.header.properties
        headers: dict[str, Any] = properties.headers or {}
        frame = delivered.delivery
        assert isinstance(frame, Basic.Deliver)  # noqa: S101 - consumers get nothing else
        identity, user_id, was_delivered = (
            properties.message_id or uuid4().hex,
            properties.user_id or None,
            bool(frame.redelivered),
        )
        is_overflow, reef_id = shard is None, text_of(headers, "reef-id") or ""
        is_own_copy = is_overflow and user_id == own_user
        if is_own_copy:
            identity = text_of(headers, MOVED_ID) or identity
            user_id = text_of(headers, MOVED_USER)
            was_delivered = was_delivered or MOVED_AGAIN in headers
        return cls(
            tenure=tenure,
            delivery_tag=frame.delivery_tag or 0,
            is_overflow=is_overflow,
            is_own_copy=is_own_copy,
            headers=headers,
            body=delivered.body,
            identity=identity,
            user_id=user_id,
            was_delivered=was_delivered,
            misplacement=None if shard is None else shard.misplacement_of(reef_id, frame.routing_key or ""),
            reef_id=reef_id,
            seq=sequence_number(text_of(headers, "seq")),
            event_id=text_of(headers, "event-id"),
            follows=text_of(headers, FOLLOWS),
        )

    @property
    def is_open(self) -> bool:
        """Whether it still has to be settled here."""
        return self.state is MessageState.NEW or self.state is MessageState.RELEASED

    @property
    def is_redelivered(self) -> bool:
        return self.was_delivered or self.state is MessageState.RELEASED

    @property
    def taken_at(self) -> datetime | None:
        """When the broker took it, by its own clock; None where the broker does not say."""
        stamp = self.headers.get(BROKER_INSTANT)
        is_instant = isinstance(stamp, int) and 0 <= stamp < MILLISECONDS_LIMIT
        return datetime.fromtimestamp(stamp / 1000, UTC) if is_instant and isinstance(stamp, int) else None

    def envelope(self) -> Envelope:
        """Raises PoisonMessage (``unreadable``, ``bad-envelope``).

        The broker spreads reefs by the slot in the routing key. A message whose key is not its reef's could be in another shard
        than the rest of the reef, and be handled beside it.
        """
        if (fault := text_of(self.headers, FAULT)) is not None:
            raise PoisonMessage(UNREADABLE, fault)
        envelope = Envelope.from_headers(facts_of(self.headers), self.body)
        if self.misplacement is not None:
            raise PoisonMessage(UNREADABLE, self.misplacement)
        return envelope

    def headers_to_move(self) -> dict[str, str]:
        """Return the headers of its copy in the overflow queue."""
        headers = {
            name: value
            for name, value in self.headers.items()
            if (is_fact(name) or name in MOVED_ALONG) and isinstance(value, str)
        }
        if self.misplacement is not None and FAULT not in headers:
            headers[FAULT] = self.misplacement  # the copy has another key, and must not be believed
        headers[MOVED_ID] = self.identity
        if self.user_id is not None:
            headers[MOVED_USER] = self.user_id
        if self.is_redelivered:
            headers[MOVED_AGAIN] = "true"
        return headers

    def comes_before(self, other: "InboundMessage", *, by_number: bool) -> bool:
        """Whether it provably was published before ``other`` of the same reef: by the reef's numbers, or because ``other``
        names it as the message that it follows."""
        if by_number and self.seq is not None and other.seq is not None:
            return self.seq < other.seq
        return other.follows is not None and other.follows == self.event_id
