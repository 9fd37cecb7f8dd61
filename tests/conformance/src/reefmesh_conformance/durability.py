"""Law 3: ``publish`` returns when the broker has confirmed a durable write, and raises otherwise."""

import pytest

from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage


class DurabilityLaw(Law):
    async def test_published_before_any_consumer_waits_for_it(self, stage: Stage) -> None:
        """A declared subscription keeps what is published while nobody listens."""
        subscription, ledger = stage.subscription(), stage.ledger()
        client = await stage.client(subscription)
        counts = await stage.publish(client, {"reef-a": 5, "reef-b": 3})
        await client.close()
        later = await stage.client(subscription)
        async with stage.crew(later, subscription, ledger):
            await stage.settled(ledger, 8)
        ledger.assert_complete(counts)

    async def test_published_to_a_channel_without_subscriptions_is_confirmed(self, stage: Stage) -> None:
        """A channel nobody subscribed to is no error, and the client goes on working."""
        subscription = stage.subscription()
        client = await stage.client()
        await stage.publish(client, {"reef-a": 3})
        await client.declare([subscription])
        await stage.publish(client, {"reef-a": 1}, first=3)
        async with stage.consuming(client, subscription) as consumer:
            assert stage.message("reef-a", 3) == (await stage.receive(consumer.lanes[0])).message

    async def test_publishing_nothing_returns(self, stage: Stage) -> None:
        client = await stage.client()
        await client.publish([])

    @pytest.mark.restarts
    async def test_broker_restarted_everything_confirmed_is_there_in_order(self, stage: Stage) -> None:
        """What was confirmed survives the broker; what was settled does not come back."""
        if not stage.capabilities.restarts:
            pytest.skip("restarts: this engine cannot be restarted here")
        subscription, ledger = stage.subscription(), stage.ledger()
        client = await stage.client(subscription)
        counts = await stage.publish(client, {"reef-a": 20, "reef-b": 10})
        async with stage.consuming(client, subscription) as consumer:
            settled = await stage.receive(consumer.lanes[0])
            await consumer.lanes[0].settle(settled, ())
        await stage.restart()
        client = await stage.client(subscription)
        first = settled.message.reef_id
        ledger.settled[first] = [0]
        ledger.expect(first, 1)
        async with stage.crew(client, subscription, ledger):
            await stage.settled(ledger, 30)
        ledger.assert_complete(counts)
