"""A message to send: destination, headers and body as the broker takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from reefmesh.broker.activemq.destinations import channel_topic
from reefmesh.broker.activemq.message_headers import to_frame
from reefmesh.broker.port import Publication

PERSISTENT: Final = ("persistent", "true")
SURELY_READ_BODY_BYTES: Final = 256 * 1024
"""A body that every broker reads, however its operator set ``wireFormat.maxDataLength`` and ``maxFrameSize``."""
SURELY_READ_HEADER_CHARACTERS: Final = 2048
"""Of all headers together: as UTF-8 and escaped they stay below ActiveMQ's 10,240 bytes of one line, and below its number of
headers."""


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

    @property
    def is_surely_read(self) -> bool:
        """False: a broker may find it too long, and then it drops the message and carries out what was written behind it
        (docs/brokers.md, row 31)."""
        if len(self.body) > SURELY_READ_BODY_BYTES:
            return False
        return sum(len(name) + len(value) for name, value in self.headers) <= SURELY_READ_HEADER_CHARACTERS

    @classmethod
    def empty(cls, destination: str) -> Self:
        return cls(destination=destination, headers=(PERSISTENT,), body=b"")
