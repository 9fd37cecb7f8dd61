"""Law 2: different reefs run in parallel; a slow, hot or stuck reef delays only itself."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from itertools import count, islice

import pytest

from reefmesh.broker.port import Delivery, Publication
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Stage, number_of


def apart_from(reef_id: str, reefs: int, place_of: Callable[[str], Hashable]) -> list[str]:
    """Return the names of so many reefs that need not be where this one is."""
    names = (f"reef-{number}" for number in count())
    return list(islice((name for name in names if place_of(name) != place_of(reef_id)), reefs))


class ParallelLaw(Law):
    async def test_as_many_reefs_as_lanes_all_in_hand_at_once(self, stage: Stage) -> None:
        """K lanes hold K different reefs at the same time."""
        subscription = stage.subscription()
        client = await stage.client(subscription)
        reefs = {f"reef-{index}" for index in range(6)}
        await stage.publish(client, dict.fromkeys(sorted(reefs), 2))
        async with stage.consuming(client, subscription, lanes=6) as consumer:
            held = await asyncio.gather(*(stage.receive(lane) for lane in consumer.lanes))
            assert reefs == {delivery.message.reef_id for delivery in held}

    async def test_stuck_reef_with_a_backlog_other_reefs_flow(self, stage: Stage) -> None:
        """A reef that stands still, with its whole backlog ahead of everybody, holds up nobody else."""
        subscription, ledger, gate = stage.subscription(), stage.ledger(), asyncio.Event()
        client = await stage.client(subscription)
        backlog = stage.capabilities.backlog_messages

        async def handle(delivery: Delivery) -> Sequence[Publication]:
            if delivery.message.reef_id == "stuck":
                await gate.wait()
            return ()

        await stage.publish(client, {"stuck": backlog}, batch=500)
        others = await stage.publish(client, {f"reef-{index}": 10 for index in range(5)})
        async with stage.crew(client, subscription, ledger, lanes=3, handle=handle):
            await stage.settled(ledger, sum(others.values()))
            assert "stuck" not in ledger.settled
            assert ledger.holds("stuck")
            gate.set()
            await stage.settled(ledger, sum(others.values()) + backlog)
        ledger.assert_complete({**others, "stuck": backlog})

    async def test_stuck_reef_among_reefs_that_were_handled_before_they_flow(self, stage: Stage) -> None:
        """Every reef has an owner already when one of them gets stuck: whoever owns it may own others, and they flow."""
        subscription, ledger, gate = stage.subscription(), stage.ledger(), asyncio.Event()
        client, other = await stage.client(subscription), await stage.client()

        async def handle(delivery: Delivery) -> Sequence[Publication]:
            if (delivery.message.reef_id, number_of(delivery.message)) == ("reef-7", 2):
                await gate.wait()
            return ()

        async with (
            stage.crew(client, subscription, ledger, lanes=3, name="one", handle=handle),
            stage.crew(other, subscription, ledger, lanes=3, name="other", handle=handle),
        ):
            counts = await stage.publish(client, {f"reef-{index}": 2 for index in range(30)})
            await stage.settled(ledger, sum(counts.values()))
            await stage.publish(client, dict.fromkeys(counts, 3), first=2)
            await stage.settled(ledger, 5 * len(counts) - 3)
            assert ledger.holds("reef-7")
            gate.set()
            await stage.settled(ledger, 5 * len(counts))
        ledger.assert_complete(dict.fromkeys(counts, 5))

    async def test_stuck_reef_at_one_client_other_client_flows(self, stage: Stage) -> None:
        """A client whose only lane is stuck does not keep work from a client that has hands free."""
        if stage.capabilities.consumers_at_work < 2:
            pytest.skip("consumers_at_work: only one consumer works here, and it is the one that is stuck")
        subscription, ledger = stage.subscription(), stage.ledger()
        stuck, free = await stage.client(subscription), await stage.client()
        await stage.publish(stuck, {"stuck": 3})
        async with stage.consuming(stuck, subscription) as consumer:
            held = await stage.receive(consumer.lanes[0])
            assert held.message.reef_id == "stuck"
            async with stage.crew(free, subscription, ledger, lanes=2):
                others = await stage.publish(free, dict.fromkeys(apart_from("stuck", 4, stage.capabilities.place_of), 5))
                await stage.settled(ledger, sum(others.values()))
                ledger.assert_complete(others)

    async def test_isolated_while_in_hand_its_order_holds_and_others_flow(self, stage: Stage) -> None:
        """What is in hand settles as before, the reef's next messages follow in order, and no other reef waits for it."""
        subscription, ledger, gate = stage.subscription(), stage.ledger(), asyncio.Event()
        client = await stage.client(subscription)

        async def handle(delivery: Delivery) -> Sequence[Publication]:
            if (delivery.message.reef_id, number_of(delivery.message)) == ("slow", 1):
                await gate.wait()
            return ()

        async with stage.crew(client, subscription, ledger, lanes=3, handle=handle) as crew:
            counts = await stage.publish(client, {"slow": 1, **{f"reef-{index}": 1 for index in range(8)}})
            await stage.settled(ledger, len(counts))
            await stage.publish(client, dict.fromkeys(counts, 9), first=1)
            await ledger.until(
                lambda: ledger.holds("slow"), within_seconds=stage.patience_seconds, what="the slow reef is in hand"
            )
            await crew.consumer.isolate("slow")
            await stage.settled(ledger, 10 * len(counts) - 9)
            assert ledger.holds("slow")
            gate.set()
            await stage.settled(ledger, 10 * len(counts))
        ledger.assert_complete(dict.fromkeys(counts, 10))

    async def test_isolated_within_its_backlog_order_holds(self, stage: Stage) -> None:
        """A reef of which many messages wait, and have been sent ahead, is isolated again and again as it is worked off."""
        subscription, ledger = stage.subscription(), stage.ledger()
        client = await stage.client(subscription)
        async with stage.crew(client, subscription, ledger, lanes=3) as crew:
            counts = await stage.publish(client, {"hot": 200, "reef-1": 5, "reef-2": 5})
            for settled in (10, 60, 110):
                await stage.settled(ledger, settled)
                await crew.consumer.isolate("hot")
            await stage.settled(ledger, sum(counts.values()))
        ledger.assert_complete(counts)

    async def test_isolated_without_messages_or_after_the_end_nothing_happens(self, stage: Stage) -> None:
        subscription = stage.subscription()
        client = await stage.client(subscription)
        async with stage.consuming(client, subscription) as consumer:
            await consumer.isolate("reef-nobody")
            assert (await client.statistics()).subscriptions[subscription].isolated_reefs == ()
            await consumer.drain()
            await consumer.isolate("reef-nobody")
