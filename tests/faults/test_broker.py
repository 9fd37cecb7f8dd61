"""The broker goes away, comes back, or is another: the mesh goes on by itself, and nothing that was confirmed is missing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import BrokerUnavailable
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh_components.activemq import pair_url, shared_store_pair
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.either_broker import EitherBroker
from reefmesh_components.recorded_crew import Crew
from reefmesh_components.requirement import ComponentMissing, give_up

pytestmark = pytest.mark.faults  # whole processes, brokers that die: minutes

REEFS, ROUNDS = 60, 20

TOTAL = REEFS * ROUNDS


@pytest.fixture
def pair() -> Iterator[tuple[ActivemqProcess, ActivemqProcess]]:
    try:
        with shared_store_pair() as brokers:
            yield brokers
    except ComponentMissing as missing:
        give_up(missing)


async def publish_all(crew: Crew, url: str, make_publisher: Any) -> None:
    """Publish every round, through whatever happens to the broker meanwhile."""
    client = open_broker(url, clock=SystemClock())
    await client.connect()
    publisher = make_publisher(client)
    try:
        for _ in range(ROUNDS):
            await publisher.publish(crew.subscription, {f"reef-{index}": 1 for index in range(REEFS)})
    finally:
        await client.close()


def assert_complete(crew: Crew) -> None:
    """Law 3 and law 4: each message had its effect, once, in order, although some came twice."""
    assert {reef: list(range(1, ROUNDS + 1)) for reef in (f"reef-{index}" for index in range(REEFS))} == crew.effects()
    assert crew.disorders() == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", ["restarted", "killed"])
async def test_broker_ends_under_load_and_comes_back_nothing_is_lost_or_doubled(
    own_broker: EitherBroker, make_publisher: Any, tmp_path: Path, how: str
) -> None:
    with Crew(tmp_path, broker_url=own_broker.url()) as crew:
        hands = await asyncio.to_thread(crew.join, 2)
        publishing = asyncio.create_task(publish_all(crew, own_broker.url(), make_publisher))
        for share in (0.2, 0.5):
            await asyncio.to_thread(crew.until_effects, int(TOTAL * share))
            await asyncio.to_thread(own_broker.process.stop if how == "restarted" else own_broker.process.kill)
            await asyncio.to_thread(own_broker.process.start)
        await publishing
        await asyncio.to_thread(crew.until_effects, TOTAL)
        assert [await asyncio.to_thread(hand.terminate) for hand in hands] == [0, 0]
        assert_complete(crew)


@pytest.mark.timeout(240)
async def test_master_of_a_pair_is_killed_the_standby_goes_on_and_nothing_is_lost(
    pair: tuple[ActivemqProcess, ActivemqProcess], make_publisher: Any, tmp_path: Path
) -> None:
    url = pair_url(pair)
    with Crew(tmp_path, broker_url=url) as crew:
        hands = await asyncio.to_thread(crew.join, 2)
        publishing = asyncio.create_task(publish_all(crew, url, make_publisher))
        await asyncio.to_thread(crew.until_effects, TOTAL // 3)
        await asyncio.to_thread(pair[0].kill)
        await publishing
        await asyncio.to_thread(crew.until_effects, TOTAL)
        assert [await asyncio.to_thread(hand.terminate) for hand in hands] == [0, 0]
        assert_complete(crew)


async def test_publish_that_the_broker_does_not_confirm_raises(own_broker: EitherBroker, make_publisher: Any) -> None:
    """Law 3: no confirmation, no success."""
    url = own_broker.url(parameters="confirm_timeout_ms=500&heartbeat_ms=60000")
    client = open_broker(url, clock=SystemClock())
    await client.connect()
    subscription = Subscription("faults", Channel("reef.faults.unconfirmed", numbered=False))
    await client.declare([subscription])
    publication = make_publisher(client).publication(subscription.channel.name, "reef", 1, b"work")
    own_broker.process.pause()
    try:
        with pytest.raises(BrokerUnavailable):
            await client.publish([publication])
    finally:
        own_broker.process.resume()
        await client.close()
