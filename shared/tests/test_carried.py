"""What a lane logs says which message it has in hand."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability.carried import CARRIED
from reefmesh.observability.logs import configure_logging
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.service.handler import Change
from reefmesh.service.worker import Worker
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.connect import open_store

log = structlog.get_logger()


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    captured = io.StringIO()
    configure_logging("test", stream=captured, log_format="json")
    yield captured
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Talker:
    """Logs a line for each message, then says that it was handled."""

    def __init__(self) -> None:
        self.handled = asyncio.Event()

    async def load(self, reef_id: str, state: bytes | None) -> str:
        return ""

    def dump(self, state: str) -> bytes:
        return state.encode()

    async def handle(self, message: Envelope, state: str) -> Change[str]:
        log.info("handling", bytes=len(message.body))
        self.handled.set()
        return Change(state=state)


async def test_line_of_a_handler_names_reef_event_number_lane_and_subscription(stream: io.StringIO) -> None:
    clock = SystemClock()
    broker, store, talker = open_broker("embedded://", clock=clock), open_store("sqlite://", migrations=[]), Talker()
    await broker.connect()
    await store.open()
    await broker.declare([channels.SCORING])
    message = Envelope(event_id="e-1", reef_id="atoll", schema_id="x/1", produced_at=datetime.now(UTC), body=b"12", seq=1)
    await broker.publish([Publication(channel=channels.READINGS.name, message=message)])
    worker = Worker(
        subscription=channels.SCORING,
        broker=broker,
        store=store,
        handler=talker,
        clock=clock,
        metrics=Metrics("test"),
        progress=Progress(),
        limits=WorkerLimits(lanes=1),
    )
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(60):
        await talker.handled.wait()
        await worker.drain()
        await running
    await broker.close()
    await store.close()

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == "handling"]
    named = {key: line[key] for key in ("reef_id", "event_id", "seq", "lane", "subscription", "bytes")}
    assert named == {
        "reef_id": "atoll",
        "event_id": "e-1",
        "seq": 1,
        "lane": 0,
        "subscription": str(channels.SCORING),
        "bytes": 2,
    }
    assert CARRIED.get() is None
