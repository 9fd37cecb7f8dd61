"""The queues of a subscription at RabbitMQ: the engine's own shards (ADR 0037), without what only its isolation needs.

Names and arguments are the engine's, so a program may move from FastStream to it, with the same number of shards.
"""

from dataclasses import replace
from typing import Any

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed

from reefmesh.broker.rabbitmq.declaration import spread_by_hash
from reefmesh.broker.rabbitmq.topology import (
    Exchange,
    Topology,
    channel_exchange,
    hash_exchange,
    members_exchange,
    overflow_queue,
    shard_queue,
)
from reefmesh.contracts.channels import Subscription
from reefmesh.errors import ConfigurationError


def topology_of(subscription: Subscription, *, shards: int) -> Topology:
    """Return what has to exist: the channel, the spread over the shards, the shards, and where rejected messages go."""
    whole = Topology.of(subscription, shards=shards)
    overflows = {overflow_queue(subscription, index) for index in range(shards)}
    members = members_exchange(subscription)
    return replace(
        whole,
        exchanges=tuple(each for each in whole.exchanges if each.name != members),
        queues=tuple(each for each in whole.queues if each.name not in overflows),
        bindings=tuple(each for each in whole.bindings if each.destination not in overflows),
    )


async def declare(connection: AbstractConnection, subscription: Subscription, *, shards: int) -> None:
    """Make all of it exist. The connection must not be a robust one: it would declare everything again by itself.

    Raises:
        ConfigurationError: this user may not, or it exists with other settings, another number of shards, or the hash of an
            earlier version.
    """
    try:
        if await _exists(connection, exchange=hash_exchange(subscription)):
            raise ConfigurationError(spread_by_hash(subscription))
        await _check_shards(connection, subscription, shards)
        await _declare(connection, subscription, topology_of(subscription, shards=shards))
    except (ChannelAccessRefused, ChannelPreconditionFailed) as error:
        raise ConfigurationError(f"{subscription}: the broker refuses: {error}") from error


async def _check_shards(connection: AbstractConnection, subscription: Subscription, shards: int) -> None:
    is_there = await _exists(connection, queue=shard_queue(subscription, 0))
    has_last = await _exists(connection, queue=shard_queue(subscription, shards - 1))
    has_more = await _exists(connection, queue=shard_queue(subscription, shards))
    if has_more or (is_there and not has_last):
        raise ConfigurationError(
            f"the broker has {subscription} with another number of shards than {shards}: name that, or delete its queues"
        )


async def _declare(connection: AbstractConnection, subscription: Subscription, topology: Topology) -> None:
    fan_out = channel_exchange(subscription.channel.name)
    is_there = await _exists(connection, exchange=fan_out)
    async with connection.channel() as channel:
        for exchange in topology.exchanges:
            if exchange.name != fan_out or not is_there:  # who may read the channel need not have the right to make it
                await _declare_exchange(channel, exchange)
        for queue in topology.queues:
            await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
        for binding in topology.bindings:
            source = await channel.get_exchange(binding.source, ensure=False)
            if binding.to_queue:
                destination: Any = await channel.get_queue(binding.destination, ensure=False)
            else:
                destination = await channel.get_exchange(binding.destination, ensure=False)
            await destination.bind(source, routing_key=binding.key)


async def _declare_exchange(channel: AbstractChannel, exchange: Exchange) -> None:
    await channel.declare_exchange(exchange.name, type=exchange.kind, durable=True, arguments=dict(exchange.arguments))


async def _exists(connection: AbstractConnection, *, exchange: str = "", queue: str = "") -> bool:
    """Look, which needs no right; a channel of its own, because the broker closes it where there is nothing."""
    channel = connection.channel()
    try:
        await channel.initialize()
        if exchange:
            await channel.get_exchange(exchange, ensure=True)
        else:
            await channel.get_queue(queue, ensure=True)
    except ChannelNotFoundEntity:
        return False
    finally:
        if not channel.is_closed:
            await channel.close()
    return True
