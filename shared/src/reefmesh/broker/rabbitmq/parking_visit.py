"""One visit to the queue of what is parked: a client takes all of it in hand, in order, and gives back what it does not settle.

A queue of RabbitMQ cannot be read without taking its messages. What a client gives back, or loses by dying, a quorum queue
keeps before all others and gives out first. Two rules make it come back in its old order:

- One visitor at a time, in all processes. Each holds a lock: an empty queue that the broker gives to one connection alone, and
  its only consumer. It ends with the visit, or with the connection. Of two visitors who had each a part, the broker would put
  behind what came back later.
- Every visitor has the same window, above all that he can be given at once; so he always has all that was ever given back.

Nothing is lost when a visitor dies: the broker has every message until it is acknowledged.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any, Final

from aiormq.abc import DeliveredMessage

from reefmesh.broker.port import BrokerUnavailable
from reefmesh.broker.rabbitmq.connection import Channel, Connection, close_channel
from reefmesh.broker.rabbitmq.errors import RESOURCE_LOCKED, BrokerRefusal, translated
from reefmesh.broker.rabbitmq.message_headers import Headers

WINDOW_MESSAGES: Final = 10_000
"""How many parked messages can be seen, the oldest first. The same for every visitor, for ever."""
WAIT_SECONDS: Final = 30.0
"""For another visitor to end."""
TRY_AGAIN_SECONDS: Final = 0.05
ARRIVAL_SECONDS: Final = 10.0
"""How long the next message may take to arrive."""
RETURN_SECONDS: Final = 5.0
IN_USE: Final = "in exclusive use"
"""What the broker says to a second consumer, with the code for a missing right."""

_random: Final = Random()  # noqa: S311 - jitter, nothing secret


class Parked:
    """One message in a visitor's hands."""

    def __init__(self, message: DeliveredMessage) -> None:
        self.headers: Headers = message.header.properties.headers or {}
        self.user_id: str | None = message.header.properties.user_id
        self.message_id: str = message.header.properties.message_id or ""
        self.body = message.body
        self.tag: int = message.delivery_tag or 0


class ParkingVisit:
    """Made by ``visiting``."""

    def __init__(self, connection: Connection, channel: Channel, queue: str) -> None:
        self.connection = connection
        self.channel = channel
        """It publishes with confirmations."""
        self._queue = queue
        self._taken = self._settled = 0

    async def each(self, see: Callable[[Parked], Any]) -> None:
        """Take everything in hand and show it, the oldest first. Once in a visit; ``see`` keeps what it needs.

        Raises:
            BrokerRefusal: the queue does not exist, or is not for this user.
            BrokerUnavailable: the connection was lost, or the messages stopped coming.
        """
        declared = await self.channel.queue_declare(self._queue, passive=True)
        waiting = min(declared.message_count or 0, WINDOW_MESSAGES)
        if not waiting:
            return
        arrived: asyncio.Queue[None] = asyncio.Queue()

        async def take(message: DeliveredMessage) -> None:
            if self._taken < waiting:  # what is parked meanwhile goes back unseen
                see(Parked(message))
            self._taken += 1
            arrived.put_nowait(None)

        await self.channel.basic_qos(prefetch_count=WINDOW_MESSAGES)
        await self.channel.basic_consume(self._queue, take)
        for _ in range(waiting):
            async with _until_lost(self.connection), asyncio.timeout(ARRIVAL_SECONDS):
                await arrived.get()

    async def settle(self, parked: Parked) -> None:
        """Take it out of the parking for good; the broker knows when the visit has ended."""
        await self.channel.basic_ack(parked.tag)
        self._settled += 1

    @property
    def returned(self) -> int:
        """How many messages go back when the visit ends."""
        return self._taken - self._settled


@contextlib.asynccontextmanager
async def visiting(connection: Connection, queue: str) -> AsyncIterator[ParkingVisit]:
    """Wait until nobody else visits this queue; at the end everything that was not settled lies there as before.

    Raises:
        BrokerRefusal: in the block, or because the user may not hold the lock.
        BrokerUnavailable: the connection was lost, or another visitor stays too long.
    """
    async with _alone(connection, queue):
        visit: ParkingVisit | None = None
        try:
            async with connection.passing_channel(confirms=True) as channel:
                visit = ParkingVisit(connection, channel, queue)
                yield visit
        finally:
            if visit is not None and not connection.is_lost:
                await _until_returned(connection, queue, visit.returned)
    if connection.is_lost:  # what was settled last may not have arrived
        raise BrokerUnavailable(str(connection.lost.result()))


@contextlib.asynccontextmanager
async def _alone(connection: Connection, queue: str) -> AsyncIterator[None]:
    lock = f"{queue}.visit"
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        channel = await connection.channel()
        try:
            with translated(), connection.answering():
                await channel.queue_declare(lock, exclusive=True, auto_delete=True, arguments={"x-queue-type": "classic"})
                await channel.basic_consume(lock, _ignore, exclusive=True)
            break
        except BrokerRefusal as refusal:
            if not (refusal.code == RESOURCE_LOCKED or refusal.is_missing or IN_USE in refusal.message):
                raise
        except BaseException:
            await close_channel(channel)
            raise
        if asyncio.get_running_loop().time() > deadline:
            raise BrokerUnavailable(f"another client has been looking into {queue} for {WAIT_SECONDS:g} s; try again")
        await asyncio.sleep(TRY_AGAIN_SECONDS * (1 + _random.random()))
    try:
        yield
    finally:
        await close_channel(channel)


async def _ignore(_: DeliveredMessage) -> None:
    """Nobody sends to a lock."""


async def _until_returned(connection: Connection, queue: str, messages: int) -> None:
    """Wait until the broker has them back: it does that after it has closed the channel, and the next visitor must find all."""
    deadline = asyncio.get_running_loop().time() + RETURN_SECONDS
    with contextlib.suppress(BrokerRefusal, BrokerUnavailable):  # gone with the queue, or with the connection
        while asyncio.get_running_loop().time() < deadline:
            async with connection.passing_channel() as channel:
                declared = await channel.queue_declare(queue, passive=True)
            if (declared.message_count or 0) >= messages:
                return
            await asyncio.sleep(TRY_AGAIN_SECONDS)


@contextlib.asynccontextmanager
async def _until_lost(connection: Connection) -> AsyncIterator[None]:
    """Raise BrokerUnavailable where the block is still waiting when the connection is lost, or for too long."""
    waiting = asyncio.current_task()
    assert waiting is not None  # noqa: S101 - this is a coroutine
    lost = False

    def end(_: object) -> None:
        nonlocal lost
        lost = True
        waiting.cancel()

    connection.lost.add_done_callback(end)
    try:
        yield
    except asyncio.CancelledError:
        if not lost:
            raise
        waiting.uncancel()
        raise BrokerUnavailable(str(connection.lost.result())) from None
    except TimeoutError:
        raise BrokerUnavailable(f"the broker sent no more messages for {ARRIVAL_SECONDS:g} s") from None
    finally:
        connection.lost.remove_done_callback(end)
