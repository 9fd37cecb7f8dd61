"""To make exchanges and queues exist, with as few rights as possible.

To declare needs the right to configure, even where nothing is to be made; to look (a passive declaration) needs none. In a
deployment an administrator has made everything, so it is looked for first. A declaration that fails closes its channel.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from reefmesh.broker.rabbitmq.connection import Channel, Connection
from reefmesh.broker.rabbitmq.errors import BrokerRefusal
from reefmesh.broker.rabbitmq.topology import (
    Binding,
    Exchange,
    Queue,
    Topology,
    hash_exchange,
    members_exchange,
    shard_queue,
    subscription_exchange,
)
from reefmesh.contracts.channels import Subscription
from reefmesh.errors import ConfigurationError

AT_ONCE: Final = 8
"""Channels on which the queues of a subscription are made and bound: each takes the broker some milliseconds."""


async def declare_subscription(connection: Connection, subscription: Subscription) -> None:
    """Make all of it exist; its members' exchange comes last and so says that the rest is there.

    Raises:
        BrokerRefusal: this user may not, or something exists with other settings.
        ConfigurationError: it exists with another number of shards, or with the hash of an earlier version.
        ConnectionLost: some of it may exist.
    """
    shards = connection.address.shards
    if await exists(connection, exchange=hash_exchange(subscription)):
        raise ConfigurationError(spread_by_hash(subscription))
    marks = (members_exchange(subscription), subscription_exchange(subscription))
    if all([await exists(connection, exchange=each) for each in marks]):
        await _check_shards(connection, subscription, shards)
        return
    if await exists(connection, queue=shard_queue(subscription, shards)):
        raise _other_shards(subscription, shards)
    topology = Topology.of(subscription, shards=shards)
    *exchanges, members = topology.exchanges
    for exchange in exchanges:
        await declare_exchange(connection, exchange)
    await asyncio.gather(*(_declare_queues(connection, topology.queues[start::AT_ONCE]) for start in range(AT_ONCE)))
    *bindings, last = topology.bindings
    await asyncio.gather(*(_bind(connection, bindings[start::AT_ONCE]) for start in range(AT_ONCE)))
    await _bind(connection, [last])
    await declare_exchange(connection, members)


def spread_by_hash(subscription: Subscription) -> str:
    """Return what is wrong where the exchange of an earlier version is still there."""
    return (
        f"the broker has the exchange {hash_exchange(subscription)} of an earlier version, whose spread of reefs a restart of"
        " the broker changes: docs/rabbitmq.md says how to replace it"
    )


async def declare_exchange(connection: Connection, exchange: Exchange) -> None:
    """Raises BrokerRefusal or ConnectionLost."""
    if not await exists(connection, exchange=exchange.name):
        async with connection.passing_channel() as channel:
            await channel.exchange_declare(
                exchange.name, exchange_type=exchange.kind, durable=True, arguments=dict(exchange.arguments)
            )


async def _check_shards(connection: Connection, subscription: Subscription, shards: int) -> None:
    has_last = await exists(connection, queue=shard_queue(subscription, shards - 1))
    if not has_last or await exists(connection, queue=shard_queue(subscription, shards)):
        raise _other_shards(subscription, shards)


def _other_shards(subscription: Subscription, shards: int) -> ConfigurationError:
    return ConfigurationError(
        f"the broker has {subscription} with another number of shards than {shards}: set shards= to that, in every service"
    )


async def _declare_queues(connection: Connection, queues: Sequence[Queue]) -> None:
    if queues:
        async with connection.passing_channel() as channel:
            for queue in queues:
                await channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))


async def _bind(connection: Connection, bindings: Sequence[Binding]) -> None:
    if bindings:
        async with connection.passing_channel() as channel:
            for each in bindings:
                if each.to_queue:
                    await channel.queue_bind(each.destination, each.source, routing_key=each.key)
                else:
                    await channel.exchange_bind(destination=each.destination, source=each.source, routing_key=each.key)


async def exists(connection: Connection, *, exchange: str = "", queue: str = "") -> bool:
    """Whether it is there; nobody needs a right to ask. Raises BrokerRefusal or ConnectionLost."""
    try:
        async with connection.passing_channel() as channel:
            await _look(channel, exchange, queue)
    except BrokerRefusal as refusal:
        if refusal.is_missing:
            return False
        raise
    return True


async def _look(channel: Channel, exchange: str, queue: str) -> None:
    if exchange:
        await channel.exchange_declare(exchange, passive=True)
    else:
        await channel.queue_declare(queue, passive=True)
