"""The overflow queue of a shard, at the frames that its owner exchanges with the broker."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, cast

from reefmesh.broker.hold import Hold
from reefmesh.broker.rabbitmq.connection import Channel, Connection
from reefmesh.broker.rabbitmq.inbound_message import InboundMessage
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.overflow import Overflow
from reefmesh.broker.rabbitmq.tenure import Tenure
from reefmesh.broker.rabbitmq.topology import WINDOW_MESSAGES


class SpyingBroker:
    """Connection and channel in one: it takes every command and counts those that wait for an answer."""

    def __init__(self) -> None:
        self.is_lost = self.is_closed = False
        self.acknowledged: list[int] = []
        self.answers = 0

    @contextmanager
    def answering(self) -> Iterator[None]:
        yield

    async def basic_ack(self, tag: int, **_: Any) -> None:
        self.acknowledged.append(tag)

    async def basic_qos(self, **_: Any) -> None:
        self.answers += 1
        await asyncio.sleep(0)  # an answer is never there at once


class Owner:
    """Keeps what is ready, and has nothing in hand."""

    def __init__(self) -> None:
        self.ready: list[InboundMessage] = []
        self.sent: list[OutboundMessage] = []
        self.has_sent = asyncio.Event()

    async def send(self, messages: Sequence[OutboundMessage]) -> None:
        self.sent += messages
        self.has_sent.set()

    def hand_out(self, message: InboundMessage) -> None:
        self.ready.append(message)

    def withdraw(self, message: InboundMessage) -> None:
        return

    def hold_of(self, reef_id: str) -> Hold[InboundMessage] | None:
        return None

    def take_ready(self, reef_id: str, tenure: Tenure) -> Sequence[InboundMessage]:
        return self.ready


def inbound(tenure: Tenure, tag: int, headers: dict[str, Any], *, is_overflow: bool = False) -> InboundMessage:
    message = InboundMessage(
        tenure=tenure,
        delivery_tag=tag,
        is_overflow=is_overflow,
        is_own_copy=is_overflow,
        headers=headers,
        body=b"work",
        identity=f"message-{tag}",
        user_id="operator",
        was_delivered=False,
        misplacement=None,
        reef_id="stuck",
        seq=None,
        event_id=None,
        follows=None,
    )
    tenure.received(message)
    return message


async def test_window_that_is_moved_waits_for_its_copies_alone() -> None:
    """A reef with a long backlog holds its shard up for as long as its messages are being moved."""
    broker, owner = SpyingBroker(), Owner()
    tenure = Tenure(cast("Connection", broker), cast("Channel", broker), confirms_acknowledgements=True)
    overflow = Overflow(tenure, "own", "overflow", owner, on_other_owner=lambda: None, random=Random(1))
    for tag in range(WINDOW_MESSAGES):
        overflow.from_shard(inbound(tenure, tag, {}))
    await owner.has_sent.wait()
    (marker,) = owner.sent
    assert overflow.from_overflow(inbound(tenure, WINDOW_MESSAGES, dict(marker.headers), is_overflow=True))
    await overflow.isolate("stuck")
    assert list(range(WINDOW_MESSAGES)) == broker.acknowledged
    assert 1 + WINDOW_MESSAGES == len(owner.sent)
    assert broker.answers == 0
