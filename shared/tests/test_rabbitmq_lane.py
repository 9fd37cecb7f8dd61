"""A lane that parks a message nobody can read, at the commands that it gives its consumer."""

from collections.abc import Sequence
from typing import Any, cast

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.hold import Hold
from reefmesh.broker.parking_quota import ParkingQuota, ParkingUsage
from reefmesh.broker.parking_stock import ParkingStock
from reefmesh.broker.port import Publication
from reefmesh.broker.rabbitmq.inbound_message import InboundMessage
from reefmesh.broker.rabbitmq.lane import RabbitMQLane
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.parked_copy import ParkedCopy
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import SCORING

NO_ROOM = ParkingQuota(messages_limit=0, bytes_limit=0)


def unreadable() -> InboundMessage:
    return InboundMessage(
        tenure=cast("Any", None),
        delivery_tag=1,
        is_overflow=False,
        is_own_copy=False,
        headers={"x-fault": 1},
        body=b"?",
        identity="message-1",
        user_id="publisher",
        was_delivered=False,
        misplacement=None,
        reef_id="",
        seq=None,
        event_id=None,
        follows=None,
    )


class Consumer:
    """Delivers messages, each until it is acknowledged. ``arrives``: of each acknowledgement, whether it does."""

    def __init__(self, *arrives: bool, quota: ParkingQuota | None = None) -> None:
        self.subscription = SCORING
        self.clock = SystemClock()
        self.stock = ParkingStock[OutboundMessage](quota, look=self._look, on_counted=lambda _: None)
        self.sent: list[OutboundMessage] = []
        self.told = 0
        self._arrives = list(arrives)

    async def _look(self, quota: ParkingQuota) -> ParkingUsage:
        return ParkingUsage(quota)

    async def next_message(self) -> InboundMessage | None:
        return unreadable() if self._arrives else None

    def take_in_hand(self, reef_id: str, hold: Hold[InboundMessage]) -> None: ...

    def let_go(self, reef_id: str) -> None: ...

    def keep(self, message: InboundMessage, *, again_after_seconds: float = 0.0) -> None: ...

    def outbound(self, publications: Sequence[Publication]) -> Sequence[OutboundMessage]:
        raise AssertionError

    async def send(self, messages: Sequence[OutboundMessage]) -> None:
        self.sent += messages

    async def acknowledge(self, message: InboundMessage) -> None:
        if not self._arrives.pop(0):
            raise ConnectionLost("the channel is closed")

    def note_unreadable(self, message: InboundMessage, copy: ParkedCopy) -> None:
        self.told += 1


async def test_each_copy_that_lies_in_the_parking_is_told_of() -> None:
    """A copy is there before its original is acknowledged; where that is lost, a second one comes to lie beside it."""
    consumer = Consumer(False, False, True)
    assert await RabbitMQLane(consumer, 0).receive() is None
    assert 3 == len(consumer.sent) == consumer.told


async def test_message_of_which_no_copy_is_kept_is_told_of_once_it_is_gone() -> None:
    """The first one is a sample of its kind, the second is only counted."""
    consumer = Consumer(True, False, True, quota=NO_ROOM)
    assert await RabbitMQLane(consumer, 0).receive() is None
    assert 1 == len(consumer.sent)
    assert 2 == consumer.told
