"""The embedded broker's visibility time-out, from its address to the state that a late lane cannot change."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from reefmesh.broker.embedded.engine import EmbeddedBroker
from reefmesh.broker.embedded.url import EmbeddedAddress
from reefmesh.broker.port import Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.service.handler import Change
from reefmesh.service.worker import Worker
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store

START = datetime(2026, 3, 1, tzinfo=UTC)
INBOX = str(channels.SCORING)
PATIENCE_SECONDS = 60.0


class Appending:
    """Adds a message's text to the state, with its own name; ``until`` delays its first effect."""

    def __init__(self, name: str, until: asyncio.Event | None = None) -> None:
        self.began = asyncio.Event()
        self.ended = asyncio.Event()
        self._name = name
        self._until = until

    async def load(self, reef_id: str, state: bytes | None) -> Sequence[str]:
        return tuple(json.loads(state)) if state else ()

    def dump(self, state: Sequence[str]) -> bytes:
        return json.dumps(list(state)).encode()

    async def handle(self, message: Envelope, state: Sequence[str]) -> Change[Sequence[str]]:
        self.began.set()
        if self._until is not None:
            await self._until.wait()
        self.ended.set()
        return Change(state=(*state, f"{message.body.decode()} by {self._name}"), outputs=[])


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    address = EmbeddedAddress.parse(f"embedded://{tmp_path}/journal.db?visibility_timeout_seconds=1")
    broker = EmbeddedBroker(address, clock=ManualClock(START))
    await broker.connect()
    await broker.declare([channels.SCORING])
    yield broker
    await broker.close()


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = open_store("sqlite://", migrations=[], clock=ManualClock(START))
    await store.open()
    yield store
    await store.close()


async def test_lane_that_holds_a_message_too_long_loses_it_and_its_late_commit_changes_nothing(
    broker: EmbeddedBroker, store: Store
) -> None:
    """Laws 3, 4 and 5: another process's lane handles the message; the version of the reef's row refuses the late one."""
    metrics, gate = Metrics("test"), asyncio.Event()
    slow, quick = Appending("slow", gate), Appending("quick")

    def worker(client: EmbeddedBroker, handler: Appending) -> Worker[Sequence[str]]:
        return Worker(
            subscription=channels.SCORING,
            broker=client,
            store=store,
            handler=handler,
            clock=ManualClock(START),
            metrics=metrics,
            progress=Progress(),
            limits=WorkerLimits(lanes=1),
            random=Random(1),
        )

    message = Envelope(event_id="e-1", reef_id="reef-a", schema_id="x/1", produced_at=START, body=b"m", seq=1)
    await broker.publish([Publication(channel=channels.READINGS.name, message=message)])
    async with asyncio.timeout(PATIENCE_SECONDS), AsyncExitStack() as stack:
        late = worker(broker, slow)
        late_run = asyncio.create_task(late.run())
        await slow.began.wait()
        other_client = broker.another_client()
        await other_client.connect()
        stack.push_async_callback(other_client.close)
        other = worker(other_client, quick)
        other_run = asyncio.create_task(other.run())
        await quick.ended.wait()  # after the visibility time-out
        await other.drain()
        await other_run
        assert json.loads((await store.load("reef-a")).state or b"[]") == ["m by quick"]
        gate.set()
        await slow.ended.wait()
        await late.drain()
        await late_run
    row = await store.load("reef-a")
    assert (json.loads(row.state or b"[]"), row.cursor.applied) == (["m by quick"], {INBOX: 1})
    assert metrics.value(table.FENCE_REFUSALS, INBOX) == 1
    assert (await broker.statistics()).subscriptions[channels.SCORING].waiting_messages == 0
