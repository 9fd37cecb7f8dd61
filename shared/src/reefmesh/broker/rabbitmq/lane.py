"""A lane: one message in hand, until it is settled, parked or released."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.hold import Hold
from reefmesh.broker.parking_stock import ParkingStock
from reefmesh.broker.port import BrokerUnavailable, Delivery, LaneLost, Publication
from reefmesh.broker.rabbitmq.errors import BrokerRefusal
from reefmesh.broker.rabbitmq.inbound_message import InboundMessage
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.parked_copy import ParkedCopy
from reefmesh.broker.rabbitmq.topology import own_exchange, parking_queue
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.errors import PoisonMessage

AGAIN_SECONDS: Final = 1.0
"""How long a reef waits whose message could not be settled or parked, because nothing can be published now."""
UNREADABLE_BODY_BYTES_LIMIT: Final = 64 * 1024
"""An unreadable message of a channel to which devices write is parked with this much at most: no replay makes it readable."""


class OwningConsumer(Protocol):
    """What a lane uses of its consumer."""

    @property
    def subscription(self) -> Subscription: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def stock(self) -> ParkingStock[OutboundMessage]: ...

    async def next_message(self) -> InboundMessage | None:
        """Wait for a message of a reef that no lane has in hand; None: there will be none."""
        ...

    def take_in_hand(self, reef_id: str, hold: Hold[InboundMessage]) -> None: ...

    def let_go(self, reef_id: str) -> None: ...

    def keep(self, message: InboundMessage, *, again_after_seconds: float = 0.0) -> None:
        """Put a released message back into the ready queue; no lane gets it for so long, unless an earlier one comes."""
        ...

    def outbound(self, publications: Sequence[Publication]) -> Sequence[OutboundMessage]:
        """Raises PublishRefused."""
        ...

    async def send(self, messages: Sequence[OutboundMessage]) -> None:
        """Publish confirmed. Raises BrokerRefusal or BrokerUnavailable."""
        ...

    async def acknowledge(self, message: InboundMessage) -> None:
        """Raises ConnectionLost."""
        ...

    def note_unreadable(self, message: InboundMessage, copy: ParkedCopy) -> None:
        """A message that no lane can hand to a worker lies in the parking now."""
        ...


class RabbitMQLane:
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

    async def receive(self) -> Delivery | None:
        if self._in_hand is not None:  # the handler was interrupted and did not release it
            await self.release(self._in_hand)
        while (message := await self._consumer.next_message()) is not None:
            hold = Hold(message, self._loop.time())
            try:
                envelope = message.envelope()
            except PoisonMessage as poison:
                self._consumer.take_in_hand(message.reef_id, hold)  # what follows of its reef waits
                try:
                    await self._park_unread(message, poison)
                finally:
                    self._consumer.let_go(message.reef_id)
                continue
            delivery = Delivery(
                message=envelope,
                subscription=self._consumer.subscription,
                lane=self._index,
                redelivered=message.is_redelivered,
                user_id=message.user_id,
                token=hold,
            )
            self._in_hand = delivery
            self._consumer.take_in_hand(message.reef_id, hold)
            return delivery
        return None

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        await self._conclude(delivery, self._consumer.outbound(outputs))

    async def park(self, delivery: Delivery, *, reason: str, detail: str, attempts: int) -> None:
        copy = self._copy(_hold(delivery).message, reason=reason, detail=detail, attempts=attempts)
        queue = parking_queue(self._consumer.subscription)
        async with self._consumer.stock.place(copy, queue=queue) as copies:
            await self._conclude(delivery, copies, smaller=copy.small(queue))

    async def release(self, delivery: Delivery, *, again_after_seconds: float = 0.0) -> None:
        hold = _hold(delivery)
        await hold.begin_settling()
        if hold.message.is_open:
            self._consumer.keep(hold.message, again_after_seconds=again_after_seconds)
        self._let_go(delivery)

    async def _conclude(
        self, delivery: Delivery, messages: Sequence[OutboundMessage], *, smaller: OutboundMessage | None = None
    ) -> None:
        """Publish, then acknowledge. ``smaller``: is sent instead where the broker refuses a message for its size."""
        hold = _hold(delivery)
        await hold.begin_settling()
        if not hold.message.is_open:
            self._let_go(delivery)
            raise LaneLost("the broker took the message back")
        try:
            await self._send(messages, smaller)
        except BrokerRefusal as refusal:
            hold.settling_failed()
            raise refusal.as_publish_refused() from refusal
        except BrokerUnavailable as lost:
            if hold.message.is_open:  # some may be out: it is delivered again, here, and sent again
                self._consumer.keep(hold.message, again_after_seconds=AGAIN_SECONDS)
            self._let_go(delivery)
            raise LaneLost(str(lost)) from lost
        except asyncio.CancelledError:
            hold.settling_failed()
            raise
        try:
            await self._consumer.acknowledge(hold.message)
        except ConnectionLost as lost:
            raise LaneLost(str(lost)) from lost
        finally:
            self._let_go(delivery)

    async def _send(self, messages: Sequence[OutboundMessage], smaller: OutboundMessage | None) -> None:
        if not messages:
            return
        try:
            await self._consumer.send(messages)
        except BrokerRefusal as refusal:
            if smaller is None or not refusal.is_about_size:
                raise
            await self._consumer.send([smaller])

    def _let_go(self, delivery: Delivery) -> None:
        if self._in_hand is delivery:
            self._in_hand = None
            _hold(delivery).settled()
            self._consumer.let_go(delivery.message.reef_id)

    async def _park_unread(self, message: InboundMessage, poison: PoisonMessage) -> None:
        """A message that no handler gets: it is parked with what is readable."""
        consumer = self._consumer
        copy = self._copy(message, reason=poison.reason, detail=poison.detail, attempts=0)
        is_cut = len(copy.body) > UNREADABLE_BODY_BYTES_LIMIT and not consumer.subscription.is_numbered
        queue = parking_queue(consumer.subscription)
        try:
            async with consumer.stock.place(copy, queue=queue, is_cut=is_cut) as copies:
                await self._send(copies, copy.small(queue))
                if copies:  # it lies there now, also if the message comes again and is parked once more
                    consumer.note_unreadable(message, copy)
                await consumer.acknowledge(message)
        except (BrokerRefusal, BrokerUnavailable):  # a refusal may last: a missing right, a queue without a majority
            if message.is_open:
                consumer.keep(message, again_after_seconds=AGAIN_SECONDS)
        else:
            if not copies:
                consumer.note_unreadable(message, copy)

    def _copy(self, message: InboundMessage, *, reason: str, detail: str, attempts: int) -> ParkedCopy:
        return ParkedCopy(
            own_exchange=own_exchange(self._consumer.subscription),
            headers=message.headers,
            user_id=message.user_id,
            body=message.body,
            reason=reason,
            detail=detail,
            attempts=attempts,
            parked_at=self._consumer.clock.now(),
        )


def _hold(delivery: Delivery) -> Hold[InboundMessage]:
    assert isinstance(delivery.token, Hold)  # noqa: S101 - deliveries of this engine carry its holds
    return delivery.token
