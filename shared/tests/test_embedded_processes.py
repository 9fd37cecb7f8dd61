"""The journal among processes: kill -9 of its owner, and others that publish into it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Consumer, Delivery, Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import ConfigurationError

WORKER = Path(__file__).with_name("embedded_worker.py")
INBOUND = Subscription("alpha", Channel("in", numbered=False))
OUTBOUND = Subscription("beta", Channel("out", numbered=False))
PATIENCE_SECONDS = 60.0


@asynccontextmanager
async def process(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a worker; it is killed in the end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(WORKER),
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def line_of(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None
    return (await asyncio.wait_for(child.stdout.readline(), PATIENCE_SECONDS)).decode().strip()


@asynccontextmanager
async def owner(path: Path, parameters: str = "") -> AsyncIterator[Broker]:
    broker = open_broker(f"embedded://{path}{parameters}", clock=SystemClock())
    await broker.connect()
    try:
        yield broker
    finally:
        await broker.close()


def publication(reef_id: str, number: int, name: str = "") -> Publication:
    """The same as the worker makes."""
    message = Envelope(
        event_id=f"in/{name}{reef_id}/{number}",
        reef_id=reef_id,
        schema_id="readings/1",
        produced_at=datetime(2026, 3, 1, tzinfo=UTC),
        seq=number + 1,
        body=b"{}",
    )
    return Publication(channel=INBOUND.channel.name, message=message)


async def everything(broker: Broker, subscription: Subscription, messages: int) -> list[Delivery]:
    """Receive and settle so many messages, with one lane."""
    deliveries = []
    consumer: Consumer = broker.consumer(subscription, lanes=1)
    await consumer.start()
    (lane,) = consumer.lanes
    for _ in range(messages):
        delivery = await asyncio.wait_for(lane.receive(), PATIENCE_SECONDS)
        assert delivery is not None
        await lane.settle(delivery, ())
        deliveries.append(delivery)
    await consumer.drain()
    return deliveries


def numbers_by_reef(deliveries: list[Delivery]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for delivery in deliveries:
        numbers.setdefault(delivery.message.reef_id, []).append((delivery.message.seq or 0) - 1)
    return numbers


@pytest.mark.parametrize("kills", [4])
async def test_owner_killed_again_and_again_everything_confirmed_is_there_once_in_order(tmp_path: Path, kills: int) -> None:
    """Law 3: what ``publish`` and ``settle`` confirmed survives kill -9 at any moment; what was not settled comes again."""
    path = tmp_path / "journal.db"
    facts: dict[str, set[tuple[str, int]]] = {name: set() for name in ("publishing", "published", "settling", "settled")}
    for kill in range(kills):
        async with process("work", path, 1000 * kill) as child:
            for _ in range(400 + 97 * kill):
                name, reef_id, number = (await line_of(child)).split()
                facts[name].add((reef_id, int(number)))
            child.send_signal(signal.SIGKILL)
            rest, _ = await child.communicate()
            for line in rest.decode().splitlines(keepends=True):
                if line.endswith("\n"):  # what it reported before it died counts too
                    name, reef_id, number = line.split()
                    facts[name].add((reef_id, int(number)))
    async with owner(path) as broker:
        statistics = (await broker.statistics()).subscriptions
        waiting = await everything(broker, INBOUND, statistics[INBOUND].waiting_messages or 0)
        outputs = await everything(broker, OUTBOUND, statistics[OUTBOUND].waiting_messages or 0)
    assert all(delivery.redelivered for delivery in waiting + outputs)
    for numbers in (*numbers_by_reef(waiting).values(), *numbers_by_reef(outputs).values()):
        assert numbers == sorted(set(numbers))
    unsettled = {(reef, number) for reef, numbers in numbers_by_reef(waiting).items() for number in numbers}
    out = {(reef, number) for reef, numbers in numbers_by_reef(outputs).items() for number in numbers}
    assert set() == unsettled & out  # outputs and acknowledgement are one
    assert set() == facts["published"] - unsettled - out
    assert set() == facts["settled"] - out
    assert set() == (unsettled | out) - facts["publishing"]
    assert len(facts["settled"]) > 50 * kills


async def test_two_publishing_processes_and_the_owner_itself_every_reef_in_order(tmp_path: Path) -> None:
    """Messages of other processes reach a waiting owner promptly, and each publisher's order is kept in each reef."""
    path, reefs, each = tmp_path / "journal.db", 5, 60
    async with owner(path) as broker, process("publish", path, reefs, each, "p") as one:
        await broker.declare([INBOUND])
        async with process("publish", path, reefs, each, "q") as two:
            assert (await line_of(one), await line_of(two)) == ("ready", "ready")
            for child in (one, two):
                assert child.stdin is not None
                child.stdin.write(b"go\n")
            receiving = asyncio.create_task(everything(broker, INBOUND, 3 * reefs * each))
            for number in range(each):
                await broker.publish([publication(f"reef-{index}", number, "own-") for index in range(reefs)])
            deliveries = await receiving
    assert not any(delivery.redelivered for delivery in deliveries)
    by_source: dict[tuple[str, str], list[int]] = {}
    for delivery in deliveries:
        name = delivery.message.event_id.removeprefix("in/").partition("-")[0]
        by_source.setdefault((name, delivery.message.reef_id), []).append((delivery.message.seq or 0) - 1)
    expected = {(name, f"reef-{index}"): list(range(each)) for name in ("own", "p", "q") for index in range(reefs)}
    assert by_source == expected


