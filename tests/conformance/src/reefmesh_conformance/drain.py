"""Law 6: take nothing new, finish what is in flight, then leave; a clean stop causes no redelivery."""

import asyncio

from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage


class DrainLaw(Law):
    async def test_drained_idle_every_waiting_receive_returns_none(self, stage: Stage) -> None:
        subscription = stage.subscription()
        client = await stage.client(subscription)
        consumer = client.consumer(subscription, lanes=3)
        await consumer.start()
        waiting = [asyncio.create_task(lane.receive()) for lane in consumer.lanes]
        await asyncio.sleep(0)  # one turn of the loop, so that the receives are waiting
        await asyncio.wait_for(consumer.drain(), stage.patience_seconds)
        assert await asyncio.wait_for(asyncio.gather(*waiting), stage.patience_seconds) == [None] * 3
        assert await asyncio.wait_for(consumer.lanes[0].receive(), stage.patience_seconds) is None

    async def test_drained_with_one_in_hand_waits_for_it_and_takes_nothing_new(self, stage: Stage) -> None:
        """The message in hand may still be settled; no lane gets another, whatever is waiting."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 2, "reef-b": 2})
        consumer = client.consumer(subscription, lanes=1)
        await consumer.start()
        lane = consumer.lanes[0]
        held = await stage.receive(lane)
        draining = asyncio.create_task(consumer.drain())
        await asyncio.sleep(0)  # one turn of the loop, so that the drain has begun
        assert not draining.done()
        await lane.settle(held, ())
        assert await asyncio.wait_for(lane.receive(), stage.patience_seconds) is None
        await asyncio.wait_for(draining, stage.patience_seconds)

        other, ledger = await stage.client(), stage.ledger()
        ledger.expect(held.message.reef_id, 1)
        async with stage.crew(other, subscription, ledger):
            await stage.settled(ledger, 3)
        ledger.assert_lawful()
        assert {held.message.reef_id: [1]} == {r: n for r, n in ledger.settled.items() if r == held.message.reef_id}

    async def test_drained_with_two_in_hand_the_lane_that_is_done_gets_nothing_more(self, stage: Stage) -> None:
        """While one lane still works, a lane that has finished is told that it is over."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 2, "reef-b": 2})
        consumer = client.consumer(subscription, lanes=2)
        await consumer.start()
        held = [await stage.receive(lane) for lane in consumer.lanes]
        draining = asyncio.create_task(consumer.drain())
        await asyncio.sleep(0)  # one turn of the loop, so that the drain has begun
        await consumer.lanes[0].settle(held[0], ())
        assert await asyncio.wait_for(consumer.lanes[0].receive(), stage.patience_seconds) is None
        assert not draining.done()
        await consumer.lanes[1].settle(held[1], ())
        assert await asyncio.wait_for(consumer.lanes[1].receive(), stage.patience_seconds) is None
        await asyncio.wait_for(draining, stage.patience_seconds)

    async def test_drained_at_work_nothing_redelivered_nothing_lost(self, stage: Stage) -> None:
        """A clean stop in the middle of a backlog: the successor goes on exactly where it ended."""
        subscription, ledger = stage.subscription(), stage.ledger()
        client, successor = await stage.client(subscription), await stage.client()
        counts = await stage.publish(client, {f"reef-{index}": 20 for index in range(6)})
        async with stage.crew(client, subscription, ledger, lanes=4, name="before") as crew:
            await stage.settled(ledger, 30)
            await asyncio.wait_for(crew.drain(), stage.patience_seconds)
        before = {(reef, number) for reef, numbers in ledger.settled.items() for number in numbers}
        async with stage.crew(successor, subscription, ledger, lanes=4, name="after"):
            await stage.settled(ledger, 120)
        ledger.assert_complete(counts)
        assert set() == before & ledger.redelivered

    async def test_drained_by_release_returns(self, stage: Stage) -> None:
        """A delivery given back is no longer waited for."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 1})
        consumer = client.consumer(subscription, lanes=1)
        await consumer.start()
        held = await stage.receive(consumer.lanes[0])
        draining = asyncio.create_task(consumer.drain())
        await consumer.lanes[0].release(held)
        await asyncio.wait_for(draining, stage.patience_seconds)
        async with stage.consuming(client, subscription) as successor:
            assert held.message == (await stage.receive(successor.lanes[0])).message

    async def test_drain_and_close_before_start_and_twice_return(self, stage: Stage) -> None:
        """Stopping is idempotent and safe at any time."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        fresh = client.consumer(subscription, lanes=2)
        await fresh.drain()
        await fresh.close()
        assert await asyncio.wait_for(fresh.lanes[0].receive(), stage.patience_seconds) is None
        started = client.consumer(subscription, lanes=2)
        await started.start()
        for _ in range(2):
            await asyncio.wait_for(started.drain(), stage.patience_seconds)
        for _ in range(2):
            await started.close()
