"""Stuck and hot reefs are isolated, on a real broker."""

import asyncio
from typing import Final

import pytest

from reefmesh.broker.activemq.destinations import consumer_advisories, subscription_queue
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.isolation_watch import IsolationLimits
from reefmesh.broker.activemq.message_headers import GROUP, to_frame
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.port import BrokerEvent, Lane
from reefmesh.contracts.channels import QUARANTINE, Channel, Subscription
from reefmesh_components.activemq_client import PATIENCE_SECONDS, Events, client, one_busy_one_idle, publication, receive
from reefmesh_components.activemq_process import ActivemqProcess

LANES: Final = 3
BACKLOG: Final = 2000
BACKLOG_SECONDS: Final = 250.0
"""To work it off, one message after the other, on a machine that does other things too; alone it takes 5."""


async def test_message_settled_while_it_is_carried_over_does_not_come_again(activemq_process: ActivemqProcess) -> None:
    subscription = Subscription("alpha", Channel("isolated", numbered=False))
    async with client(activemq_process.url()) as broker:
        events = Events(broker)
        await broker.declare([subscription])
        consumer = broker.consumer(subscription, lanes=2)
        await consumer.start()
        await broker.publish([publication("isolated", number) for number in (1, 2)])
        slow, idle = await one_busy_one_idle(consumer)
        settling: list[asyncio.Task[None]] = []

        def settle_at_once(event: BrokerEvent) -> None:
            if event.name == "reef_isolated":
                settling.append(asyncio.create_task(consumer.lanes[slow.lane].settle(slow, ())))

        broker.on_event(settle_at_once)
        await events.until("reef_isolated")
        await asyncio.wait_for(settling[0], PATIENCE_SECONDS)
        following = await asyncio.wait_for(idle, PATIENCE_SECONDS)
        assert following is not None
        assert (1, 2) == (slow.message.seq, following.message.seq)
        await consumer.lanes[following.lane].settle(following, ())
        await consumer.drain()


async def test_message_in_no_group_that_takes_long_stays_in_its_hands(activemq_process: ActivemqProcess) -> None:
    """It comes back through a shared subscription: nothing is gained and nothing lost, and the dedicated one ends."""
    subscription = Subscription("alpha", Channel("isolated-ungrouped", numbered=False))
    async with client(activemq_process.url()) as broker:
        events = Events(broker)
        await broker.declare([subscription])
        consumer = broker.consumer(subscription, lanes=2)
        await consumer.start()
        address = ActiveMQAddress.parse(activemq_process.url())
        session = await Session.open(address, address.endpoints[0], None)
        headers = [each for each in to_frame(publication("isolated-ungrouped").message) if each[0] != GROUP]
        await session.request("SEND", (("destination", subscription_queue(subscription)), *headers), b"{}")
        counts: list[int] = []
        dedicated_ended = asyncio.Event()

        def count(advisory: Frame) -> None:
            counts.append(int(advisory.headers["consumerCount"]))
            if counts[-4:] == [3, 2, 3, 2]:  # dedicated one begins, shared one is renewed, dedicated one ends
                dedicated_ended.set()

        await session.subscribe("watcher", consumer_advisories(subscription), (("ack", "auto"),), count)
        slow, idle = await one_busy_one_idle(consumer)
        await events.until("reef_isolated")
        await asyncio.wait_for(dedicated_ended.wait(), PATIENCE_SECONDS)
        await session.close()
        await consumer.lanes[slow.lane].settle(slow, ())
        await broker.publish([publication("isolated-ungrouped", 2)])
        following = await asyncio.wait_for(idle, PATIENCE_SECONDS)
        assert following is not None
        assert 2 == following.message.seq
        await consumer.lanes[following.lane].settle(following, ())
        await consumer.drain()
        await broker.publish([publication("isolated-ungrouped", 3)])
        assert 3 == (await receive(broker, subscription)).message.seq


