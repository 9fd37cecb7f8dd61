"""Laws 3 and 5: what was not settled is delivered again, in order, before later messages of its reef, and says so."""

import pytest

from reefmesh.broker.port import BrokerUnavailable, LaneLost
from reefmesh.contracts.channels import Subscription
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage, number_of


class RedeliveryLaw(Law):
    async def test_consumer_closed_unsettled_delivered_again_first_and_flagged(self, stage: Stage) -> None:
        """Closing gives up what is in hand; it comes again before any later message of its reef."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 3})
        async with stage.consuming(client, subscription, lanes=2) as consumer:
            first = await stage.receive(consumer.lanes[0])
            assert (number_of(first.message), first.redelivered) == (0, False)
        await self._assert_all_come(stage, subscription)

    async def test_client_closed_unsettled_delivered_again_first_and_flagged(self, stage: Stage) -> None:
        """The same when the whole client is closed."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 3})
        consumer = client.consumer(subscription, lanes=2)
        await consumer.start()
        await stage.receive(consumer.lanes[0])
        await client.close()
        await self._assert_all_come(stage, subscription)

    async def test_client_lost_unsettled_delivered_again_first_and_flagged(self, stage: Stage) -> None:
        """The same when the client vanishes without a farewell."""
        if not stage.capabilities.loses_clients:
            pytest.skip("loses_clients: this engine's clients cannot be cut off here")
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 3})
        consumer = client.consumer(subscription, lanes=2)
        await consumer.start()
        await stage.receive(consumer.lanes[0])
        await stage.lose(client)
        await self._assert_all_come(stage, subscription)

    @pytest.mark.restarts
    async def test_broker_restarted_unsettled_delivered_again_first_and_flagged(self, stage: Stage) -> None:
        """The same when the broker itself goes down and comes back."""
        if not stage.capabilities.restarts:
            pytest.skip("restarts: this engine cannot be restarted here")
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 3})
        consumer = client.consumer(subscription, lanes=2)
        await consumer.start()
        await stage.receive(consumer.lanes[0])
        await stage.restart()
        await self._assert_all_come(stage, subscription)

    async def _assert_all_come(self, stage: Stage, subscription: Subscription) -> None:
        later = await stage.client(subscription)
        async with stage.consuming(later, subscription) as consumer:
            lane = consumer.lanes[0]
            numbers: list[int] = []
            for _ in range(3):
                delivery = await stage.receive(lane)
                if not numbers:
                    assert delivery.redelivered
                numbers.append(number_of(delivery.message))
                await lane.settle(delivery, ())
            assert numbers == [0, 1, 2]

    async def test_released_delivered_again_before_later_ones_and_flagged(self, stage: Stage) -> None:
        """An interruption gives the message back, and its reef's order with it."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 2})
        async with stage.consuming(client, subscription, lanes=2) as consumer:
            lane = consumer.lanes[0]
            await lane.release(await stage.receive(lane))
            seen = []
            for _ in range(2):
                delivery = await stage.receive(lane)
                seen.append((number_of(delivery.message), delivery.redelivered))
                await lane.settle(delivery, ())
            assert seen[0] == (0, True)
            assert seen[1][0] == 1

    async def test_released_to_wait_its_reef_waits_and_no_lane_does(self, stage: Stage) -> None:
        """What waits for a missing message holds up its own reef alone, and comes first when its consumer is gone."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 3})
        async with stage.consuming(client, subscription, lanes=1) as consumer:
            (lane,) = consumer.lanes
            await lane.release(await stage.receive(lane), again_after_seconds=3600.0)
            await stage.publish(client, {"reef-b": 1})
            delivery = await stage.receive(lane)
            assert delivery.message.reef_id == "reef-b"
            await lane.settle(delivery, ())
        await client.close()
        await self._assert_all_come(stage, subscription)

    async def test_settled_after_its_consumer_closed_lane_is_lost_and_message_comes_again(self, stage: Stage) -> None:
        """A consumer that lost its delivery cannot settle it any more."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        await stage.publish(client, {"reef-a": 1})
        consumer = client.consumer(subscription, lanes=1)
        await consumer.start()
        lane = consumer.lanes[0]
        delivery = await stage.receive(lane)
        await consumer.close()
        with pytest.raises((LaneLost, BrokerUnavailable)):
            await lane.settle(delivery, ())
        async with stage.consuming(client, subscription) as successor:
            again = await stage.receive(successor.lanes[0])
            assert delivery.message == again.message
            assert again.redelivered
