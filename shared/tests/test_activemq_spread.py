"""Who gets which reefs: more of them than the broker remembers by default, spread evenly, and nobody's twice; and failover."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.port import BrokerUnavailable, Lane, LaneLost, Publication
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh_components.activemq import pair_url
from reefmesh_components.activemq_client import client
from reefmesh_components.activemq_process import ActivemqProcess

REEFS = tuple(f"reef-{index}" for index in range(1500))  # the broker's default forgets owners beyond 1,024
PATIENCE_SECONDS = 60.0
TAKE_OVER_SECONDS = 180.0  # on two cores at a load of 48 the standby took 74 s
TOLERANCE = 0.3


def message(channel: str, reef_id: str, number: int) -> Publication:
    envelope = Envelope(
        event_id=f"{channel}/{reef_id}/{number}",
        reef_id=reef_id,
        schema_id="readings/1",
        produced_at=datetime(2026, 3, 1, tzinfo=UTC),
        seq=number,
        body=b"{}",
    )
    return Publication(channel=channel, message=envelope)


class Record:
    """Who handled what, and what broke a law."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}
        self.handled = 0
        self.breaches: list[str] = []
        self.changed = asyncio.Event()
        self._holders: dict[str, str] = {}
        self._last: Counter[str] = Counter()

    async def work(self, name: str, lane: Lane) -> None:
        """Change the state first and settle then, as a worker of the mesh does: when the answer to a settlement is lost, the
        message comes again or not."""
        while (delivery := await lane.receive()) is not None:
            reef_id, number = delivery.message.reef_id, delivery.message.seq or 0
            if (holder := self._holders.get(reef_id)) is not None:
                self.breaches.append(f"{reef_id} at {name} while {holder} held it")
            if number not in (self._last[reef_id] + 1, self._last[reef_id] if delivery.redelivered else -1):
                self.breaches.append(f"{reef_id}: {number} after {self._last[reef_id]}")
            self._holders[reef_id] = name
            await asyncio.sleep(0)  # others get a turn while the reef is held
            if number == self._last[reef_id] + 1:
                self._last[reef_id], self.owners[reef_id] = number, name
                self.handled += 1
                self.changed.set()
            del self._holders[reef_id]
            with contextlib.suppress(LaneLost, BrokerUnavailable):  # settled, or it comes again
                await lane.settle(delivery, ())

    async def until_handled(self, messages: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.handled < messages:
                self.changed.clear()
                await self.changed.wait()

    def imbalance(self, names: str) -> float:
        """The largest distance of a consumer's number of reefs from the mean, relative to it."""
        counts = Counter(self.owners.values())
        mean = len(self.owners) / len(names)
        return max(abs(counts[name] - mean) / mean for name in names)


@asynccontextmanager
async def worker(url: str, subscription: Subscription, record: Record, name: str) -> AsyncIterator[ActiveMQBroker]:
    async with client(url) as broker:
        consumer = broker.consumer(subscription, lanes=8)
        await consumer.start()
        tasks = [asyncio.create_task(record.work(name, lane)) for lane in consumer.lanes]
        yield broker
        await consumer.drain()
        await asyncio.gather(*tasks)


async def until(broker: ActiveMQBroker, name: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    heard = asyncio.Event()
    broker.on_event(lambda event: heard.set() if event.name == name else None)
    await asyncio.wait_for(heard.wait(), patience_seconds)


async def test_more_reefs_than_the_default_remembers_spread_evenly_when_one_joins(activemq_process: ActivemqProcess) -> None:
    """Laws 1 and 7: one handler for a reef, whoever joins gets its share, within 30 % of the mean."""
    subscription, record = Subscription("alpha", Channel("spread", numbered=False)), Record()
    url = activemq_process.url()
    async with client(url) as publishing, worker(url, subscription, record, "A") as first:
        await publishing.declare([subscription])
        await publishing.publish([message("spread", reef_id, 1) for reef_id in REEFS])
        await record.until_handled(len(REEFS))
        shed = asyncio.create_task(until(first, "groups_released"))
        async with worker(url, subscription, record, "B"):
            await shed
            await publishing.publish([message("spread", reef_id, 2) for reef_id in REEFS])
            await record.until_handled(2 * len(REEFS))
            assert record.imbalance("AB") <= TOLERANCE
        await publishing.publish([message("spread", reef_id, 3) for reef_id in REEFS])
        await record.until_handled(3 * len(REEFS))
    assert [] == record.breaches
    assert {"A"} == set(record.owners.values())


@pytest.mark.timeout(400)  # two brokers start, and one of them takes over
async def test_master_killed_standby_takes_over_nothing_lost(
    activemq_pair: tuple[ActivemqProcess, ActivemqProcess],
) -> None:
    """Two brokers on one store: clients find the live one by themselves, and what was confirmed is there."""
    master, standby = activemq_pair
    subscription, record, reefs = Subscription("alpha", Channel("failover", numbered=False)), Record(), REEFS[:50]
    url = pair_url(activemq_pair)
    async with client(url) as publishing:
        await publishing.declare([subscription])
        async with worker(url, subscription, record, "A") as consuming:
            await publishing.publish([message("failover", reef_id, 1) for reef_id in reefs])
            clients = (publishing, consuming)
            back = [asyncio.create_task(until(each, "connected", patience_seconds=TAKE_OVER_SECONDS)) for each in clients]
            await asyncio.to_thread(master.kill)
            await asyncio.gather(*back)
            await asyncio.to_thread(standby.wait_until_listening)
            number, confirmed = 2, False
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not confirmed:
                    try:
                        await publishing.publish([message("failover", reef_id, number) for reef_id in reefs])
                        confirmed = True
                    except BrokerUnavailable:
                        await asyncio.sleep(0.1)  # the other of its two connections is still coming back
            await record.until_handled(2 * len(reefs))
    assert [] == record.breaches
