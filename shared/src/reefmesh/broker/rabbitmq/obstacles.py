"""What keeps a broker from its work although it lets us in: an alarm, another number of shards, the spread of an earlier
version, the queue of devices. Nothing stays of what is made to find out, and no message reaches a queue."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from reefmesh.broker.probe import Obstacle
from reefmesh.broker.rabbitmq.connection import Connection
from reefmesh.broker.rabbitmq.declaration import exists, spread_by_hash
from reefmesh.broker.rabbitmq.device_messages import DEVICE_QUEUE, DEVICE_QUEUE_ARGUMENTS, DEVICES_EXCHANGE
from reefmesh.broker.rabbitmq.errors import BrokerRefusal
from reefmesh.broker.rabbitmq.topology import hash_exchange, shard_queue
from reefmesh.broker.rabbitmq.url import SHARDS_LIMIT
from reefmesh.contracts.channels import Subscription

CONFIRM_SECONDS: Final = 5.0
LOAD: Final = "load the definitions of deploy/rabbitmq (definitions.py), which make it"


async def obstacles_on(connection: Connection, subscriptions: Sequence[Subscription]) -> list[Obstacle]:
    """Return what there is.

    Raises:
        BrokerRefusal: this user may not do what the question needs.
        ConnectionLost: the connection is gone.
    """
    found: list[Obstacle] = []
    for subscription in subscriptions:
        found += await _spread_by_hash(connection, subscription)
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


async def _spread_by_hash(connection: Connection, subscription: Subscription) -> list[Obstacle]:
    if not await exists(connection, exchange=hash_exchange(subscription)):
        return []
    mend = f"let the earlier version empty the queues, stop it, and delete {hash_exchange(subscription)}"
    return [Obstacle(said=spread_by_hash(subscription), mend=mend)]


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
