"""A channel for publications, which is replaced once the broker has said of one that it did not take it.

In a cluster such an answer may never change on the same channel: RabbitMQ 3.10 keeps for a channel who led a quorum queue when
it first published there, and goes on asking that node when it is dead (docs/brokers.md, row R15).
"""

import asyncio
import contextlib
from collections.abc import Iterator

from reefmesh.broker.rabbitmq.connection import Channel, close_channel
from reefmesh.broker.rabbitmq.errors import BrokerRefusal


class PublishingChannel:
    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._is_spent = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_usable(self) -> bool:
        return not self._is_spent and not self.channel.is_closed

    @contextlib.contextmanager
    def publishing(self) -> Iterator[Channel]:
        """For one publication. A negative confirmation, raised within this block, makes the channel one to replace."""
        self._under_way += 1
        self._idle.clear()
        try:
            yield self.channel
        except BrokerRefusal as refusal:
            self._is_spent = self._is_spent or refusal.is_negative_confirmation
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def retire(self) -> None:
        """Close it once all that is under way on it is answered: what comes on the next channel stays behind it."""
        await self._idle.wait()
        await close_channel(self.channel)
