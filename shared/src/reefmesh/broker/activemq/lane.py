"""A lane: one message in hand, until it is settled, parked or released."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from reefmesh.broker.activemq.destinations import parking_queue
from reefmesh.broker.activemq.errors import BrokerRefusal, ConnectionLost
from reefmesh.broker.activemq.hold import Hold
from reefmesh.broker.activemq.inbound_message import InboundMessage, MessageState
from reefmesh.broker.activemq.message_headers import broker_instant, from_frame
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.parking import parked_headers
from reefmesh.broker.activemq.redelivery import is_redelivered
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.shared_transactions import SharedTransactions, TransactionPart
from reefmesh.broker.port import Delivery, LaneLost, Publication
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.errors import PoisonMessage


class OwningConsumer(Protocol):
    """What a lane uses of its consumer."""

    @property
    def subscription(self) -> Subscription: ...

    @property
    def clock(self) -> Clock: ...

    async def next_message(self) -> InboundMessage | None:
        """Wait for a message of a reef that no lane has in hand; None: there will be none."""
        ...

    def take_in_hand(self, reef_id: str, hold: Hold) -> None: ...

    def let_go(self, reef_id: str) -> None: ...

    def keep(self, message: InboundMessage) -> bool:
        """Put a released message back into the ready queue; False: it must be given back to the broker."""
        ...

    def transactions(self, session: Session) -> SharedTransactions: ...


class ActiveMQLane:
    def __init__(self, consumer: OwningConsumer, index: int) -> None:
        self._consumer = consumer
        self._index = index
        self._in_hand: Delivery | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def index(self) -> int:
        return self._index

    @property
    def is_busy(self) -> bool:
        return self._in_hand is not None

    @property
    def arrived_at(self) -> datetime | None:
        """When the broker took the message in hand, by its own clock; None with empty hands."""
        return None if self._in_hand is None else broker_instant(_hold(self._in_hand).message.frame.headers)

    async def receive(self) -> Delivery | None:
        if self._in_hand is not None:  # the handler was interrupted and did not release it
            await self.release(self._in_hand)
        while (message := await self._consumer.next_message()) is not None:
            try:
                envelope = from_frame(message.frame.headers, message.frame.body)
            except PoisonMessage as poison:
                await self._park_unreadable(message, poison)
                continue
            released = message.state is MessageState.RELEASED
            hold = Hold(message, self._loop.time())
            delivery = Delivery(
                message=envelope,
                subscription=self._consumer.subscription,
                lane=self._index,
                redelivered=released or is_redelivered(message.frame.headers, message.session.name),
                token=hold,
            )
            self._in_hand = delivery
            self._consumer.take_in_hand(envelope.reef_id, hold)
            return delivery
        return None

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        await self._conclude(delivery, [OutboundMessage.of(output) for output in outputs])

    async def park(self, delivery: Delivery, *, reason: str, detail: str, attempts: int) -> None:
        message = _hold(delivery).message
        parked = self._parked(message, delivery.message.body, reason=reason, detail=detail, attempts=attempts)
        await message.until_first()  # parked but not acknowledged, it would come again and be parked twice
        await self._conclude(delivery, [parked])

    async def release(self, delivery: Delivery) -> None:
        hold = _hold(delivery)
        await hold.begin_settling()
        if hold.message.is_open and not self._consumer.keep(hold.message):
            await hold.message.source.give_back()
        self._let_go(delivery)

    async def _conclude(self, delivery: Delivery, messages: Sequence[OutboundMessage]) -> None:
        hold = _hold(delivery)
        await hold.begin_settling()
        session = hold.message.session
        if not hold.message.is_open or session.is_lost:
            self._let_go(delivery)
            raise LaneLost("the broker took the message back")
        part = TransactionPart(messages=messages, acknowledgement=hold.message)
        try:
            await self._consumer.transactions(session).commit(part)
        except BrokerRefusal as refusal:
            hold.settling_failed()
            raise refusal.as_publish_refused() from refusal
        except ConnectionLost as lost:
            self._let_go(delivery)
            raise LaneLost(str(lost)) from lost
        self._let_go(delivery)

    def _let_go(self, delivery: Delivery) -> None:
        if self._in_hand is delivery:
            self._in_hand = None
            self._consumer.let_go(delivery.message.reef_id)

    async def _park_unreadable(self, message: InboundMessage, poison: PoisonMessage) -> None:
        """A message without a readable envelope never reaches a handler: it is parked unchanged."""
        await message.until_first()
        if not message.is_open:
            return
        parked = self._parked(message, message.frame.body, reason=poison.reason, detail=poison.detail, attempts=0)
        part = TransactionPart(messages=[parked], acknowledgement=message)
        try:
            await self._consumer.transactions(message.session).commit(part)
        except (BrokerRefusal, ConnectionLost):
            await message.source.give_back()  # it comes again

    def _parked(self, message: InboundMessage, body: bytes, *, reason: str, detail: str, attempts: int) -> OutboundMessage:
        headers = parked_headers(
            message.frame.headers, reason=reason, detail=detail, attempts=attempts, parked_at=self._consumer.clock.now()
        )
        return OutboundMessage(destination=parking_queue(self._consumer.subscription), headers=headers, body=body)


def _hold(delivery: Delivery) -> Hold:
    assert isinstance(delivery.token, Hold)  # noqa: S101 - deliveries of this engine carry its holds
    return delivery.token
