"""Law 7: when consumers join or leave, reefs spread over all of them, and no reef is ever handled by two at once."""

import asyncio
from collections.abc import Sequence

import pytest

from reefmesh.broker.port import Broker, Delivery, Publication
from reefmesh.contracts.channels import Subscription
from reefmesh_conformance.law import Law
from reefmesh_conformance.ledger import Ledger
from reefmesh_conformance.stage import Stage

REEFS = tuple(f"reef-{index}" for index in range(40))


class _Stream:
    """Publishes one round of all reefs after the other, until stopped, keeping a small backlog only."""

    def __init__(self, stage: Stage, client: Broker, ledger: Ledger) -> None:
        self.rounds = 0
        self._stage, self._client, self._ledger = stage, client, ledger
        self._stopped = False
        self._task = asyncio.create_task(self._publish())

    async def _publish(self) -> None:
        while not self._stopped:
            await self._stage.publish(self._client, dict.fromkeys(REEFS, 1), first=self.rounds)
            self.rounds += 1
            await self._stage.settled(self._ledger, (self.rounds - 1) * len(REEFS))

    async def stop(self) -> dict[str, int]:
        self._stopped = True
        await self._task
        counts = dict.fromkeys(REEFS, self.rounds)
        await self._stage.settled(self._ledger, sum(counts.values()))
        return counts


async def _brief(_: Delivery) -> Sequence[Publication]:
    await asyncio.sleep(0.001)  # work takes a moment: a reef is in hand long enough to be taken by another
    return ()


def _need_consumers(stage: Stage, count: int) -> None:
    if stage.capabilities.consumers_at_work < count:
        pytest.skip(f"consumers_at_work: below {count} here, so that some would have nothing")


class HandOverLaw(Law):
    async def _until_working(self, stage: Stage, ledger: Ledger, name: str, messages: int = 20) -> None:
        goal = ledger.settled_by[name] + messages
        await ledger.until(
            lambda: ledger.settled_by[name] >= goal,
            within_seconds=stage.capabilities.takeover_seconds,
            what=f"{messages} more messages at {name}",
        )

    async def test_second_client_joins_gets_reefs_without_overlap_or_inversion(self, stage: Stage) -> None:
        """A consumer that joins gets its share within seconds, and no reef is torn between two."""
        _need_consumers(stage, 2)
        subscription, ledger = stage.subscription(), stage.ledger()
        first, second = await stage.client(subscription), await stage.client()
        async with stage.crew(first, subscription, ledger, name="first", handle=_brief):
            stream = _Stream(stage, await stage.client(), ledger)
            await self._until_working(stage, ledger, "first")
            async with stage.crew(second, subscription, ledger, name="second", handle=_brief):
                await self._until_working(stage, ledger, "second")
                await self._until_working(stage, ledger, "first")
                counts = await stream.stop()
        ledger.assert_complete(counts)

    async def test_client_leaves_by_drain_other_takes_its_reefs_nothing_redelivered(self, stage: Stage) -> None:
        """A consumer that leaves cleanly leaves its reefs to the others at once."""
        subscription, ledger = stage.subscription(), stage.ledger()
        first, second = await stage.client(subscription), await stage.client()
        async with (
            stage.crew(first, subscription, ledger, name="first", handle=_brief) as leaving,
            stage.crew(second, subscription, ledger, name="second", handle=_brief),
        ):
            stream = _Stream(stage, await stage.client(), ledger)
            await stage.settled(ledger, 200)
            await asyncio.wait_for(leaving.drain(), stage.patience_seconds)
            at_leave = ledger.settled_by["first"]
            await self._until_working(stage, ledger, "second", 3 * len(REEFS))
            counts = await stream.stop()
            assert at_leave == ledger.settled_by["first"]
        ledger.assert_complete(counts)

    async def test_client_lost_at_work_other_finishes_every_reef_in_order(self, stage: Stage) -> None:
        """A consumer that dies holding reefs: another handles them, from the unsettled message on."""
        if not stage.capabilities.loses_clients:
            pytest.skip("loses_clients: this engine's clients cannot be cut off here")
        subscription, ledger, gate = stage.subscription(), stage.ledger(), asyncio.Event()
        first = await stage.client(subscription)

        async def stuck_at_two(delivery: Delivery) -> Sequence[Publication]:
            if delivery.message.event_id.endswith("/2"):
                await gate.wait()
            return ()

        counts = await stage.publish(first, dict.fromkeys(REEFS[:4], 6))
        async with stage.crew(first, subscription, ledger, lanes=4, name="first", handle=stuck_at_two) as crew:
            await stage.settled(ledger, 8)
            await ledger.until(
                lambda: all(ledger.holds(reef) for reef in REEFS[:4]), within_seconds=stage.patience_seconds, what="all held"
            )
            await crew.abandon()
            await stage.lose(first)
            async with stage.crew(await stage.client(), subscription, ledger, lanes=4, name="second"):
                await stage.settled(ledger, sum(counts.values()))
        ledger.assert_complete(counts)
        assert {(reef, 2) for reef in REEFS[:4]} <= ledger.redelivered

    async def test_clients_join_one_after_the_other_all_work(self, stage: Stage) -> None:
        """Four consumers, joined one by one under load, all end up with reefs."""
        _need_consumers(stage, 4)
        subscription, ledger = stage.subscription(), stage.ledger()
        await self._join(stage, subscription, ledger, ["a", "b", "c", "d"], None)

    async def _join(
        self, stage: Stage, subscription: Subscription, ledger: Ledger, names: list[str], stream: _Stream | None
    ) -> None:
        client = await stage.client(subscription)
        async with stage.crew(client, subscription, ledger, lanes=2, name=names[0], handle=_brief):
            stream = stream or _Stream(stage, await stage.client(), ledger)
            await self._until_working(stage, ledger, names[0], 5)
            if names[1:]:
                await self._join(stage, subscription, ledger, names[1:], stream)
            else:
                for name in ledger.settled_by.copy():
                    await self._until_working(stage, ledger, name, 5)
                ledger.assert_complete(await stream.stop())
