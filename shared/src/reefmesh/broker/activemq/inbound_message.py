"""A message that the broker has delivered through a subscription, until it is acknowledged or returned."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.sequence_number import sequence_number
from reefmesh.contracts.envelope import FOLLOWS


class MessageState(Enum):
    """``NEW``: not settled, no lane has released it. ``RELEASED``: not settled; a lane gave it up, so it counts as redelivered.
    ``SETTLED``: acknowledged, or to be acknowledged with the messages before it. ``RETURNED``: the broker has taken it back.
    """

    NEW = "new"
    RELEASED = "released"
    SETTLED = "settled"
    RETURNED = "returned"


class MessageSource(Protocol):
    """What an inbound message needs of the subscription that it came through."""

    @property
    def is_full(self) -> bool:
        """Whether the broker sends nothing more before something is acknowledged."""
        ...

    async def until_first(self, message: "InboundMessage") -> None:
        """Return when no earlier message of the subscription is open, or the message is open no longer."""
        ...

    async def give_back(self) -> None:
        """Return all open messages to the broker; never raises for a lost connection."""
        ...

    def take_ack_id(self) -> str | None: ...

    def acknowledged(self) -> None: ...


@dataclass(slots=True, eq=False)
class InboundMessage:
    """It is the ``Acknowledgement`` of its own settlement."""

    source: MessageSource
    session: Session
    frame: Frame
    state: MessageState = MessageState.NEW
    times_held_back: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it still has to be settled here."""
        return self.state is MessageState.NEW or self.state is MessageState.RELEASED

    @property
    def is_void(self) -> bool:
        return self.state is MessageState.RETURNED

    @property
    def reef_id(self) -> str:
        return self.frame.headers.get("reef-id", "")

    @property
    def identity(self) -> str | None:
        """The broker's id of the message: the same for each delivery."""
        return self.frame.headers.get("message-id")

    @property
    def ack_id(self) -> str:
        return self.frame.headers.get("ack", "")

    def comes_before(self, other: "InboundMessage", *, by_number: bool) -> bool:
        """Whether it provably was published before ``other`` of the same reef: by the reef's numbers, or by the broker's
        numbers of messages that came over one connection, or because ``other`` names it as the message that it follows."""
        ours, theirs = self.frame.headers, other.frame.headers
        seq, other_seq = sequence_number(ours.get("seq")), sequence_number(theirs.get("seq"))
        if by_number and seq is not None and other_seq is not None:
            return seq < other_seq
        producer, _, count = ours.get("message-id", "").rpartition(":")
        other_producer, _, other_count = theirs.get("message-id", "").rpartition(":")
        if producer and producer == other_producer:
            return (sequence_number(count) or 0) < (sequence_number(other_count) or 0)
        return theirs.get(FOLLOWS) is not None and theirs.get(FOLLOWS) == ours.get("event-id")

    async def until_first(self) -> None:
        await self.source.until_first(self)

    def settle(self) -> None:
        if self.is_open:
            self.state = MessageState.SETTLED

    def take_ack_id(self) -> str | None:
        return self.source.take_ack_id()

    def written(self) -> None:
        self.source.acknowledged()
