"""A message to send: where to, headers and body as the broker takes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from reefmesh.broker.port import Publication
from reefmesh.broker.rabbitmq.message_headers import to_headers
from reefmesh.broker.rabbitmq.slots import routing_key_of
from reefmesh.broker.rabbitmq.topology import channel_exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """``must_arrive``: it is refused where no queue takes it; a channel without any subscription drops its messages."""

    exchange: str
    routing_key: str
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""
    must_arrive: bool = True

    @classmethod
    def of(cls, publication: Publication, *, must_arrive: bool) -> Self:
        """Raises PublishRefused: the message exceeds a limit."""
        message = publication.message
        return cls(
            exchange=channel_exchange(publication.channel),
            routing_key=routing_key_of(message.reef_id),
            headers=to_headers(message),
            body=message.body,
            must_arrive=must_arrive,
        )

    @classmethod
    def to_queue(cls, own_exchange: str, queue: str, headers: Mapping[str, Any], body: bytes) -> Self:
        """To the parking or an overflow queue of a subscription, through that one's own exchange."""
        return cls(exchange=own_exchange, routing_key=queue, headers=headers, body=body)
