"""A tenure: one consumer's time at a shard, on a channel of its own, and what it has in hand of it.

To close the channel is the only way to give a shard up that keeps its order: the broker takes everything back at once, sorted,
and only then gives the next consumer something. (After a ``basic.cancel`` the next one gets the messages *behind* those that
are in hand here.) So there is one channel for each shard, and a tenure ends with its channel.
"""

import asyncio
from datetime import datetime

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.rabbitmq.connection import Channel, Connection, close_channel
from reefmesh.broker.rabbitmq.errors import translated
from reefmesh.broker.rabbitmq.inbound_message import InboundMessage, MessageState
from reefmesh.broker.rabbitmq.topology import WINDOW_MESSAGES


class Tenure:
    """``confirms_acknowledgements``: ``acknowledge`` returns only when the broker has read it. AMQP does not confirm one, but
    the answer to any later command shows it."""

    def __init__(self, connection: Connection, channel: Channel, *, confirms_acknowledgements: bool) -> None:
        self.connection = connection
        self.channel = channel
        self.shard_window: set[InboundMessage] = set()
        self.overflow_window: set[InboundMessage] = set()
        self.is_over = False
        self.is_paused = False
        """No lane gets anything of it: it is being given up."""
        self._confirms = confirms_acknowledgements
        self._written = self._read = 0
        self._reading: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        return len(self.shard_window) >= WINDOW_MESSAGES

    @property
    def unacknowledged_messages(self) -> int:
        return len(self.shard_window) + len(self.overflow_window)

    @property
    def oldest_taken_at(self) -> datetime | None:
        """When the broker took the oldest message that is not acknowledged, by its own clock; of the shard's whole queue,
        because what is in hand comes first. None: there is none, or the broker does not say."""
        taken = (message.taken_at for window in (self.shard_window, self.overflow_window) for message in window)
        return min((each for each in taken if each is not None), default=None)

    def received(self, message: InboundMessage) -> None:
        self._window_of(message).add(message)

    async def acknowledge(self, message: InboundMessage, *, unread: bool = False) -> None:
        """``unread``: do not wait until the broker has read it.

        Raises:
            ConnectionLost: the broker has read it or not, and has taken the message back if not.
        """
        if self.is_over or self.channel.is_closed or self.connection.is_lost:
            raise ConnectionLost("the channel is closed")
        message.state = MessageState.SETTLED
        self._window_of(message).discard(message)
        with translated():
            await self.channel.basic_ack(message.delivery_tag, wait=False)
        self._written += 1
        if self._confirms and not unread:
            await self._until_read(self._written)

    def end(self) -> None:
        """The broker takes back what is open."""
        self.is_over = True
        for message in (*self.shard_window, *self.overflow_window):
            message.state = MessageState.RETURNED
        self.shard_window.clear()
        self.overflow_window.clear()

    async def close(self) -> None:
        """End it, and close its channel behind everything that was written there."""
        self.end()
        if self._reading is not None:
            await asyncio.wait([self._reading])
        await close_channel(self.channel)

    def _window_of(self, message: InboundMessage) -> set[InboundMessage]:
        return self.overflow_window if message.is_overflow else self.shard_window

    async def _until_read(self, number: int) -> None:
        """Wait for an answer to a command that was written behind this acknowledgement; many share one."""
        while self._read < number:
            if self._reading is None:
                self._reading = asyncio.create_task(self._ask(), name="confirm acknowledgements")
                self._reading.add_done_callback(lambda asking: asking.cancelled() or asking.exception())
            await asyncio.shield(self._reading)

    async def _ask(self) -> None:
        written = self._written
        try:
            with translated(), self.connection.answering():
                await self.channel.basic_qos(prefetch_count=WINDOW_MESSAGES)
            self._read = written
        finally:
            self._reading = None
