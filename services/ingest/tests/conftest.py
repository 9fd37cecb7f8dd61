"""An ingest service without its lanes: messages go to the handler one by one, and each unit is written to a real store."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reefmesh.broker.port import Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.exclusion import ExclusionRequest
from reefmesh.contracts.quarantine import QuarantineEntry
from reefmesh.contracts.readings import READERS, Readings
from reefmesh.contracts.schema import EXCLUSION_1
from reefmesh.service.handler import Output
from reefmesh.store.connect import open_store
from reefmesh.store.migrations import read_migrations
from reefmesh.store.port import Store
from reefmesh_ingest.accounting import accounting
from reefmesh_ingest.exclusions.handling import ExclusionHandling
from reefmesh_ingest.exclusions.reassessment import READINGS_PER_PART
from reefmesh_ingest.exclusions.table import RequestState, request_state
from reefmesh_ingest.handler import IngestHandler
from reefmesh_ingest.quarantine.review import Quarantine
from reefmesh_ingest.receipts import Receipt, receipt_of
from reefmesh_ingest.register.entries import BuoyEntry, MooringEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_ingest.tail import ReefTails

START = datetime(2024, 3, 1, tzinfo=UTC)
REEF = ReefEntry(id="menjangan", name="Menjangan", latitude_degrees=-8.1, longitude_degrees=114.5, mmm_celsius=29.3)
OTHER_REEF = ReefEntry(id="pemuteran", name="Pemuteran", latitude_degrees=-8.14, longitude_degrees=114.65)
MOORING = MooringEntry(latitude_degrees=-8.1, longitude_degrees=114.5)
IMEI = "865000000000001"
SERIAL = "ABCDEF0123456789"
AGENT = "agent-1"
BUOYS = [BuoyEntry(id=name, reef=REEF.id, mooring=MOORING) for name in (IMEI, SERIAL, AGENT)]


@dataclass
class SpyBroker:
    """Takes what is published; nothing else of a broker is asked of it here."""

    published: list[Publication] = field(default_factory=list)

    async def publish(self, publications: Sequence[Publication]) -> None:
        self.published += publications


@dataclass
class Ingest:
    """The service under test and what came out of it."""

    store: Store
    register: Register
    handler: IngestHandler
    broker: SpyBroker
    quarantine: Quarantine
    clock: ManualClock
    states: dict[str, ReefTails] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    sent: int = 0

    async def take(
        self,
        body: bytes,
        schema: str,
        *,
        device: str | None = None,
        at: datetime = START,
        reef: str = REEF.id,
        event_id: str | None = None,
    ) -> Receipt:
        """Handle one raw message as the broker would deliver it, received at ``at``."""
        self.sent += 1
        headers = {"received-at": at.isoformat()} | ({"device": device} if device else {})
        return await self.apply(
            Envelope(
                event_id=event_id or f"event-{self.sent}",
                reef_id=reef,
                schema_id=schema,
                produced_at=at,
                body=body,
                headers=headers,
            )
        )

    async def apply(self, message: Envelope) -> Receipt:
        await self.handle(message)
        receipt = await receipt_of(self.store, message.event_id)
        assert receipt is not None
        return receipt

    async def request(self, request: ExclusionRequest, *, reef: str = REEF.id, at: datetime = START) -> RequestState:
        """Handle an operator's request to its end, part by part."""
        waiting = [self.message_of(request, reef=reef, at=at)]
        request_id = waiting[0].event_id
        while waiting:
            waiting += await self.handle(waiting.pop(0))
        state = await request_state(self.store, request_id)
        assert state is not None
        return state

    def message_of(self, request: ExclusionRequest, *, reef: str = REEF.id, at: datetime = START) -> Envelope:
        self.sent += 1
        body = request.model_dump_json().encode()
        return Envelope(event_id=f"event-{self.sent}", reef_id=reef, schema_id=EXCLUSION_1, produced_at=at, body=body)

    async def handle(self, message: Envelope) -> list[Envelope]:
        """Handle a message; return those that ingest publishes to itself."""
        state = self.states.get(message.reef_id)
        if state is None:
            state = self.states[message.reef_id] = await self.handler.load(message.reef_id, None)
        change = await self.handler.handle(message, state)
        self.handler.dump(change.state)
        await self.store.write(change.writes)
        self.outputs += change.outputs
        return [
            message.model_copy(update={"event_id": event_id_of(message.event_id, each.step), "body": each.body})
            for each in change.outputs
            if each.channel.name == "reef.telemetry"
        ]

    def forget(self) -> None:
        """As after a restart: everything at hand is gone, the tables remain."""
        self.states.clear()

    async def replay_published(self) -> list[Receipt]:
        """Handle what the quarantine published."""
        waiting, self.broker.published = self.broker.published, []
        return [await self.apply(each.message) for each in waiting]

    def readings(self) -> list[Readings]:
        return [
            READERS[each.schema_id].validate_json(each.body) for each in self.outputs if each.channel.name == "reef.readings"
        ]

    def entries(self) -> list[QuarantineEntry]:
        bodies = [each.body for each in self.outputs if each.channel.name == "reef.quarantine"]
        return [QuarantineEntry.model_validate_json(body) for body in bodies]

    async def rows(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The readings that stand: (buoy, instant) -> what scores and people are told of it."""
        rows = await self.store.fetch("SELECT buoy_id, observed_us, body_json FROM readings WHERE withdrawn = 0")
        kept = ("channels", "position", "status", "time_source")
        return {(row[0], row[1]): {name: json.loads(row[2]).get(name) for name in kept} for row in rows}

    async def assert_accounted(self) -> None:
        books = await accounting(self.store)
        assert books.discrepancies == ()
        assert books.messages.unexplained == books.readings.unexplained == 0


async def start_ingest(url: str = "sqlite://", *, readings_per_part: int = READINGS_PER_PART) -> Ingest:
    store = open_store(url, migrations=(read_migrations("ingest", "reefmesh_ingest"),))
    await store.open()
    clock, register, broker = ManualClock(START), Register(store), SpyBroker()
    await register.upsert(reefs=(REEF, OTHER_REEF), buoys=BUOYS)
    exclusions = ExclusionHandling(store=store, register=register, readings_per_part=readings_per_part)
    return Ingest(
        store=store,
        register=register,
        handler=IngestHandler(store=store, register=register, clock=clock, exclusions=exclusions),
        broker=broker,
        quarantine=Quarantine(store=store, broker=broker, register=register, clock=clock),
        clock=clock,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of an empty database; a test that asks for it runs on both."""
    return str(request.getfixturevalue("postgresql_schema_url")) if request.param == "postgresql" else "sqlite://"


@pytest.fixture
async def ingest() -> AsyncIterator[Ingest]:
    service = await start_ingest()
    yield service
    await service.store.close()


@pytest.fixture
def new_ingest() -> Callable[..., Any]:
    """For tests that need several services, or another database: call it, and close its store."""
    return start_ingest


@pytest.fixture
def telemetry() -> Callable[..., bytes]:
    """Make a ``telemetry/1`` document of readings every half hour."""

    def document(
        temperatures: Sequence[float | None],
        *,
        start: datetime = START - timedelta(days=1),
        step: timedelta = timedelta(minutes=30),
        buoy: str = AGENT,
        sent_at: datetime = START,
        **more: Any,
    ) -> bytes:
        readings = [
            {
                "observed_at": (start + place * step).isoformat(),
                "position": None,
                "channels": {"sea_water_temperature": celsius},
            }
            for place, celsius in enumerate(temperatures)
        ]
        body = {"schema": "telemetry/1", "buoy_id": buoy, "seq": 1, "sent_at": sent_at.isoformat(), "readings": readings}
        return json.dumps(body | more).encode()

    return document


@pytest.fixture
def mqtt_data() -> Callable[..., bytes]:
    """Make a ``data`` message of the current firmware."""

    def document(value: Any, fault: str = "", *, channel: str = "ch1", model: str = "DS18B20-LOGGER") -> bytes:
        channels = [{"channel": channel, "value": value, "fault": fault}]
        sensor = {"model": model, "interface": "rs485", "address": 2, "data": channels}
        return json.dumps({"msg_type": "data", "sensors": [sensor]}).encode()

    return document


@pytest.fixture
def report_2021() -> Callable[..., bytes]:
    """Make a document of the 2021 generation from (sensor, name, unit, value) measurements."""

    def document(*measured: tuple[Any, ...], at: datetime | str | None = START, serial: str = SERIAL, **more: Any) -> bytes:
        measurements = [
            {
                "sensor": {
                    "correction_value": rest[0] if rest else None,
                    "details": {"name": name, "unit": unit},
                    "serial_number": source,
                    "name": name,
                },
                "value": value,
                "error_text": rest[1] if len(rest) > 1 else "",
                "datetime": at.isoformat() if isinstance(at, datetime) else at,
            }
            for source, name, unit, value, *rest in measured
        ]
        body = {
            "serial_number": serial,
            "ip_address": "10.0.0.1",
            "battery_level": "52.85",
            "gsm_strength": "-95.4",
            "latitude": "-8.1",
            "longitude": "114.5",
            "solar_voltage": "5.0",
            "solar_amperage": "0.2",
            "measurements": measurements,
        }
        return json.dumps(body | more).encode()

    return document
