"""A message that waits for an earlier one holds up no other reef, on a real broker."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.activemq.isolation_watch import IsolationLimits
from reefmesh.broker.port import Consumer, Delivery, Lane, SubscriptionStatistics
from reefmesh.contracts.channels import QUARANTINE, Subscription
from reefmesh_components.activemq_client import PATIENCE_SECONDS, Events, client, publication
from reefmesh_components.activemq_process import ActivemqProcess

LONG_SECONDS: Final = 3600.0
WINDOW: Final = 4
QUICK: Final = IsolationLimits(patience_seconds=0.2)
TOGETHER: Final = IsolationLimits(patience_seconds=2.0)
"""What is held back within a quarter of that is isolated together."""


@asynccontextmanager
async def one_window(
    activemq: ActivemqProcess, limits: IsolationLimits = QUICK
) -> AsyncIterator[tuple[ActiveMQBroker, Consumer, Events]]:
    """A consumer whose lanes share one subscription."""
    subscription = Subscription(f"held-{uuid.uuid4().hex[:8]}", QUARANTINE)
    async with client(activemq.url(parameters="subscriptions=1"), limits=limits) as broker:
        events = Events(broker)
        await broker.declare([subscription])
        consumer = broker.consumer(subscription, lanes=WINDOW)
        await consumer.start()
        yield broker, consumer, events
        await consumer.close()


async def receive(consumer: Consumer) -> Delivery:
    delivery = await asyncio.wait_for(consumer.lanes[0].receive(), PATIENCE_SECONDS)
    assert delivery is not None
    return delivery


async def statistics_of(broker: ActiveMQBroker) -> SubscriptionStatistics:
    (only,) = (await broker.statistics()).subscriptions.values()
    return only


async def test_parallel_reefs_behind_one_that_waits_in_the_same_window_go_on(activemq_process: ActivemqProcess) -> None:
    """Law 2: what is settled behind an open message cannot be acknowledged, and the window was full of that."""
    async with one_window(activemq_process) as (broker, consumer, events):
        await broker.publish([publication(QUARANTINE.name, 2, reef_id="waits")])
        await consumer.lanes[0].release(await receive(consumer), again_after_seconds=LONG_SECONDS)
        names = {f"other-{number}" for number in range(5 * WINDOW)}
        await broker.publish([publication(QUARANTINE.name, 1, reef_id=name) for name in names])
        seen: set[str] = set()
        while seen != names:
            delivery = await receive(consumer)
            seen.add(delivery.message.reef_id)
            await consumer.lanes[0].settle(delivery, ())
        assert 1 == events.count("reef_isolated")


async def test_order_message_that_waits_comes_again_behind_the_one_that_was_missing(activemq_process: ActivemqProcess) -> None:
    """Law 1: an earlier message that arrives ends the wait at once."""
    async with one_window(activemq_process) as (broker, consumer, _events):
        await broker.publish([publication(QUARANTINE.name, 2, reef_id="waits")])
        await consumer.lanes[0].release(await receive(consumer), again_after_seconds=LONG_SECONDS)
        await broker.publish([publication(QUARANTINE.name, 1, reef_id="waits")])
        seen = []
        for _ in range(2):
            delivery = await receive(consumer)
            seen.append(delivery.message.seq)
            await consumer.lanes[0].settle(delivery, ())
        assert [1, 2] == seen


async def test_parallel_reef_that_goes_on_leaves_those_that_wait_beside_it(activemq_process: ActivemqProcess) -> None:
    """Law 2: reefs that were held back together share a dedicated subscription, and one of them has a long backlog."""
    numbers = [1, *range(3, 10 * WINDOW)]
    seen: list[int | None] = []
    all_seen = asyncio.Event()

    async def work(lane: Lane) -> None:
        while (delivery := await lane.receive()) is not None:
            message = delivery.message
            if message.reef_id == "waits" or (message.seq == 2 and 1 not in seen):
                await lane.release(delivery, again_after_seconds=LONG_SECONDS)
                continue
            if message.seq not in seen:  # what was settled behind an open message comes again
                seen.append(message.seq)
            await lane.settle(delivery, ())
            if len(seen) == len(numbers) + 1:
                all_seen.set()

    async with one_window(activemq_process, TOGETHER) as (broker, consumer, events), asyncio.TaskGroup() as working:
        for lane in consumer.lanes:
            working.create_task(work(lane))
        await broker.publish([publication(QUARANTINE.name, 2, reef_id=reef_id) for reef_id in ("waits", "goes-on")])
        await events.until("reef_isolated", 2)
        await broker.publish([publication(QUARANTINE.name, number, reef_id="goes-on") for number in numbers])
        await asyncio.wait_for(all_seen.wait(), PATIENCE_SECONDS)
        await consumer.close()
    assert list(range(1, 10 * WINDOW)) == seen


async def test_message_that_is_held_back_counts_for_the_oldest_age(activemq_process: ActivemqProcess) -> None:
    async with one_window(activemq_process) as (broker, consumer, _events):
        assert (await statistics_of(broker)).oldest_age_seconds is None
        await broker.publish([publication(QUARANTINE.name, 2, reef_id="waits")])
        await consumer.lanes[0].release(await receive(consumer), again_after_seconds=LONG_SECONDS)
        held_back = await statistics_of(broker)
        assert (1, 0) == (held_back.in_flight_messages, held_back.lanes_busy)
        assert held_back.oldest_age_seconds is not None
        assert held_back.oldest_age_seconds >= 0
