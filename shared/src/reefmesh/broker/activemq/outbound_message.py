"""A message to send: destination, headers and body as the broker takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from reefmesh.broker.activemq.destinations import channel_topic
from reefmesh.broker.activemq.message_headers import to_frame
from reefmesh.broker.port import Publication

PERSISTENT: Final = ("persistent", "true")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    destination: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    @classmethod
    def of(cls, publication: Publication) -> Self:
        """Raises PublishRefused: the message exceeds a limit."""
        message = publication.message
        return cls(destination=channel_topic(publication.channel), headers=to_frame(message), body=message.body)

    @classmethod
    def empty(cls, destination: str) -> Self:
        return cls(destination=destination, headers=(PERSISTENT,), body=b"")
