"""All laws at once: clients that join, drain, close and vanish at random while reefs of all temperaments flow."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from reefmesh.broker.port import Broker, Delivery, Publication
from reefmesh_conformance.law import Law
from reefmesh_conformance.stage import Crew, Stage


class StressLaw(Law):
    @pytest.mark.parametrize("seed", [1, 2, 3])
    async def test_random_clients_come_and_go_every_message_settled_once_in_order(self, stage: Stage, seed: int) -> None:
        """However clients come and go: order, one at a time, nothing lost, nothing settled twice.

        In a numbered channel order rests on the numbers too: what was settled may come again and is not handled again, and a
        message that comes before its turn is given back until the missing one has come.
        """
        chance = random.Random(seed)
        subscription, ledger = stage.subscription(), stage.ledger(after_losses=True)
        publishing = await stage.client(subscription)
        counts = {f"reef-{index:02}": chance.choice([1, 5, 20, 60]) for index in range(25)}
        total = sum(counts.values())

        async def handle(_: Delivery) -> Sequence[Publication]:
            for _turn in range(chance.randrange(8)):
                await asyncio.sleep(0)
            return ()

        async def join(index: int) -> tuple[Broker, Crew]:
            client = await stage.client()
            crew = Crew(f"client-{index}", client.consumer(subscription, lanes=chance.choice([1, 2, 5])), ledger, handle)
            await crew.start()
            return client, crew

        crews = [await join(0)]
        sending = asyncio.create_task(stage.publish(publishing, counts, batch=13))
        for step in range(1, 9):
            await stage.settled(ledger, total * step // 10)
            crews.append(await join(step))
            if len(crews) > 2:
                client, crew = crews.pop(chance.randrange(len(crews)))
                match chance.choice(["drain", "close", "lose"]):
                    case "drain":
                        await asyncio.wait_for(crew.drain(), stage.patience_seconds)
                    case "lose" if stage.capabilities.loses_clients and stage.capabilities.loses_clients_alone:
                        await crew.abandon()
                        await stage.lose(client)
                    case _:
                        await crew.stop()
        await sending
        # a settlement interrupted above may be done without its client knowing; from here on nobody is interrupted
        await publishing.publish([stage.publication(reef, count) for reef, count in counts.items()])
        counts = {reef: count + 1 for reef, count in counts.items()}
        await ledger.until(
            lambda: ledger.reached(counts), within_seconds=stage.patience_seconds, what="the last message of every reef"
        )
        for _client, crew in crews:
            await asyncio.wait_for(crew.drain(), stage.patience_seconds)
        ledger.assert_lawful()
        for reef, count in counts.items():
            # a settlement whose outcome its client never learned is missing here, but never twice and never out of order
            assert sorted(set(ledger.settled[reef])) == ledger.settled[reef]
            assert count - 1 == ledger.settled[reef][-1]
