"""K lanes over the shards of a subscription: a message that arrives through any of them goes to whichever lane is waiting."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.held_back import HeldBackReefs
from reefmesh.broker.hold import Hold
from reefmesh.broker.parking_stock import CopyToPark, ParkingStock
from reefmesh.broker.port import PARKING_FOLDED, UNREADABLE_PARKED, BrokerEvent, Publication, SubscriptionStatistics
from reefmesh.broker.rabbitmq.connection import Connection, ReconnectingConnection
from reefmesh.broker.rabbitmq.declaration import declare_subscription
from reefmesh.broker.rabbitmq.errors import BrokerRefusal
from reefmesh.broker.rabbitmq.handover import HandOver
from reefmesh.broker.rabbitmq.inbound_message import InboundMessage, MessageState
from reefmesh.broker.rabbitmq.isolation_watch import IsolationLimits, IsolationWatch
from reefmesh.broker.rabbitmq.lane import OwningConsumer, RabbitMQLane
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.parked_copy import ParkedCopy
from reefmesh.broker.rabbitmq.publisher import RabbitMQPublisher
from reefmesh.broker.rabbitmq.ready_queue import ReadyQueue
from reefmesh.broker.rabbitmq.shard import Shard, ShardOwner
from reefmesh.broker.rabbitmq.slots import ShardSlots
from reefmesh.broker.rabbitmq.tenure import Tenure
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.errors import ConfigurationError

CHANNELS_BESIDE_SHARDS: Final = 10
"""One for the members; those on which something is declared or looked for, which pass."""
DETAIL_CHARACTERS: Final = 300
"""Of what a sender wrote, in an event."""


class RabbitMQConsumer:
    """Of one subscription, on the connection for consuming; it is attached to every new connection while it is started."""

    def __init__(
        self,
        connections: ReconnectingConnection,
        publisher: RabbitMQPublisher,
        subscription: Subscription,
        *,
        lanes: int,
        shards: int,
        own_user: str,
        clock: Clock,
        stock: Callable[[Callable[[CopyToPark[OutboundMessage]], None]], ParkingStock[OutboundMessage]],
        on_event: Callable[[BrokerEvent], None],
        random: Random,
        limits: IsolationLimits,
    ) -> None:
        self.subscription = subscription
        self.clock = clock
        self.stock = stock(self._note_counted)
        self._connections = connections
        self._publisher = publisher
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._lanes = tuple(RabbitMQLane(self, index) for index in range(lanes))
        self._ready = ReadyQueue(by_number=subscription.is_numbered)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._in_hand: dict[str, Hold[InboundMessage]] = {}  # by reef
        self._held_back = HeldBackReefs[InboundMessage](by_number=subscription.is_numbered, on_over=self._wake)
        self._shards = tuple(
            Shard(subscription, ShardSlots(index=index, shards=shards), self, own_user=own_user, random=random)
            for index in range(shards)
        )
        self._hand_over = HandOver(subscription, self._shards, publisher, own_user=own_user, on_event=on_event, random=random)
        self._watch = IsolationWatch(
            self._shards,
            self._in_hand,
            self._held_back,
            self._ready,
            limits,
            lanes=lanes,
            has_idle_lane=lambda: bool(self._waiters),
            on_isolated=self._note_isolated,
            say_takes=lambda takes: self._hand_over.say(takes=takes),
        )
        self._let_go = asyncio.Event()
        self._started = self._draining = self._closed = False

    # the port

    @property
    def lanes(self) -> Sequence[RabbitMQLane]:
        return self._lanes

    @property
    def is_closed(self) -> bool:
        return self._closed

    async def start(self) -> None:
        if self._started or self._closed:
            return
        try:
            await self.attach(self._connections.current())
        except BaseException:
            await self._hand_over.stop()
            await asyncio.gather(*(shard.leave() for shard in self._shards))
            raise
        self._started = True
        self._watch.start()
        self._connections.add(self)

    async def isolate(self, reef_id: str) -> None:
        shard = self._shard_of(reef_id)
        if shard is None or shard.overflow is None or reef_id in shard.isolated or self._draining or self._closed:
            return
        self._note_isolated(reef_id)
        await shard.overflow.isolate(reef_id)

    async def drain(self) -> None:
        if self._closed:
            return  # nothing is in hand any more, so waiting for it would never end
        self._draining = True
        self._wake_all()
        await self._hand_over.stop()
        await self._watch.stop()
        await asyncio.gather(*(shard.leave_once_settled() for shard in self._shards))
        while any(lane.is_busy for lane in self._lanes) and not self._closed:  # with what was lost meanwhile
            self._let_go.clear()
            await self._let_go.wait()
        await self._finish()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._hand_over.stop()
        await self._watch.stop()
        self._ready.clear()
        self._held_back.clear()
        await asyncio.gather(*(shard.leave() for shard in self._shards))
        await self._finish()

    def statistics(self) -> SubscriptionStatistics:
        parked = self.stock.usage()
        tenures = [shard.tenure for shard in self._shards if shard.tenure is not None]
        taken = [taken_at for tenure in tenures if (taken_at := tenure.oldest_taken_at) is not None]
        return SubscriptionStatistics(
            waiting_messages=None,
            in_flight_messages=sum(tenure.unacknowledged_messages for tenure in tenures),
            oldest_age_seconds=max(0.0, (self.clock.now() - min(taken)).total_seconds()) if taken else None,
            lanes=len(self._lanes),
            lanes_busy=sum(lane.is_busy for lane in self._lanes),
            isolated_reefs=tuple(reef_id for shard in self._shards for reef_id in shard.isolated),
            parked_messages=None if parked is None else parked.messages,
            parked_bytes=None if parked is None else parked.stored_bytes,
        )

    # called by the reconnecting connection

    async def attach(self, connection: Connection) -> None:
        """Subscribe. Raises ConfigurationError without permission, BrokerUnavailable otherwise."""
        if self._draining or self._closed:
            return  # nothing new is taken, and nothing is left to settle on a new connection
        needed = len(self._shards) + CHANNELS_BESIDE_SHARDS
        if needed > connection.channels_limit:
            raise ConfigurationError(
                f"the broker allows {connection.channels_limit} channels of a connection, and shards={len(self._shards)} needs "
                f"{needed}: raise channel_max there, or name fewer shards"
            )
        try:
            await declare_subscription(connection, self.subscription)
            await self._hand_over.subscribe(connection)
            await asyncio.gather(*(shard.subscribe(connection) for shard in self._shards))
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal

    def detach(self) -> None:
        self._hand_over.lost()
        for shard in self._shards:
            shard.lost()
        self._held_back.clear()

    # called by lanes

    async def next_message(self) -> InboundMessage | None:
        """Wait for a message whose reef is neither in hand here nor held back. Return None once the consumer drains or is
        closed: what no lane has in hand then goes back to the broker, in order."""
        while not (self._closed or self._draining):
            message = self._ready.take(self._in_hand, self._held_back, lambda tenure: tenure.is_paused)
            if message is not None:
                return message
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif not waiter.cancelled():
                    self._wake()  # this lane was woken for a message and cannot take it: wake another one
                raise
        return None

    def take_in_hand(self, reef_id: str, hold: Hold[InboundMessage]) -> None:
        self._in_hand[reef_id] = hold
        self._watch.notice()

    def let_go(self, reef_id: str) -> None:
        self._in_hand.pop(reef_id, None)
        self._let_go.set()
        self._wake()

    def keep(self, message: InboundMessage, *, again_after_seconds: float = 0.0) -> None:
        message.state = MessageState.RELEASED
        self._ready.put_back(message)
        if again_after_seconds > 0 and not self._ready.has_earlier(message):
            self._held_back.hold_back(message, again_after_seconds)

    def outbound(self, publications: Sequence[Publication]) -> Sequence[OutboundMessage]:
        return self._publisher.outbound(publications)

    async def acknowledge(self, message: InboundMessage) -> None:
        shard = next((shard for shard in self._shards if shard.tenure is message.tenure), None)
        if shard is None or not message.is_open:
            raise ConnectionLost("the broker took the message back")
        overflow = shard.overflow
        await message.tenure.acknowledge(message)
        if message.is_overflow and overflow is not None:
            overflow.settled(message)

    def note_unreadable(self, message: InboundMessage, copy: ParkedCopy) -> None:
        facts: dict[str, str | int | float] = {
            "subscription": str(self.subscription),
            "reason": copy.reason,
            "detail": copy.detail[:DETAIL_CHARACTERS],
            "message_id": message.identity[:DETAIL_CHARACTERS],
            "reef_id": message.reef_id[:DETAIL_CHARACTERS],
            "user_id": copy.user_id or "",
        }
        self._on_event(BrokerEvent(name=UNREADABLE_PARKED, facts=facts))

    # called by shards

    async def send(self, messages: Sequence[OutboundMessage]) -> None:
        await self._publisher.send(messages)

    def hand_out(self, message: InboundMessage) -> None:
        if self._closed or self._draining:
            return  # its shard is being left: the broker takes it back
        self._ready.add(message)
        if (waiting := self._held_back.note_arrival(message)) is not None:
            self._ready.move_behind_earlier(waiting)
        self._watch.notice()
        self._wake()

    def withdraw(self, message: InboundMessage) -> None:
        self._ready.withdraw(message)

    def hold_of(self, reef_id: str) -> Hold[InboundMessage] | None:
        return self._in_hand.get(reef_id)

    def take_ready(self, reef_id: str, tenure: Tenure) -> Sequence[InboundMessage]:
        return self._ready.take_of(reef_id, tenure)

    def note_owned(self, shard: Shard) -> None:  # noqa: ARG002 - which one it is, the hand-over sees
        self._hand_over.notice()

    def note_ended(self, tenure: Tenure) -> None:
        self._ready.drop(tenure)
        for hold in self._in_hand.values():
            if hold.message.tenure is tenure:
                hold.stay()
        self._let_go.set()

    async def until_none_in_hand(self, tenure: Tenure) -> None:
        while any(
            hold.message.tenure is tenure and hold.message.state is not MessageState.RETURNED for hold in self._in_hand.values()
        ):
            self._let_go.clear()
            await self._let_go.wait()

    def resume(self) -> None:
        self._wake_all()

    # internal

    def _shard_of(self, reef_id: str) -> Shard | None:
        """Return the shard whose own queue the reef's messages come through, as far as they have shown."""
        hold = self._in_hand.get(reef_id)
        for shard in self._shards:
            tenure = shard.tenure
            if tenure is None:
                continue
            if hold is not None and hold.message.tenure is tenure and not hold.message.is_overflow:
                return shard
            if reef_id in self._ready.counts_of(tenure):
                return shard
        return None

    def _note_counted(self, copy: CopyToPark[OutboundMessage]) -> None:
        facts: dict[str, str | int | float] = {
            "subscription": str(self.subscription),
            "reason": copy.reason,
            "user_id": copy.user_id or "",
        }
        self._on_event(BrokerEvent(name=PARKING_FOLDED, facts=facts))

    def _note_isolated(self, reef_id: str) -> None:
        facts: dict[str, str | int | float] = {"subscription": str(self.subscription), "reef_id": reef_id}
        self._on_event(BrokerEvent(name="reef_isolated", facts=facts))

    def _wake(self) -> None:
        while self._waiters and self._ready:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def _finish(self) -> None:
        self._closed = True
        await self.stock.close()
        self._connections.remove(self)
        await self._hand_over.leave()
        self._let_go.set()
        self._wake_all()


def serves_lanes(consumer: RabbitMQConsumer) -> OwningConsumer:
    """The type checker's proof that lanes can use this consumer."""
    return consumer


def owns_shards(consumer: RabbitMQConsumer) -> ShardOwner:
    """The type checker's proof that shards can use this consumer."""
    return consumer
