"""What keeps a broker from its work although it lets us in: a missing plugin, an alarm, another number of shards, the queue of
devices. Nothing stays of what is made to find out, and no message reaches a queue."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.probe import Obstacle
from reefmesh.broker.rabbitmq.connection import Connection
from reefmesh.broker.rabbitmq.declaration import exists
from reefmesh.broker.rabbitmq.device_messages import DEVICE_QUEUE, DEVICE_QUEUE_ARGUMENTS, DEVICES_EXCHANGE
from reefmesh.broker.rabbitmq.errors import BrokerRefusal
from reefmesh.broker.rabbitmq.topology import CONSISTENT_HASH, shard_queue, subscription_exchange
from reefmesh.broker.rabbitmq.url import SHARDS_LIMIT
from reefmesh.contracts.channels import Subscription

UNKNOWN_TYPE: Final = "unknown exchange type"
"""In the words with which a broker ends a connection that asks for an exchange that it cannot make."""
CONFIRM_SECONDS: Final = 5.0
LOAD: Final = "load the definitions of deploy/rabbitmq (definitions.py), which make it"


async def obstacles_on(
    connection: Connection, spare: Connection, own: Subscription, subscriptions: Sequence[Subscription]
) -> list[Obstacle]:
    """Return what there is. ``spare``: another connection, which the broker may end. ``own``: a subscription of this user's
    that nobody else uses.

    Raises:
        BrokerRefusal: this user may not make anything under the name of its own subscription.
        ConnectionLost: the connection is gone.
    """
    found = await _plugin(spare, own)
    for subscription in subscriptions:
        found += await _other_shards(connection, subscription)
    return found + await _device_queue(connection)


async def alarm_on(spare: Connection) -> Obstacle | None:
    """Publish what no queue takes. The broker answers, were it with a refusal, or it has stopped reading and says so.
    ``spare``: another connection, of which it may read nothing more."""
    if await _is_answered(spare) and await _is_answered(spare):  # it stops behind the first that it reads
        return None
    why = "an alarm is in force: memory or disk is short" if spare.is_blocked else "it confirms nothing"
    return Obstacle(
        said=f"the broker takes nothing that is published; {why}",
        mend="run: rabbitmq-diagnostics alarms, and give it memory or disk, or let consumers take what waits",
    )


async def _is_answered(spare: Connection) -> bool:
    async def publish() -> None:
        async with spare.passing_channel(confirms=True) as channel:
            await channel.basic_publish(b"", routing_key=f"reefmesh.doctor.{uuid4().hex}")

    publishing = asyncio.create_task(publish())
    done, _ = await asyncio.wait([publishing], timeout=CONFIRM_SECONDS)
    if not done:
        publishing.cancel()
        await asyncio.wait([publishing])
        return False
    publishing.exception()
    return True


async def _plugin(spare: Connection, own: Subscription) -> list[Obstacle]:
    name = f"{subscription_exchange(own)}.doctor.{uuid4().hex}"
    try:
        async with spare.passing_channel() as channel:
            await channel.exchange_declare(name, exchange_type=CONSISTENT_HASH, durable=False)
            await channel.exchange_delete(name)
    except ConnectionLost as lost:
        if UNKNOWN_TYPE not in str(lost):
            raise
        return [
            Obstacle(
                said="the plugin rabbitmq_consistent_hash_exchange is not enabled, and without it reefs cannot be spread",
                mend="run: rabbitmq-plugins enable rabbitmq_consistent_hash_exchange",
            )
        ]
    return []


async def _other_shards(connection: Connection, subscription: Subscription) -> list[Obstacle]:
    there, ours = await _shards_there(connection, subscription), connection.address.shards
    if there in (0, ours):
        return []
    return [
        Obstacle(
            said=f"{subscription} has {there} shards at the broker, and this address says {ours}",
            mend=f"name shards={there} in the address, in every service and command",
        )
    ]


async def _shards_there(connection: Connection, subscription: Subscription) -> int:
    """Search by halves: shards are numbered from 0 without a hole."""
    low, high = 0, SHARDS_LIMIT
    while low < high:
        middle = (low + high) // 2
        if await exists(connection, queue=shard_queue(subscription, middle)):
            low = middle + 1
        else:
            high = middle
    return low


async def _device_queue(connection: Connection) -> list[Obstacle]:
    """Compare it where devices may connect. Who may not make it cannot compare."""
    if not await exists(connection, exchange=DEVICES_EXCHANGE):
        return []
    if not await exists(connection, queue=DEVICE_QUEUE):
        said = f"there is no queue {DEVICE_QUEUE}: what devices send over MQTT is confirmed to them and lost"
        return [Obstacle(said=said, mend=LOAD)]
    try:
        async with connection.passing_channel() as channel:
            await channel.queue_declare(DEVICE_QUEUE, durable=True, arguments=dict(DEVICE_QUEUE_ARGUMENTS))
    except BrokerRefusal as refusal:
        if not refusal.is_permission:
            mend = f"empty {DEVICE_QUEUE}, delete it, and {LOAD}"
            return [Obstacle(said=f"{DEVICE_QUEUE}: {refusal.message}", mend=mend)]
    return []
