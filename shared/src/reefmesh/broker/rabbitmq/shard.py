"""One shard of a subscription, as a consumer takes part in it: one tenure after the other."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Any, Final, Protocol

from aiormq.abc import DeliveredMessage

from reefmesh.backoff import Backoff
from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.rabbitmq.connection import Connection
from reefmesh.broker.rabbitmq.errors import BrokerRefusal, translated
from reefmesh.broker.rabbitmq.inbound_message import InboundMessage
from reefmesh.broker.rabbitmq.overflow import HandingOut, Overflow
from reefmesh.broker.rabbitmq.slots import ShardSlots
from reefmesh.broker.rabbitmq.tenure import Tenure
from reefmesh.broker.rabbitmq.topology import (
    OVERFLOW_WINDOW_MESSAGES,
    WINDOW_MESSAGES,
    overflow_queue,
    own_exchange,
    shard_queue,
)
from reefmesh.contracts.channels import Subscription

BACKOFF: Final = Backoff(first_seconds=0.2, max_seconds=10.0)
"""Before a shard is taken again whose channel the broker has closed."""


class ShardOwner(HandingOut, Protocol):
    """What a shard uses of its consumer."""

    def note_owned(self, shard: "Shard") -> None:
        """The broker has given it a message in this tenure, for the first time."""
        ...

    def note_ended(self, tenure: Tenure) -> None:
        """What came in this tenure is with the broker again."""
        ...

    async def until_none_in_hand(self, tenure: Tenure) -> None: ...

    def resume(self) -> None:
        """A tenure is not paused any more."""
        ...


class Shard:
    def __init__(
        self, subscription: Subscription, own: ShardSlots, owner: ShardOwner, *, own_user: str, random: Random
    ) -> None:
        self.index = index = own.index
        self._own = own
        self._subscription = subscription
        self._queue = shard_queue(subscription, index)
        self._overflow_queue = overflow_queue(subscription, index)
        self._owner = owner
        self._own_user = own_user
        self._random = random
        self._tenure: Tenure | None = None
        self._overflow: Overflow | None = None
        self._is_left = False
        self._changing = asyncio.Lock()
        self._recovering: asyncio.Task[None] | None = None
        self._losses = 0
        self.owned_since_seconds = 0.0
        """By the loop's clock: when the broker gave us the first message in this tenure."""

    @property
    def tenure(self) -> Tenure | None:
        return self._tenure

    @property
    def overflow(self) -> Overflow | None:
        return self._overflow

    @property
    def isolated(self) -> Mapping[str, int]:
        return self._overflow.isolated if self._overflow is not None else {}

    @property
    def is_owned(self) -> bool:
        """Whether the broker has given us messages of the shard's own queue in this tenure."""
        return self._overflow is not None and self._overflow.owns_shard

    @property
    def overflowing(self) -> Collection[InboundMessage]:
        """What its next owner will get anew of the overflow queue."""
        return self._tenure.overflow_window if self._tenure is not None else ()

    async def subscribe(self, connection: Connection) -> None:
        """Raises BrokerRefusal or ConnectionLost."""
        async with self._changing:
            if not self._is_left:
                await self._begin(connection)

    async def give_up(self, *, within_seconds: float) -> bool:
        """Let the next consumer have it, and stand at the end of the queue. False: something was in hand for all this time."""
        async with self._changing:
            tenure = self._tenure
            if tenure is None or tenure.is_over or self._is_left:
                return False
            tenure.is_paused = True
            try:
                async with asyncio.timeout(within_seconds):
                    await self._owner.until_none_in_hand(tenure)
            except TimeoutError:
                tenure.is_paused = False
                self._owner.resume()
                return False
            await self._end(tenure)
            with contextlib.suppress(BrokerRefusal, ConnectionLost):
                await self._begin(tenure.connection)
                return True
            self._recover(tenure.connection)
            return True

    async def leave_once_settled(self) -> None:
        """Take nothing new; leave when nothing of it is in hand."""
        self._is_left = True
        async with self._changing:
            if (tenure := self._tenure) is not None and not tenure.is_over:
                tenure.is_paused = True
                await self._owner.until_none_in_hand(tenure)
                await self._end(tenure)

    async def leave(self) -> None:
        """Leave at once: the broker takes back what is in hand."""
        self._is_left = True
        self._stop_recovering()
        if (tenure := self._tenure) is not None:
            self.lost()
            await tenure.close()

    def lost(self) -> None:
        """The connection is gone, or the channel."""
        self._stop_recovering()
        tenure, self._tenure = self._tenure, None
        if self._overflow is not None:
            self._overflow.cancel()
            self._overflow = None
        if tenure is not None:
            tenure.end()
            self._owner.note_ended(tenure)

    async def _begin(self, connection: Connection) -> None:
        channel = await connection.channel()
        tenure = Tenure(connection, channel, confirms_acknowledgements=not self._subscription.is_numbered)
        overflow = Overflow(
            tenure,
            own_exchange(self._subscription),
            self._overflow_queue,
            self._owner,
            on_other_owner=lambda: self._stand_back(tenure),
            random=self._random,
        )
        self._tenure, self._overflow = tenure, overflow
        channel.closing.add_done_callback(lambda _: self._on_channel_closed(tenure))
        channel.on_consumer_cancel_callbacks.add(lambda _: self._on_cancelled(tenure))
        try:
            with translated(), connection.answering():
                await channel.basic_qos(prefetch_count=WINDOW_MESSAGES)
                await channel.basic_consume(self._queue, self._receiver(tenure, overflow, is_overflow=False))
                await channel.basic_qos(prefetch_count=OVERFLOW_WINDOW_MESSAGES)
                await channel.basic_consume(self._overflow_queue, self._receiver(tenure, overflow, is_overflow=True))
        except BaseException:
            self._tenure = self._overflow = None
            overflow.cancel()
            tenure.end()
            self._owner.note_ended(tenure)
            raise

    def _receiver(self, tenure: Tenure, overflow: Overflow, *, is_overflow: bool) -> Callable[[DeliveredMessage], Any]:
        async def receive(delivered: DeliveredMessage) -> None:
            if tenure.is_over:
                return
            shard = None if is_overflow else self._own
            message = InboundMessage.of(delivered, tenure, shard=shard, own_user=self._own_user)
            tenure.received(message)
            if is_overflow:
                if overflow.from_overflow(message):
                    with contextlib.suppress(ConnectionLost, BrokerRefusal):
                        await tenure.acknowledge(message)
                return
            is_first = not overflow.owns_shard
            overflow.from_shard(message)
            if is_first:
                self._losses = 0
                self.owned_since_seconds = asyncio.get_running_loop().time()
                self._owner.note_owned(self)

        return receive

    async def _end(self, tenure: Tenure) -> None:
        if self._overflow is not None:
            await self._overflow.stop()
        self.lost()
        await tenure.close()

    def _stand_back(self, tenure: Tenure) -> None:
        """Another consumer owns the shard, and waits for what we have of the overflow queue."""
        if tenure is self._tenure and self._recovering is None:
            self._recovering = asyncio.create_task(self._stand_back_once_settled(), name=f"stand back {self._queue}")

    async def _stand_back_once_settled(self) -> None:
        try:
            while not await self.give_up(within_seconds=1.0):
                if self._tenure is None or self._is_left:
                    return
        finally:
            self._recovering = None

    def _on_cancelled(self, tenure: Tenure) -> None:
        """The broker ended the consumer (its queue was deleted, for instance): the channel is of no use any more."""
        if tenure is self._tenure and not tenure.is_over:
            self.lost()
            self._recover(tenure.connection)

    def _on_channel_closed(self, tenure: Tenure) -> None:
        if tenure is self._tenure and not tenure.is_over:
            self.lost()
            self._recover(tenure.connection)

    def _recover(self, connection: Connection) -> None:
        if not connection.is_lost and not self._is_left:
            self._stop_recovering()
            self._recovering = asyncio.create_task(self._take_again(connection), name=f"take again {self._queue}")

    async def _take_again(self, connection: Connection) -> None:
        try:
            while not connection.is_lost and not self._is_left:
                self._losses += 1
                await asyncio.sleep(BACKOFF.delay_seconds(self._losses, self._random))
                with contextlib.suppress(BrokerRefusal, ConnectionLost):
                    await self.subscribe(connection)
                    return
        finally:
            self._recovering = None

    def _stop_recovering(self) -> None:
        recovering, self._recovering = self._recovering, None
        if recovering is not None and recovering is not asyncio.current_task():
            recovering.cancel()
