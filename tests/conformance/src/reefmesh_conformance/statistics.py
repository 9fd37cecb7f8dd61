"""A broker client knows its state; what it cannot see it does not invent."""

import asyncio

from reefmesh.broker.port import Broker
from reefmesh.contracts.channels import Subscription
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage


class StatisticsLaw(Law):
    async def test_connected_with_a_backlog_counts_are_right(self, stage: Stage) -> None:
        """In flight and lanes are always known; waiting and age are right, or None where the engine cannot see them.

        In flight is all that this client has of the broker and has not acknowledged: where it takes messages ahead that may be
        more than there are lanes.
        """
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 3, "reef-b": 2})
        async with stage.consuming(client, subscription, lanes=3) as consumer:
            held = await stage.receive(consumer.lanes[0])
            statistics = await client.statistics()
            assert statistics.connected
            assert statistics.publishes_in_flight == 0
            seen = statistics.subscriptions[subscription]
            assert seen.lanes == 3
            assert 1 <= seen.lanes_busy <= 3
            assert seen.lanes_busy <= seen.in_flight_messages <= (5 if _may_take_ahead(stage) else 3)
            if seen.waiting_messages is not None:
                assert seen.waiting_messages + seen.in_flight_messages == 5
            if seen.oldest_age_seconds is not None:
                assert 0 <= seen.oldest_age_seconds < 3600
            await consumer.lanes[0].settle(held, ())

    async def test_one_reef_several_messages_ahead_only_where_something_tells_their_order(self, stage: Stage) -> None:
        """In a numbered channel an engine may take several messages of a reef before the first is settled. In a plain one it
        takes the next message of a reef only after the settlement, because nothing else would tell their order; unless its
        broker keeps the order of what was taken and not settled.

        An engine that takes several ahead must show here that it does: the other laws are tested with its windows open.
        """
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 6})
        async with stage.consuming(client, subscription, lanes=4) as consumer:
            held = await stage.receive(consumer.lanes[0])
            if stage.capabilities.takes_ahead and _may_take_ahead(stage):
                async with asyncio.timeout(stage.patience_seconds):
                    while await _in_flight(client, subscription) < 2:  # noqa: ASYNC110 - no event tells of a waiting message
                        await asyncio.sleep(0)  # one turn of the loop, in which frames may arrive
            else:
                await stage.publish(client, {"reef-b": 1})  # what comes now shows that no more of the first reef comes
                other = await stage.receive(consumer.lanes[1])
                assert other.message.reef_id == "reef-b"
                assert await _in_flight(client, subscription) == 2
            assert (await client.statistics()).subscriptions[subscription].lanes_busy <= 2
            await consumer.lanes[0].settle(held, ())

    async def test_everything_settled_nothing_in_flight(self, stage: Stage) -> None:
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 1})
        async with stage.consuming(client, subscription) as consumer:
            await consumer.lanes[0].settle(await stage.receive(consumer.lanes[0]), ())
            seen = (await client.statistics()).subscriptions[subscription]
            assert (seen.in_flight_messages, seen.lanes_busy) == (0, 0)
            assert seen.waiting_messages in (0, None)

    async def test_closed_says_not_connected(self, stage: Stage) -> None:
        client = await stage.client()
        await client.close()
        assert not (await client.statistics()).connected


def _may_take_ahead(stage: Stage) -> bool:
    return stage.numbered or stage.capabilities.returns_in_order


async def _in_flight(client: Broker, subscription: Subscription) -> int:
    return (await client.statistics()).subscriptions[subscription].in_flight_messages
