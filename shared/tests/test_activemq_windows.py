"""Numbered messages, of which the broker sends several ahead through one subscription, on a real broker."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.activemq.subscription import BrokerSubscription
from reefmesh.broker.hold import Hold
from reefmesh.broker.port import Consumer, Delivery, Publication
from reefmesh.contracts.channels import QUARANTINE, Subscription
from reefmesh_components.activemq_client import PATIENCE_SECONDS, Events, client, publication
from reefmesh_components.activemq_process import ActivemqProcess


def sending_ahead(process: ActivemqProcess) -> str:
    """Return an address under which all lanes of a consumer share one subscription."""
    return process.url(parameters="subscriptions=1")


def of_reef(reef_id: str, *numbers: int) -> list[Publication]:
    return [publication(QUARANTINE.name, number, reef_id=reef_id) for number in numbers]


async def take(consumer: Consumer, lane: int) -> Delivery:
    delivery = await asyncio.wait_for(consumer.lanes[lane].receive(), PATIENCE_SECONDS)
    assert delivery is not None
    return delivery


def name_of(delivery: Delivery) -> tuple[str, int | None]:
    return delivery.message.reef_id, delivery.message.seq


@asynccontextmanager
async def consuming(process: ActivemqProcess, subscription: Subscription, *, lanes: int) -> AsyncIterator[Consumer]:
    """A consumer on a client of its own, as another process would be."""
    async with client(sending_ahead(process)) as broker:
        consumer = broker.consumer(subscription, lanes=lanes)
        await consumer.start()
        yield consumer
        await consumer.close()


@asynccontextmanager
async def watched(
    process: ActivemqProcess, subscription: Subscription, *, lanes: int
) -> AsyncIterator[tuple[Consumer, Events]]:
    """A consumer that is drained in the end, and what its client tells."""
    async with client(sending_ahead(process)) as broker:
        events, consumer = Events(broker), broker.consumer(subscription, lanes=lanes)
        await consumer.start()
        yield consumer, events
        await asyncio.wait_for(consumer.drain(), PATIENCE_SECONDS)


@asynccontextmanager
async def subscribed(process: ActivemqProcess) -> AsyncIterator[tuple[Subscription, ActiveMQBroker]]:
    """A subscription of numbered messages that nobody used before, and a client to publish with."""
    subscription = Subscription(f"ahead-{uuid.uuid4().hex[:8]}", QUARANTINE)
    async with client(process.url()) as publisher:
        await publisher.declare([subscription])
        yield subscription, publisher


async def test_drained_with_messages_ahead_all_are_handled_and_none_is_delivered_again(
    activemq_process: ActivemqProcess,
) -> None:
    async with subscribed(activemq_process) as (subscription, publisher):
        async with consuming(activemq_process, subscription, lanes=4) as consumer:
            await publisher.publish([*of_reef("reef-a", 1, 2, 3), *of_reef("reef-b", 1, 2), *of_reef("reef-a", 4)])
            held = [await take(consumer, 0), await take(consumer, 1)]  # the first and the last of the four that were sent ahead
            draining = asyncio.create_task(consumer.drain())
            await asyncio.sleep(0)  # one turn of the loop, so that the drain has begun
            for lane in (0, 1):
                await consumer.lanes[lane].settle(held[lane], ())
            seen = [name_of(delivery) for delivery in held]
            while (delivery := await asyncio.wait_for(consumer.lanes[0].receive(), PATIENCE_SECONDS)) is not None:
                assert not delivery.redelivered
                seen.append(name_of(delivery))
                await consumer.lanes[0].settle(delivery, ())
            await asyncio.wait_for(draining, PATIENCE_SECONDS)
            assert seen == [("reef-a", 1), ("reef-b", 1), ("reef-a", 2), ("reef-a", 3)]
        async with consuming(activemq_process, subscription, lanes=4) as successor:
            for expected in (("reef-b", 2), ("reef-a", 4)):
                delivery = await take(successor, 0)
                assert name_of(delivery) == expected
                await successor.lanes[0].settle(delivery, ())


async def test_settled_behind_an_open_one_and_lost_it_comes_once_more_in_order(activemq_process: ActivemqProcess) -> None:
    """The broker hears of an acknowledgement when everything before it is done: a crash may come in between."""
    async with subscribed(activemq_process) as (subscription, publisher):
        async with client(sending_ahead(activemq_process)) as broker:
            consumer = broker.consumer(subscription, lanes=3)
            await consumer.start()
            await publisher.publish([*of_reef("reef-a", 1), *of_reef("reef-b", 1, 2)])
            held = [await take(consumer, 0), await take(consumer, 1)]
            await consumer.lanes[1].settle(held[1], ())
            assert name_of(await take(consumer, 1)) == ("reef-b", 2)
            broker.abort()
        async with consuming(activemq_process, subscription, lanes=3) as successor:
            seen = []
            for _ in range(3):
                delivery = await take(successor, 0)
                seen.append((*name_of(delivery), delivery.redelivered))
                await successor.lanes[0].settle(delivery, ())
            assert seen == [("reef-a", 1, True), ("reef-b", 1, True), ("reef-b", 2, True)]


async def test_stuck_reef_with_its_own_messages_ahead_holds_up_no_other(activemq_process: ActivemqProcess) -> None:
    """They fill the window; the reef moves to a subscription of its own, and its order with it."""
    async with (
        subscribed(activemq_process) as (subscription, publisher),
        watched(activemq_process, subscription, lanes=3) as (consumer, events),
    ):
        await publisher.publish([*of_reef("reef-a", 1, 2, 3, 4), *of_reef("reef-b", 1, 2)])
        stuck = await take(consumer, 0)
        for number in (1, 2):
            delivery = await take(consumer, 1)
            assert name_of(delivery) == ("reef-b", number)
            await consumer.lanes[1].settle(delivery, ())
        assert 1 == events.count("reef_isolated")
        assert isinstance(stuck.token, Hold)
        dedicated = stuck.token.message.source
        assert isinstance(dedicated, BrokerSubscription)
        assert 3 == dedicated.prefetch, "what was ahead of the reef must go over in its order"
        await consumer.lanes[0].settle(stuck, ())
        assert name_of(stuck) == ("reef-a", 1)
        for number in (2, 3, 4):
            delivery = await take(consumer, 1)
            assert name_of(delivery) == ("reef-a", number)
            await consumer.lanes[1].settle(delivery, ())


async def test_two_stuck_reefs_of_one_subscription_move_together(activemq_process: ActivemqProcess) -> None:
    """What was settled behind them could not be acknowledged: it comes once more, and says so."""
    async with (
        subscribed(activemq_process) as (subscription, publisher),
        watched(activemq_process, subscription, lanes=3) as (consumer, events),
    ):
        await publisher.publish([*of_reef("reef-a", 1), *of_reef("reef-b", 1), *of_reef("reef-c", 1)])
        stuck = [await take(consumer, 0), await take(consumer, 1)]
        taken = await take(consumer, 2)
        await consumer.lanes[2].settle(taken, ())
        idle = asyncio.create_task(consumer.lanes[2].receive())
        await events.until("reef_isolated", 2)
        await publisher.publish(of_reef("reef-c", 2))
        repeat = await asyncio.wait_for(idle, PATIENCE_SECONDS)
        assert repeat is not None
        assert (name_of(repeat), repeat.redelivered) == (("reef-c", 1), True)
        await consumer.lanes[2].settle(repeat, ())
        following = await take(consumer, 2)
        assert name_of(following) == ("reef-c", 2)
        for lane, delivery in enumerate([*stuck, following]):
            await consumer.lanes[lane].settle(delivery, ())


async def test_parked_behind_an_open_one_only_once_that_is_settled(activemq_process: ActivemqProcess) -> None:
    """Parked before its acknowledgement can be written, it would be parked twice after a crash."""
    async with (
        subscribed(activemq_process) as (subscription, publisher),
        watched(activemq_process, subscription, lanes=2) as (consumer, _),
    ):
        await publisher.publish([*of_reef("reef-a", 1), *of_reef("reef-b", 1)])
        open_one, poison = await take(consumer, 0), await take(consumer, 1)
        parking = asyncio.create_task(consumer.lanes[1].park(poison, reason="bad-body", detail="", attempts=1))
        await asyncio.sleep(0)
        assert await publisher.parking(subscription).list() == []
        assert not parking.done()
        await consumer.lanes[0].settle(open_one, ())
        await asyncio.wait_for(parking, PATIENCE_SECONDS)
        (parked,) = await publisher.parking(subscription).list()
        assert parked.message.reef_id == "reef-b"
        await publisher.parking(subscription).discard([parked.parking_id])


async def test_given_up_while_the_broker_may_still_send_it_stays_here(activemq_process: ActivemqProcess) -> None:
    async with (
        subscribed(activemq_process) as (subscription, publisher),
        consuming(activemq_process, subscription, lanes=3) as consumer,
    ):
        await publisher.publish([*of_reef("reef-a", 1), *of_reef("reef-b", 1)])
        given_up, other = await take(consumer, 0), await take(consumer, 1)
        await consumer.lanes[0].release(given_up)
        again = await take(consumer, 0)
        assert (name_of(again), again.redelivered) == (("reef-a", 1), True)
        await consumer.lanes[1].settle(other, ())  # it is still ours: nothing went back to the broker
        await consumer.lanes[0].settle(again, ())
