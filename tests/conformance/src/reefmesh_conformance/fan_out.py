"""A channel fans out: every subscription gets every message, with its groups kept."""

import asyncio
from collections.abc import Sequence

from reefmesh.broker.port import Delivery, Publication
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage, number_of


class FanOutLaw(Law):
    async def test_three_subscriptions_each_gets_everything_in_order(self, stage: Stage) -> None:
        subscriptions = [stage.subscription(service) for service in ("alpha", "beta", "gamma")]
        ledgers = [stage.ledger() for _ in subscriptions]
        client = await stage.client(*subscriptions)
        counts = {f"reef-{index}": 15 for index in range(5)}
        async with (
            stage.crew(client, subscriptions[0], ledgers[0], lanes=1),
            stage.crew(client, subscriptions[1], ledgers[1], lanes=3),
            stage.crew(client, subscriptions[2], ledgers[2], lanes=8),
        ):
            await stage.publish(client, counts)
            for ledger in ledgers:
                await stage.settled(ledger, 75)
        for ledger in ledgers:
            ledger.assert_complete(counts)

    async def test_stuck_in_one_subscription_the_other_flows(self, stage: Stage) -> None:
        """A reef that stands still in one service goes on in the others."""
        stuck, free, gate = stage.subscription("alpha"), stage.subscription("beta"), asyncio.Event()
        stuck_ledger, free_ledger = stage.ledger(), stage.ledger()
        client = await stage.client(stuck, free)

        async def wait(_: Delivery) -> Sequence[Publication]:
            await gate.wait()
            return ()

        async with (
            stage.crew(client, stuck, stuck_ledger, lanes=2, handle=wait),
            stage.crew(client, free, free_ledger, lanes=2),
        ):
            counts = await stage.publish(client, {"reef-a": 10, "reef-b": 10})
            await stage.settled(free_ledger, 20)
            free_ledger.assert_complete(counts)
            assert stuck_ledger.settled_messages == 0
            gate.set()
            await stage.settled(stuck_ledger, 20)
        stuck_ledger.assert_complete(counts)

    async def test_declared_later_gets_only_what_is_published_from_then_on(self, stage: Stage) -> None:
        early, late = stage.subscription("alpha"), stage.subscription("beta")
        client = await stage.client(early)
        await stage.publish(client, {"reef-a": 2})
        await client.declare([early, late])
        await client.declare([late])
        await stage.publish(client, {"reef-a": 1}, first=2)
        async with stage.consuming(client, late) as consumer:
            assert number_of((await stage.receive(consumer.lanes[0])).message) == 2
        async with stage.consuming(client, early) as consumer:
            assert number_of((await stage.receive(consumer.lanes[0])).message) == 0
