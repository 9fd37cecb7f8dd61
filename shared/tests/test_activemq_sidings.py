"""Messages that take long move to a subscription of their own, on a real broker."""

import asyncio

from reefmesh.broker.activemq.destinations import consumer_advisories, subscription_queue
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.lane import Ticket
from reefmesh.broker.activemq.message_headers import GROUP, to_frame
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import Address
from reefmesh.broker.port import BrokerEvent
from reefmesh.contracts.channels import Subscription
from reefmesh_components.activemq_client import PATIENCE_SECONDS, Events, client, one_busy_one_idle, publication, receive
from reefmesh_components.activemq_process import ActivemqProcess


async def test_message_settled_while_it_moves_to_a_siding_does_not_come_again(activemq_process: ActivemqProcess) -> None:
    subscription = Subscription("alpha", "siding")
    async with client(activemq_process.url()) as broker:
        events = Events(broker)
        await broker.declare([subscription])
        consumer = broker.consumer(subscription, lanes=2)
        await consumer.start()
        await broker.publish([publication("siding", number) for number in (1, 2)])
        slow, idle = await one_busy_one_idle(consumer)
        settling: list[asyncio.Task[None]] = []

        def settle_at_once(event: BrokerEvent) -> None:
            if event.name == "reef_moved":
                settling.append(asyncio.create_task(consumer.lanes[slow.lane].settle(slow, ())))

        broker.on_event(settle_at_once)
        await events.until("reef_moved")
        await asyncio.wait_for(settling[0], PATIENCE_SECONDS)
        following = await asyncio.wait_for(idle, PATIENCE_SECONDS)
        assert following is not None
        assert (1, 2) == (slow.message.seq, following.message.seq)
        assert isinstance(following.token, Ticket)
        assert not following.token.mail.slot.leave_when_free, "the siding has ended: this came through one of the lasting slots"
        await consumer.lanes[following.lane].settle(following, ())
        await consumer.drain()


async def test_message_in_no_group_that_takes_long_stays_in_its_hands(activemq_process: ActivemqProcess) -> None:
    """Nothing is to be gained for it, and nothing is lost: it comes back through another slot, and the siding is given up."""
    subscription = Subscription("alpha", "siding-ungrouped")
    async with client(activemq_process.url()) as broker:
        events = Events(broker)
        await broker.declare([subscription])
        consumer = broker.consumer(subscription, lanes=2)
        await consumer.start()
        address = Address.parse(activemq_process.url())
        session = await Session.open(address, address.endpoints[0], None)
        headers = [each for each in to_frame(publication("siding-ungrouped").message) if each[0] != GROUP]
        await session.request("SEND", (("destination", subscription_queue(subscription)), *headers), b"{}")
        counts: list[int] = []
        siding_ended = asyncio.Event()

        def count(advisory: Frame) -> None:
            counts.append(int(advisory.headers["consumerCount"]))
            if counts[-4:] == [3, 2, 3, 2]:  # the siding began, its slot ended and began again, the siding ended
                siding_ended.set()

        await session.subscribe("watcher", consumer_advisories(subscription), (("ack", "auto"),), count)
        slow, idle = await one_busy_one_idle(consumer)
        await events.until("reef_moved")
        await asyncio.wait_for(siding_ended.wait(), PATIENCE_SECONDS)
        await session.close()
        await consumer.lanes[slow.lane].settle(slow, ())
        await broker.publish([publication("siding-ungrouped", 2)])
        following = await asyncio.wait_for(idle, PATIENCE_SECONDS)
        assert following is not None
        assert 2 == following.message.seq
        await consumer.lanes[following.lane].settle(following, ())
        await consumer.drain()
        await broker.publish([publication("siding-ungrouped", 3)])
        assert 3 == (await receive(broker, subscription)).message.seq
