"""A gateway with an open door, on an embedded broker and a real database, and devices that send to it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Parts
from reefmesh.store.connect import open_store
from reefmesh.store.port import Row, Store, StoreUnavailable, Value, Write
from reefmesh_gateway.bootstrap import MIGRATIONS, door_of
from reefmesh_gateway.door.listener import Door, DoorAddress
from reefmesh_gateway.identities.device import EnrolledDevice
from reefmesh_gateway.identities.enrolment import Enrolment
from reefmesh_gateway.settings import GatewaySettings

START: Final = datetime(2026, 3, 1, 8, 0, 2, tzinfo=UTC)
DEVICE: Final = EnrolledDevice(device="agent-1", reef_id="menjangan", names=frozenset({"agent-1", "867740030000003"}))
OTHER: Final = EnrolledDevice(device="agent-2", reef_id="pemuteran", names=frozenset({"agent-2"}))


def report(seq: int = 1, *, buoy: str = "agent-1") -> dict[str, Any]:
    reading = {"observed_at": "2026-03-01T08:00:00Z", "channels": {"sea_water_temperature": 29.4}}
    return {"schema": "telemetry/1", "buoy_id": buoy, "seq": seq, "sent_at": "2026-03-01T08:00:01Z", "readings": [reading]}


@dataclass
class Watched:
    """The gateway's broker: an embedded one, whose publishing a test may break."""

    broker: Broker
    failure: Exception | None = None
    hangs: bool = False
    published: list[Envelope] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish(self, publications: Sequence[Publication]) -> None:
        self.begun.set()
        if self.hangs:
            await self.released.wait()
        if self.failure is not None:
            raise self.failure
        await self.broker.publish(publications)
        self.published += [each.message for each in publications]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.broker, name)


@dataclass
class Breakable:
    """The gateway's database, which a test may take away."""

    store: Store
    is_away: bool = False

    async def fetch(self, sql: str, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        self._require()
        return await self.store.fetch(sql, parameters)

    async def write(self, writes: Sequence[Write]) -> None:
        self._require()
        await self.store.write(writes)

    def _require(self) -> None:
        if self.is_away:
            raise StoreUnavailable("the database is away")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@dataclass
class Monotonic:
    """The clock of what lasts; it moves when a test says so."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Stage:
    url: str
    door: Door
    broker: Watched
    store: Breakable
    enrolment: Enrolment
    clock: ManualClock
    metrics: Metrics
    token: str
    client: httpx.AsyncClient
    monotonic: Monotonic
    stop: asyncio.Event
    device: EnrolledDevice = DEVICE
    other: EnrolledDevice = OTHER

    def report(self, seq: int = 1, *, buoy: str = "agent-1") -> dict[str, Any]:
        return report(seq, buoy=buoy)

    async def post(self, body: Any, *, token: str | None = None, **headers: str) -> httpx.Response:
        """Send one report, or any bytes, with a valid token unless another is given; ``_`` in a header's name is a dash."""
        given = {"authorization": f"Bearer {self.token if token is None else token}", "content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.client.post(f"{self.url}/v1/telemetry", headers=given, **content)

    async def arrived(self) -> list[Envelope]:
        """Return what waits for ingest, in order: what a broker has that confirmed it."""
        statistics = await self.broker.broker.statistics()
        waiting = statistics.subscriptions[channels.INGEST].waiting_messages or 0
        consumer = self.broker.broker.consumer(channels.INGEST, lanes=1)
        await consumer.start()
        messages = []
        for _ in range(waiting):
            delivery = await consumer.lanes[0].receive()
            assert delivery is not None
            messages.append(delivery.message)
            await consumer.lanes[0].settle(delivery, ())
        await consumer.close()
        return messages


@asynccontextmanager
async def opened(folder: Path, tls: ssl.SSLContext | None = None, **settings: Any) -> AsyncIterator[Stage]:
    clock, metrics, monotonic = ManualClock(START), Metrics("gateway"), Monotonic()
    inner = open_store(f"sqlite:///{folder / 'gateway.db'}", migrations=MIGRATIONS, clock=clock)
    await inner.open()
    embedded = open_broker("embedded://", clock=clock)
    await embedded.connect()
    await embedded.declare((channels.INGEST,))
    store, broker = Breakable(inner), Watched(embedded)
    given = GatewaySettings(broker_url="embedded://", store_url="sqlite://", **settings)
    parts: Any = Parts(store=store, broker=broker, clock=clock, metrics=metrics)
    door, beside = door_of(given, DoorAddress(host="127.0.0.1", port=0, tls=tls), parts, monotonic=monotonic)
    enrolment = Enrolment(store)
    token = await enrolment.enroll(DEVICE, now=START)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks, httpx.AsyncClient(timeout=60) as client:
        for run in (door.run, *beside):
            tasks.create_task(run(stop))
        await door.opened.wait()
        try:
            yield Stage(
                url=f"http://127.0.0.1:{door.port}",
                door=door,
                broker=broker,
                store=store,
                enrolment=enrolment,
                clock=clock,
                metrics=metrics,
                token=token.text,
                client=client,
                monotonic=monotonic,
                stop=stop,
            )
        finally:
            stop.set()
    await embedded.close()
    await inner.close()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with opened(tmp_path) as stage:
        yield stage


@pytest.fixture
def open_stage(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Stage]]:
    """A stage with settings of the test's own."""
    return lambda **settings: opened(tmp_path, **settings)
