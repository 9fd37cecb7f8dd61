"""A gateway with open doors, on an embedded broker and a real database, and devices that send to it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
from reefmesh_gateway.bootstrap import MIGRATIONS, common_of, door_of, mqtt_door_of
from reefmesh_gateway.domain.mqtt_message import MqttMessage
from reefmesh_gateway.door.listener import Door, DoorAddress
from reefmesh_gateway.identities.certificates import CertificateLine
from reefmesh_gateway.identities.device import EnrolledDevice
from reefmesh_gateway.identities.enrolment import Enrolment
from reefmesh_gateway.mqtt.address import MqttAddress
from reefmesh_gateway.mqtt.door import MqttDoor
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


async def arrived(broker: Broker) -> list[Envelope]:
    """Return what waits for ingest, in order: what a broker has that confirmed it."""
    statistics = await broker.statistics()
    waiting = statistics.subscriptions[channels.INGEST].waiting_messages or 0
    consumer = broker.consumer(channels.INGEST, lanes=1)
    await consumer.start()
    messages = []
    for _ in range(waiting):
        delivery = await consumer.lanes[0].receive()
        assert delivery is not None
        messages.append(delivery.message)
        await consumer.lanes[0].settle(delivery, ())
    await consumer.close()
    return messages


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
        return await arrived(self.broker.broker)


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
    common = common_of(given, parts, monotonic=monotonic)
    door, answers = door_of(given, DoorAddress(host="127.0.0.1", port=0, tls=tls), parts, common)
    enrolment = Enrolment(store)
    token = await enrolment.enroll(DEVICE, now=START)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks, httpx.AsyncClient(timeout=60) as client:
        for run in (door.run, answers, common.last_use.run):
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


IMEI: Final = "867740030000003"
OTHER_IMEI: Final = "867740030000004"
NEMO_PI: Final = EnrolledDevice(device=IMEI, reef_id="menjangan", names=frozenset({IMEI}), report_interval_seconds=1800)
OTHER_NEMO_PI: Final = EnrolledDevice(device=OTHER_IMEI, reef_id="pemuteran", names=frozenset({OTHER_IMEI}))


def certificate_of(name: str, serial: str) -> CertificateLine:
    return CertificateLine(serial=serial, name=name, device=name, created_at=START, expires_at=START + timedelta(days=365))


class FakeSession:
    """An MQTT broker's session as ``DeviceSession`` says it is; tests/gateway/test_mosquitto.py asks the same of a real one."""

    def __init__(self) -> None:
        self.is_connected = False
        self.trouble = "it is not connected yet"
        self.dropped = 0
        self.acknowledged: list[int | None] = []
        self.is_closed = False
        self.opened = asyncio.Event()
        self._waiting: list[MqttMessage] = []
        self._changed = asyncio.Event()

    def open(self) -> None:
        self.is_connected, self.trouble = True, ""
        self.opened.set()

    async def receive(self) -> Sequence[MqttMessage]:
        while not self._waiting:
            await self._change()
        taken, self._waiting = self._waiting, []
        return taken

    def acknowledge(self, messages: Sequence[MqttMessage]) -> None:
        self.acknowledged += [each.packet_id for each in messages]
        self._tell()

    async def close(self) -> None:
        self.is_closed = True

    def deliver(self, *messages: MqttMessage) -> None:
        self._waiting += messages
        self._tell()

    async def acknowledged_all(self, *packet_ids: int) -> None:
        """Wait until these were acknowledged."""
        async with asyncio.timeout(30):
            while not set(packet_ids) <= set(self.acknowledged):
                await self._change()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _change(self) -> None:
        await self._changed.wait()


def message(
    packet_id: int,
    body: bytes = b"{}",
    *,
    imei: str = IMEI,
    kind: str = "telemetry",
    again: bool = False,
    at: datetime = START,
) -> MqttMessage:
    topic = f"buoys/{imei}/d2c/{kind}"
    return MqttMessage(topic=topic, payload=body, packet_id=packet_id, is_repeat=again, connection=1, received_at=at)


@dataclass
class MqttStage:
    """A gateway with its MQTT door, on a session that the test feeds."""

    door: MqttDoor
    session: FakeSession
    broker: Watched
    store: Breakable
    enrolment: Enrolment
    clock: ManualClock
    metrics: Metrics
    monotonic: Monotonic
    stop: asyncio.Event

    async def arrived(self) -> list[Envelope]:
        return await arrived(self.broker.broker)

    async def tick(self) -> None:
        """Let the door go on: a question to the database takes its turn behind those of the door."""
        await self.store.store.fetch("SELECT 1")


@asynccontextmanager
async def mqtt_opened(
    folder: Path, *, broker: Watched | None = None, clock: ManualClock | None = None, monotonic: Monotonic | None = None
) -> AsyncIterator[MqttStage]:
    """Open a gateway on the database in ``folder``. ``broker``: one that is connected, else it has its own."""
    clock, monotonic = clock or ManualClock(START), monotonic or Monotonic()
    metrics, session, stop = Metrics("gateway"), FakeSession(), asyncio.Event()
    inner = open_store(f"sqlite:///{folder / 'gateway.db'}", migrations=MIGRATIONS, clock=clock)
    await inner.open()
    own = None
    if broker is None:
        own = open_broker("embedded://", clock=clock)
        await own.connect()
        await own.declare((channels.INGEST,))
        broker = Watched(own)
    store = Breakable(inner)
    parts: Any = Parts(store=store, broker=broker, clock=clock, metrics=metrics)
    common = common_of(GatewaySettings(broker_url="embedded://", store_url="sqlite://"), parts, monotonic=monotonic)
    door = mqtt_door_of(
        MqttAddress.of("mqtt://127.0.0.1:1883", client_id="gateway"),
        parts,
        common,
        in_hand_limit=128,
        open_session=lambda: session,
        monotonic=monotonic,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(door.run(stop))
        try:
            yield MqttStage(
                door=door,
                session=session,
                broker=broker,
                store=store,
                enrolment=Enrolment(store),
                clock=clock,
                metrics=metrics,
                monotonic=monotonic,
                stop=stop,
            )
        finally:
            stop.set()
    if own is not None:
        await own.close()
    await inner.close()


@pytest.fixture
async def mqtt_stage(tmp_path: Path) -> AsyncIterator[MqttStage]:
    """With two devices, each with its certificate: ``c1`` of IMEI, ``c2`` of OTHER_IMEI."""
    async with mqtt_opened(tmp_path) as stage:
        await stage.enrolment.certify(NEMO_PI, certificate_of(IMEI, "c1"), now=START)
        await stage.enrolment.certify(OTHER_NEMO_PI, certificate_of(OTHER_IMEI, "c2"), now=START)
        await stage.session.opened.wait()
        yield stage


@pytest.fixture
def open_mqtt_stage(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[MqttStage]]:
    """A further gateway on the same database."""
    return lambda **given: mqtt_opened(tmp_path, **given)


@pytest.fixture
def device_message() -> Callable[..., MqttMessage]:
    return message