@pytest.mark.parametrize("subscriptions", [1, LANES])
async def test_hot_reef_with_a_backlog_holds_up_no_other(activemq_process: ActivemqProcess, subscriptions: int) -> None:
    """Reefs that share its subscription do not wait for its backlog, although all of it is older than what they send."""
    subscription = Subscription(f"hot-{subscriptions}", QUARANTINE)
    others = [f"reef-{number}" for number in range(2 * LANES)]
    url = activemq_process.url(parameters=f"subscriptions={subscriptions}")
    async with (
        client(activemq_process.url()) as publisher,
        client(url, limits=IsolationLimits(patience_seconds=0.1)) as broker,
    ):
        events, seen = Events(broker), list[tuple[str, int | None]]()
        await publisher.declare([subscription])
        consumer = broker.consumer(subscription, lanes=LANES)
        await consumer.start()
        known, all_known, all_seen = {"hot", *others}, asyncio.Event(), asyncio.Event()

        async def work(lane: Lane) -> None:
            while (delivery := await lane.receive()) is not None:
                await lane.settle(delivery, ())
                if not delivery.redelivered or (delivery.message.reef_id, delivery.message.seq) not in seen:
                    seen.append((delivery.message.reef_id, delivery.message.seq))
                if len(seen) == len(known):
                    all_known.set()
                if len(seen) == len(known) + BACKLOG + len(others):
                    all_seen.set()

        async with asyncio.timeout(BACKLOG_SECONDS), asyncio.TaskGroup() as working:
            for lane in consumer.lanes:
                working.create_task(work(lane))
            await publisher.publish([publication(QUARANTINE.name, 1, reef_id=reef_id) for reef_id in sorted(known)])
            await all_known.wait()  # from here on each belongs to a subscription
            backlog = [publication(QUARANTINE.name, number, reef_id="hot") for number in range(2, BACKLOG + 2)]
            await publisher.publish([*backlog, *(publication(QUARANTINE.name, 2, reef_id=reef_id) for reef_id in others)])
            seen_before = len(seen)
            await all_seen.wait()
            await consumer.drain()
    hot = [number for reef_id, number in seen if reef_id == "hot"]
    assert hot == list(range(1, BACKLOG + 2))
    waited_for = max(seen.index((reef_id, 2)) for reef_id in others) - seen_before
    assert waited_for < (BACKLOG - seen_before) / 2, "they waited for the hot reef's backlog"
    assert 1 <= events.count("reef_isolated") <= 4, "it keeps its subscription while the backlog lasts"


async def test_drain_while_a_hot_reef_has_a_subscription_of_its_own_leaves_its_backlog(
    activemq_process: ActivemqProcess,
) -> None:
    """Law 6: what came is worked off, nothing new is taken, nothing that was handled comes again."""
    subscription = Subscription("hot-drained", QUARANTINE)
    url = activemq_process.url(parameters="subscriptions=1")
    async with client(activemq_process.url()) as publisher:
        await publisher.declare([subscription])
        seen: list[int | None] = []
        async with client(url, limits=IsolationLimits(patience_seconds=0.1)) as broker:
            events = Events(broker)
            consumer = broker.consumer(subscription, lanes=LANES)
            await consumer.start()

            async def work(lane: Lane) -> None:
                while (delivery := await lane.receive()) is not None:
                    await lane.settle(delivery, ())
                    if delivery.message.reef_id == "hot" and delivery.message.seq not in seen:
                        seen.append(delivery.message.seq)

            async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as working:
                for lane in consumer.lanes:
                    working.create_task(work(lane))
                backlog = [publication(QUARANTINE.name, number, reef_id="hot") for number in range(1, BACKLOG + 1)]
                await publisher.publish([publication(QUARANTINE.name, 1, reef_id="reef-1"), *backlog])
                await events.until("reef_isolated")
                await consumer.drain()
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) < BACKLOG, "the drain went on until the backlog was gone"
        assert (await receive(publisher, subscription)).message.seq == len(seen) + 1
