"""RabbitMQ's queue of devices: in order, one consumer at a time, and what comes again comes under the id that it had."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from reefmesh.broker.devices import DeviceMessage, DeviceQueue, Move
from reefmesh.broker.port import LaneLost
from reefmesh.broker.rabbitmq.device_messages import DEVICE_QUEUE
from reefmesh.broker.rabbitmq.device_queue import WINDOW_MESSAGES
from reefmesh.broker.rabbitmq.engine import RabbitMQBroker
from reefmesh.clock import SystemClock
from reefmesh_components.nemo_pi import data, nemo_pi

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(240)]  # the first of them starts the broker

IMEI = "867740030000003"
PATIENCE_SECONDS = 60.0


@asynccontextmanager
async def device_queue(stage: Any) -> AsyncIterator[tuple[RabbitMQBroker, DeviceQueue]]:
    client = RabbitMQBroker(stage.url("ingest"), clock=SystemClock())
    await client.connect()
    queue = client.device_queue()
    try:
        await queue.start()
        yield client, queue
    finally:
        await queue.close()
        await client.close()


async def publish(stage: Any, *values: float) -> None:
    async with nemo_pi(stage.broker, IMEI, user=IMEI) as device:
        for celsius in values:
            await device.publish(data(celsius))


async def received(queue: DeviceQueue, number: int) -> list[DeviceMessage]:
    messages: list[DeviceMessage] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(messages) < number:
            messages += await queue.receive()
    return messages


async def settle(queue: DeviceQueue, *messages: DeviceMessage) -> None:
    await queue.settle([Move(message=message, outputs=()) for message in messages])


async def test_message_says_its_topic_and_the_device_that_alone_may_write_there(rabbitmq_stage: Any) -> None:
    async with device_queue(rabbitmq_stage) as (_, queue):
        await publish(rabbitmq_stage, 20.0)
        (message,) = await received(queue, 1)
        assert (f"buoys/{IMEI}/d2c/telemetry", IMEI, data(20.0), False) == (
            message.topic,
            message.user_id,
            message.body,
            message.redelivered,
        )
        await settle(queue, message)


async def test_only_the_oldest_are_settled_and_no_more_than_the_window_is_in_hand(rabbitmq_stage: Any) -> None:
    values = [number / 10 for number in range(WINDOW_MESSAGES + 4)]
    async with device_queue(rabbitmq_stage) as (_, queue):
        await publish(rabbitmq_stage, *values)
        messages = await received(queue, WINDOW_MESSAGES)
        assert WINDOW_MESSAGES == len(messages)
        with pytest.raises(ValueError, match="only the oldest"):
            await settle(queue, messages[1])
        await settle(queue, *messages[:10])
        await settle(queue, *messages[10:])
        rest = await received(queue, 4)
        await settle(queue, *rest)
    assert [data(celsius) for celsius in values] == [message.body for message in (*messages, *rest)]


async def test_what_comes_again_has_the_id_and_the_time_that_it_had(rabbitmq_stage: Any) -> None:
    """So what was published before the connection was lost, and not acknowledged, is recognised as a repeat."""
    async with device_queue(rabbitmq_stage) as (_, queue):
        await publish(rabbitmq_stage, 21.0, 21.0, 21.1)
        before = await received(queue, 3)
        await asyncio.to_thread(rabbitmq_stage.broker.stop)
        await asyncio.to_thread(rabbitmq_stage.broker.start)
        again = await received(queue, 3)
        with pytest.raises(LaneLost):
            await settle(queue, before[0])
        await settle(queue, *again)
    assert [(each.message_id, each.received_at) for each in before] == [(each.message_id, each.received_at) for each in again]
    assert len({each.message_id for each in again}) == 3
    assert all(each.redelivered for each in again)


async def test_another_consumer_stands_by_and_gets_what_the_first_gave_back_in_order(rabbitmq_stage: Any) -> None:
    async with device_queue(rabbitmq_stage) as (first_client, first), device_queue(rabbitmq_stage) as (_, second):
        await publish(rabbitmq_stage, 22.0, 22.1, 22.2)
        held = await received(first, 3)
        assert ("active", "standby") == (first.role, second.role)
        first_client.abort()
        taken = await received(second, 3)
        assert [each.body for each in held] == [each.body for each in taken]
        assert second.role == "active"
        await settle(second, *taken)


async def test_consumer_whose_queue_was_deleted_takes_it_again_once_it_is_there(rabbitmq_stage: Any) -> None:
    """The definitions are read again at the start."""
    operator = RabbitMQBroker(rabbitmq_stage.url(), clock=SystemClock())
    await operator.connect()
    async with device_queue(rabbitmq_stage) as (_, queue):
        async with operator._publishing.current().passing_channel() as channel:
            await channel.queue_delete(DEVICE_QUEUE)
        await operator.close()
        await asyncio.to_thread(rabbitmq_stage.broker.restart)
        await publish(rabbitmq_stage, 23.0)
        (message,) = await received(queue, 1)
        await settle(queue, message)
