"""Clients may be stopped at any time, any number of times, and say what happens to them."""

import asyncio

import pytest

from reefmesh.broker.port import BrokerEvent, BrokerUnavailable
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage


class LifecycleLaw(Law):
    async def test_closed_twice_returns(self, stage: Stage) -> None:
        client = await stage.client()
        await client.close()
        await client.close()

    async def test_closed_client_publish_raises(self, stage: Stage) -> None:
        """A message given to a closed client is not taken in silence."""
        client = await stage.client()
        await client.close()
        with pytest.raises(BrokerUnavailable):
            await client.publish([stage.publication("reef-a", 0)])

    async def test_client_closed_waiting_receive_returns_none(self, stage: Stage) -> None:
        subscription = stage.subscription()
        client = await stage.client(subscription)
        consumer = client.consumer(subscription, lanes=1)
        await consumer.start()
        waiting = asyncio.create_task(consumer.lanes[0].receive())
        await asyncio.sleep(0)  # one turn of the loop, so that the receive is waiting
        await client.close()
        assert await asyncio.wait_for(waiting, stage.patience_seconds) is None

    async def test_consumer_closed_with_a_message_in_hand_drain_returns(self, stage: Stage) -> None:
        """Whoever gave up at once has nothing to wait for: a stop after too much poison must not take the drain time-out."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await client.publish([stage.publication("reef-a", 0)])
        consumer = client.consumer(subscription, lanes=2)
        await consumer.start()
        await stage.receive(consumer.lanes[0])
        await consumer.close()
        await asyncio.wait_for(consumer.drain(), stage.patience_seconds)

    async def test_receive_cancelled_nothing_is_lost(self, stage: Stage) -> None:
        """A receive that is given up takes no message with it."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        async with stage.consuming(client, subscription) as consumer:
            lane = consumer.lanes[0]
            for number in range(5):
                waiting = asyncio.create_task(lane.receive())
                await asyncio.sleep(0)  # one turn of the loop, so that the receive is waiting
                publishing = asyncio.create_task(client.publish([stage.publication("reef-a", number)]))
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                await publishing
                delivery = await stage.receive(lane)
                assert stage.message("reef-a", number) == delivery.message
                await lane.settle(delivery, ())

    async def test_consumer_lanes_are_numbered(self, stage: Stage) -> None:
        client = await stage.client(stage.subscription())
        assert [lane.index for lane in client.consumer(stage.subscription(), lanes=3).lanes] == [0, 1, 2]

    async def test_consumer_started_listeners_hear_of_it(self, stage: Stage) -> None:
        """Someone joining a subscription is an event for whoever is on it."""
        subscription = stage.subscription()
        client, other = await stage.client(subscription), await stage.client()
        heard: list[BrokerEvent] = []
        changed = asyncio.Event()

        def listen(event: BrokerEvent) -> None:
            heard.append(event)
            if event.name == "consumers_changed":
                changed.set()

        async with stage.consuming(client, subscription):
            client.on_event(listen)
            async with stage.consuming(other, subscription):
                await asyncio.wait_for(changed.wait(), stage.patience_seconds)
        assert "consumers_changed" in {event.name for event in heard}
