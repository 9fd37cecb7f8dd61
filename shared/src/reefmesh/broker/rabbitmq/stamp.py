"""Whether the broker states who sent a message: found out with a message to oneself."""

import asyncio
from typing import Final
from uuid import uuid4

from aiormq.abc import DeliveredMessage

from reefmesh.broker.port import BrokerUnavailable
from reefmesh.broker.rabbitmq.connection import Connection
from reefmesh.broker.rabbitmq.declaration import declare_exchange
from reefmesh.broker.rabbitmq.errors import BrokerRefusal
from reefmesh.broker.rabbitmq.message_headers import properties_of
from reefmesh.broker.rabbitmq.topology import DIRECT, Exchange, probe_exchange, probe_queue

ARRIVAL_SECONDS: Final = 10.0


async def stamped_sender(connection: Connection, service: str) -> str | None:
    """As ``StampingBroker`` says. The queue ends with its channel."""
    arrived: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    queue = probe_queue(service, uuid4().hex)

    async def read(delivered: DeliveredMessage) -> None:
        if not arrived.done():
            arrived.set_result(delivered.header.properties.user_id or None)

    exchange = probe_exchange(service)
    try:
        await declare_exchange(connection, Exchange(name=exchange, kind=DIRECT))
        async with connection.passing_channel(confirms=True) as channel, asyncio.timeout(ARRIVAL_SECONDS):
            await channel.queue_declare(queue, exclusive=True, auto_delete=True)
            await channel.queue_bind(queue, exchange, routing_key=queue)
            await channel.basic_consume(queue, read, no_ack=True)
            properties = properties_of({}, user=connection.address.user)
            await channel.basic_publish(b"", exchange=exchange, routing_key=queue, properties=properties, mandatory=True)
            return await arrived
    except BrokerRefusal as refusal:
        raise refusal.as_failure() from refusal
    except TimeoutError:
        raise BrokerUnavailable(f"our own message did not arrive within {ARRIVAL_SECONDS:g} s") from None
