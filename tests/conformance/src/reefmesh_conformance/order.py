"""Law 1: messages of one reef on one channel are handled one at a time, in publishing order."""

from collections.abc import Sequence

import pytest

from reefmesh.broker.port import Delivery, Publication
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage, number_of

REEFS = tuple(f"reef-{letter}" for letter in "abcdefg")


class OrderLaw(Law):
    @pytest.mark.parametrize("lanes", [1, 2, 8, 32])
    async def test_backlog_of_many_reefs_any_lanes_each_reef_in_publishing_order(self, stage: Stage, lanes: int) -> None:
        """Whatever the number of lanes, each reef's messages are handled one at a time and in order."""
        subscription, ledger = stage.subscription(), stage.ledger()
        client = await stage.client(subscription)
        counts = await stage.publish(client, dict.fromkeys(REEFS, 20))
        async with stage.crew(client, subscription, ledger, lanes=lanes):
            await stage.settled(ledger, sum(counts.values()))
        ledger.assert_complete(counts)

    async def test_messages_published_while_lanes_work_each_reef_in_publishing_order(self, stage: Stage) -> None:
        """Order holds when publishing, one by one and in batches, goes on while lanes empty the queue."""
        subscription, ledger = stage.subscription(), stage.ledger()
        consuming, publishing = await stage.client(subscription), await stage.client()
        async with stage.crew(consuming, subscription, ledger, lanes=8):
            first = 0
            for batch, each in ((1, 5), (7, 10), (50, 15)):
                await stage.publish(publishing, dict.fromkeys(REEFS, each), first=first, batch=batch)
                first += each
            await stage.settled(ledger, 30 * len(REEFS))
        ledger.assert_complete(dict.fromkeys(REEFS, 30))

    async def test_two_clients_share_a_subscription_one_at_a_time_in_order(self, stage: Stage) -> None:
        """Lanes of different clients obey the same order: a reef is never in two hands."""
        subscription, ledger = stage.subscription(), stage.ledger()
        first, second = await stage.client(subscription), await stage.client()
        async with (
            stage.crew(first, subscription, ledger, lanes=4, name="first"),
            stage.crew(second, subscription, ledger, lanes=4, name="second"),
        ):
            counts = await stage.publish(first, dict.fromkeys(REEFS, 40))
            await stage.settled(ledger, sum(counts.values()))
        ledger.assert_complete(counts)

    async def test_outputs_of_settlements_each_reef_in_order_downstream(self, stage: Stage) -> None:
        """What a reef's messages give, in the order of their settlement, arrives downstream in that order."""
        inbound, outbound = stage.subscription(), stage.subscription("beta", f"{stage.channel}.out")
        client = await stage.client(inbound, outbound)
        upstream, downstream = stage.ledger(), stage.ledger()

        async def forward(delivery: Delivery) -> Sequence[Publication]:
            message = delivery.message
            return [
                stage.publication(message.reef_id, 2 * number_of(message) + i, channel=outbound.channel.name) for i in (0, 1)
            ]

        async with (
            stage.crew(client, inbound, upstream, lanes=4, handle=forward),
            stage.crew(client, outbound, downstream, lanes=4, name="downstream"),
        ):
            await stage.publish(client, dict.fromkeys(REEFS, 15))
            await stage.settled(downstream, 30 * len(REEFS))
        upstream.assert_complete(dict.fromkeys(REEFS, 15))
        downstream.assert_complete(dict.fromkeys(REEFS, 30))
