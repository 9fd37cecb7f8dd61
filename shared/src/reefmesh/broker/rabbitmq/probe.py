"""Ask a broker about the rights of a user, about its clock and about queues that are not as this engine makes them.

No message stays there, and none is taken: what is published is rolled back, and what is read is a queue that the broker lets
nobody read in that way, which it says only to those who may read it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from aiormq.abc import DeliveredMessage

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.name_lookup import is_address, look_up
from reefmesh.broker.network_address import Endpoint
from reefmesh.broker.port import BrokerUnavailable
from reefmesh.broker.probe import Obstacle
from reefmesh.broker.rabbitmq.connection import Channel, Connection
from reefmesh.broker.rabbitmq.errors import ACCESS_REFUSED, BrokerRefusal, connect_failure
from reefmesh.broker.rabbitmq.obstacles import alarm_on, obstacles_on
from reefmesh.broker.rabbitmq.topology import (
    Topology,
    channel_exchange,
    own_exchange,
    shard_queue,
    subscription_exchange,
)
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.contracts.channels import Subscription
from reefmesh.errors import ConfigurationError, TransientError

ANSWER_SECONDS: Final = 10.0
STAMP_SECONDS: Final = 1.0
"""The broker notes the time of a dead letter in whole seconds."""

Act = Callable[[Channel], Awaitable[object]]


class RabbitMQProbe:
    def __init__(self, url: str) -> None:
        self._address = RabbitMQAddress.parse(url)
        self._connection: Connection | None = None

    async def connect(self) -> None:
        context = self._address.ssl_context()
        failures: list[str] = []
        for endpoint in self._address.endpoints:
            try:
                self._connection = await Connection.open(self._address, endpoint, context)
            except TransientError as error:
                failures.append(str(error))
            else:
                return
        raise BrokerUnavailable(f"no broker: {'; '.join(failures)}")

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def unresolved_names(self) -> list[str]:
        answers = await asyncio.gather(*(self._why_unresolved(endpoint) for endpoint in self._address.endpoints))
        return [answer for answer in answers if answer]

    async def alarm(self) -> Obstacle | None:
        spare = await Connection.open(self._address, self._up().endpoint, self._address.ssl_context())
        try:
            return await alarm_on(spare)
        finally:
            await spare.close()

    async def may_publish(self, channel: str) -> str | None:
        return await self._may_send(channel_exchange(channel))

    async def may_park(self, subscription: Subscription) -> str | None:
        return await self._may_send(own_exchange(subscription))

    async def may_consume(self, subscription: Subscription) -> str | None:
        """Get a message from a shard. The broker refuses that to everybody, because one consumer at a time has a shard; but it
        looks at the right to read first."""
        return await self._refusal_of(lambda channel: channel.basic_get(shard_queue(subscription, 0)))

    async def misfits(self, subscription: Subscription) -> list[str]:
        """As the protocol says. A queue that exists is declared as this engine would make it: the broker compares."""
        different: list[str] = []
        for queue in Topology.of(subscription, shards=self._address.shards).queues:
            try:
                async with self._up().passing_channel() as channel:
                    await channel.queue_declare(queue.name, passive=True)
                    await channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
            except BrokerRefusal as refusal:
                if not refusal.is_missing:
                    different.append(f"{queue.name}: {refusal.message}")
        return different

    async def obstacles(self, subscriptions: Sequence[Subscription]) -> list[Obstacle]:
        try:
            return await obstacles_on(self._up(), subscriptions)
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal

    async def clock_offset_seconds(self, subscription: Subscription) -> float:
        """Let the broker move a message of ours to a dead-letter queue, which it notes with its time; within a second."""
        name = f"{subscription_exchange(subscription)}.clock.{uuid4().hex}"
        dead = f"{name}.dead"
        arrived: asyncio.Future[DeliveredMessage] = asyncio.get_running_loop().create_future()

        async def read(message: DeliveredMessage) -> None:
            if not arrived.done():
                arrived.set_result(message)

        try:
            async with self._up().passing_channel() as channel:
                await channel.exchange_declare(name, exchange_type="direct", auto_delete=True)
                await channel.queue_declare(dead, exclusive=True, auto_delete=True)
                await channel.queue_bind(dead, name, routing_key=dead)
                await channel.queue_declare(
                    name,
                    exclusive=True,
                    arguments={"x-dead-letter-exchange": name, "x-dead-letter-routing-key": dead, "x-message-ttl": 0},
                )
                await channel.queue_bind(name, name, routing_key=name)
                await channel.basic_consume(dead, read, no_ack=True)
                sent_at = time.time()
                await channel.basic_publish(b"", exchange=name, routing_key=name)
                async with asyncio.timeout(ANSWER_SECONDS):
                    stamped = _dead_letter_time(await arrived)
                await channel.queue_delete(name)
        except TimeoutError:
            raise BrokerUnavailable(f"our own message did not arrive within {ANSWER_SECONDS:g} s") from None
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal
        if stamped is None:
            raise ConfigurationError("the broker does not stamp dead letters with its time")
        offset = stamped.timestamp() - sent_at
        return min(0.0, offset + STAMP_SECONDS) if offset < 0 else offset

    async def _may_send(self, exchange: str) -> str | None:
        async def send_and_roll_back(channel: Channel) -> None:
            await channel.tx_select()
            await channel.basic_publish(b"", exchange=exchange, routing_key="probe")
            await channel.tx_rollback()

        return await self._refusal_of(send_and_roll_back)

    async def _refusal_of(self, act: Act) -> str | None:
        """Return why this user may not; None: it may, or what it needs is not there yet, which a service makes."""
        try:
            async with self._up().passing_channel() as channel:
                await act(channel)
        except BrokerRefusal as refusal:
            return refusal.message if refusal.code == ACCESS_REFUSED else None
        return None

    async def _why_unresolved(self, endpoint: Endpoint) -> str | None:
        if is_address(endpoint.host):
            return None
        try:
            await look_up(endpoint.host, endpoint.port, timeout_seconds=ANSWER_SECONDS)
        except OSError as error:
            address = self._address
            failure = connect_failure(
                error, address=str(endpoint), user=address.user, virtual_host=address.virtual_host, ca_file=address.ca_file
            )
            return str(failure)
        return None

    def _up(self) -> Connection:
        if self._connection is None or self._connection.is_lost:
            raise ConnectionLost("not connected")
        return self._connection


def _dead_letter_time(message: DeliveredMessage) -> datetime | None:
    deaths = (message.header.properties.headers or {}).get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
    stamped = first.get("time")
    return stamped.astimezone(UTC) if isinstance(stamped, datetime) else None
