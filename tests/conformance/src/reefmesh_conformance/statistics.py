"""A broker client knows its state; what it cannot see it does not invent."""

from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage


class StatisticsLaw(Law):
    async def test_connected_with_a_backlog_counts_are_right(self, stage: Stage) -> None:
        """In flight and lanes are always known; waiting and age are right, or None where the engine cannot see them."""
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
            assert 1 <= seen.in_flight_messages <= 3
            if seen.waiting_messages is not None:
                assert seen.waiting_messages + seen.in_flight_messages == 5
            if seen.oldest_age_seconds is not None:
                assert 0 <= seen.oldest_age_seconds < 3600
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