async def test_publisher_without_an_owner_messages_wait_for_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with owner(path) as broker:
        await broker.declare([INBOUND])
    async with process("publish", path, 2, 3, "p") as child:
        assert await line_of(child) == "ready"
        assert child.stdin is not None
        child.stdin.write(b"go\n")
        assert await line_of(child) == "done"
    async with owner(path) as broker:
        assert numbers_by_reef(await everything(broker, INBOUND, 6)) == {"reef-0": [0, 1, 2], "reef-1": [0, 1, 2]}


async def test_second_owner_is_told_who_has_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with process("hold", path) as child:
        assert await line_of(child) == "holding"
        with pytest.raises(ConfigurationError, match=f"in use by process {child.pid}: stop it") as caught:
            async with owner(path):
                pass
        assert "\n" not in str(caught.value)
        async with owner(path, "?role=publisher") as publisher:
            await publisher.declare([INBOUND])
            with pytest.raises(ConfigurationError, match="opened the journal as a publisher"):
                await publisher.consumer(INBOUND, lanes=1).start()


async def test_publisher_parks_nothing_but_tends_the_parking_of_the_owner(tmp_path: Path) -> None:
    """A person's command replays and discards beside the running owner, which gets the replay at once."""
    path = tmp_path / "journal.db"
    async with owner(path) as broker, owner(path, "?role=publisher") as tool:
        await broker.declare([INBOUND])
        await broker.publish([publication("reef-a", number) for number in range(3)])
        consumer = broker.consumer(INBOUND, lanes=1)
        await consumer.start()
        (lane,) = consumer.lanes
        for number in range(3):
            delivery = await lane.receive()
            assert delivery is not None
            await lane.park(delivery, reason="bad", detail="", attempts=number)
        waiting = asyncio.create_task(lane.receive())
        parking = tool.parking(INBOUND)
        first, second, _ = await parking.list()
        assert await parking.discard([second.parking_id]) == 1
        assert await parking.replay([first.parking_id]) == 1
        replayed = await asyncio.wait_for(waiting, PATIENCE_SECONDS)
        assert replayed is not None
        assert (replayed.message.event_id, replayed.message.headers) == (first.message.event_id, {"replayed": "true"})
        await lane.settle(replayed, ())
        assert [entry.attempts for entry in await broker.parking(INBOUND).list()] == [2]
        assert (await tool.statistics()).subscriptions[INBOUND].waiting_messages == 0
        await consumer.drain()
