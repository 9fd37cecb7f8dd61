"""Laws 1, 2, 4 and 7 on a cluster of RabbitMQ, whose nodes die one after the other while messages come."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.clock import SystemClock
from reefmesh_components.rabbitmq_cluster import RabbitmqCluster, local_rabbitmq_cluster
from reefmesh_components.recorded_crew import Crew
from reefmesh_components.requirement import ComponentMissing, give_up

pytestmark = [pytest.mark.faults, pytest.mark.rabbitmq, pytest.mark.timeout(600)]

PARAMETERS: Final = "shards=8&confirm_timeout_ms=8000"
REEFS: Final = 100
ROUNDS: Final = 4
"""Of all reefs, that have their effect before the next node dies, and while it is away."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RabbitmqCluster]:
    try:
        with local_rabbitmq_cluster() as nodes:
            yield nodes
    except ComponentMissing as missing:
        give_up(missing)


async def test_each_node_of_a_cluster_dies_under_load_and_nothing_is_lost_doubled_or_inverted(
    cluster: RabbitmqCluster, make_publisher: Any, tmp_path: Path
) -> None:
    """Publisher and workers begin at different nodes, so that each death takes the link of some and the queues of all."""
    client = open_broker(cluster.url(parameters=PARAMETERS), clock=SystemClock())
    await client.connect()
    publisher = make_publisher(client)
    counts = {f"reef-{number}": 1 for number in range(REEFS)}
    with Crew(tmp_path, broker_url=cluster.url(parameters=PARAMETERS)) as crew:
        await client.declare([crew.subscription])
        for first in range(len(cluster.nodes)):
            await asyncio.to_thread(crew.join, broker_url=cluster.url(parameters=PARAMETERS, first=first))
        enough = asyncio.Event()

        async def go_on() -> None:
            rounds = 0
            while not enough.is_set():
                await publisher.publish(crew.subscription, counts)
                rounds += 1
                await asyncio.to_thread(crew.until_effects, (rounds - 1) * REEFS)

        async def until_so_many_more(effects: int) -> None:
            await asyncio.to_thread(crew.until_effects, crew.effects_count() + effects)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(go_on())
            for node in cluster.nodes:
                await until_so_many_more(ROUNDS * REEFS)
                await asyncio.to_thread(node.kill)
                await until_so_many_more(ROUNDS * REEFS)
                await asyncio.to_thread(node.start)
            enough.set()
        await asyncio.to_thread(crew.until_effects, sum(publisher.sent.values()))
        assert [await asyncio.to_thread(hand.terminate) for hand in crew.hands] == [0, 0, 0]
        effects = crew.effects()  # in the order of their commits; what the publisher had to repeat has none a second time
        assert {reef: effects.get(reef) for reef, count in publisher.sent.items()} == {
            reef: list(range(1, count + 1)) for reef, count in publisher.sent.items()
        }
    await client.close()
