"""The scoring handler on a real store in memory, driven as a worker drives it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reefmesh.broker.port import Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts.channels import SCORES, SCORING
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.readings import ChannelReading, DeviceStatus, Position, Reading, Readings, Readings2
from reefmesh.contracts.register import BuoyFacts, ReefConditions, ReefFacts, SensorFacts
from reefmesh.contracts.schema import READINGS_1, READINGS_2, read_body
from reefmesh.contracts.scores import READERS, DayScore, ReefScore, current_score
from reefmesh.observability.metrics import Metrics
from reefmesh.store.connect import open_store
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Committed, Row, Store, Unit, Value, Write
from reefmesh_scoring import queries
from reefmesh_scoring.handler import ScoringHandler, migrations
from reefmesh_scoring.reef_gauges import ReefGauges
from reefmesh_scoring.scored_reef import ScoredReef
from reefmesh_scoring.timeliness import Timeliness

START = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2060, 1, 1, tzinfo=UTC)
"""The machine's clock; everything that the tests report lies before it."""
TABLES = {"samples": "reef_id, buoy_id, observed_us", "day_totals": "reef_id, day", "days": "reef_id, day"}


def reef_facts(reef_id: str = "reef", **changes: Any) -> ReefFacts:
    facts: dict[str, Any] = {"latitude_degrees": 0, "longitude_degrees": 0, "mmm_celsius": 29.0, "mmm_source": "adjusted"}
    return ReefFacts(reef_id=reef_id, name="A reef", **(facts | changes))


def reading(
    observed_at: datetime | float,
    *,
    buoy: str = "b1",
    revision: int = 1,
    withdrawn: bool = False,
    flag: Flag = Flag.PASS,
    flags: dict[str, Flag] | None = None,
    faults: dict[str, str] | None = None,
    position: Position | None = None,
    status: DeviceStatus | None = None,
    **values: float | None,
) -> Reading:
    """A reading of channels given by keyword (``t`` is the temperature), at an instant or so many days after ``START``."""
    at = observed_at if isinstance(observed_at, datetime) else START + timedelta(days=observed_at)
    channels = {}
    for short, value in values.items():
        name = SEA_WATER_TEMPERATURE if short == "t" else short
        judged = Flag.MISSING if value is None else (flags or {}).get(name, flag)
        channels[name] = ChannelReading(value=value, raw=value, flag=judged, fault=(faults or {}).get(name))
    return Reading(
        buoy_id=buoy,
        observed_at=at,
        received_at=at,
        revision=revision,
        withdrawn=withdrawn,
        channels=channels,
        position=position,
        status=status,
    )


class CountingStore:
    """A store that counts what is asked of it and hands everything on."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.queries = 0
        self.rows = 0

    async def fetch(self, sql: str, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        rows = await self.store.fetch(sql, parameters)
        self.queries += 1
        self.rows += len(rows)
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


class Mesh:
    """Handles messages one after the other; every body that comes out is validated against the contract."""

    def __init__(self, store: Store, **rules: Any) -> None:
        self.counting = CountingStore(store)
        self.store: Store = self.counting
        self.metrics = Metrics("scoring")
        self.clock = ManualClock(START)
        gauges = ReefGauges(self.metrics, self.clock)
        self.metrics.add_sampler(gauges.sample)
        self.handler = ScoringHandler(
            self.store,
            gauges=gauges,
            timeliness=Timeliness(self.metrics, self.clock),
            clock=ManualClock(NOW),
            **rules,
        )
        self.states: dict[str, ScoredReef] = {}
        self.seq = 0
        self.writes: Sequence[Write] = ()
        self.outputs: Sequence[Envelope] = ()

    async def send(
        self,
        *readings: Reading,
        reef: ReefFacts | None = None,
        buoys: Sequence[BuoyFacts] = (),
        seq: int | None = None,
        reload: bool = False,
        conditions: ReefConditions | None = None,
        sensors: dict[str, dict[str, SensorFacts]] | None = None,
    ) -> list[ReefScore]:
        """Handle one message of readings and commit what comes of it; ``reload`` forgets the state in memory before. It is
        ``readings/2`` where ``conditions`` or ``sensors`` are stated."""
        self.seq += 1
        facts = reef or reef_facts()
        body, schema_id = Readings(reef=facts, buoys=list(buoys), readings=list(readings)), READINGS_1
        if conditions or sensors:
            body, schema_id = Readings2(**dict(body), conditions=conditions, sensors=sensors or {}), READINGS_2
        text = body.model_dump_json().encode()
        return await self.handle(facts.reef_id, text, seq=seq or self.seq, reload=reload, schema_id=schema_id)

    async def handle(
        self, reef_id: str, body: bytes, *, seq: int, reload: bool = False, schema_id: str = READINGS_1
    ) -> list[ReefScore]:
        message = Envelope(
            event_id=f"{reef_id}-{self.seq}", reef_id=reef_id, schema_id=schema_id, produced_at=START, seq=seq, body=body
        )
        row = await self.store.load(reef_id)
        if reload or reef_id not in self.states:
            self.states[reef_id] = await self.handler.load(reef_id, row.state)
        change = await self.handler.handle(message, self.states[reef_id])
        outputs = [
            Publication(
                channel=output.channel.name,
                message=Envelope(
                    event_id=event_id_of(message.event_id, output.step),
                    reef_id=reef_id,
                    schema_id=output.schema_id,
                    produced_at=START,
                    body=output.body,
                ),
            )
            for output in change.outputs
        ]
        assert {SCORES.name} >= {output.channel for output in outputs}
        assert (change.state.as_of_us is None) == (not outputs), "every reef that was heard has a score, and no other"
        assert len(outputs) == len({output.message.event_id for output in outputs})
        unit = Unit(
            reef_id=reef_id,
            inbox=str(SCORING),
            event_id=message.event_id,
            expected_version=row.version,
            cursor=Cursor(),
            state=self.handler.dump(change.state),
            writes=change.writes,
            outputs=outputs,
        )
        assert isinstance(await self.store.commit(unit), Committed)
        await self.store.outputs_sent([message.event_id])
        self.writes = change.writes
        self.outputs = [output.message for output in outputs]
        return [current_score(read_body(output.message, READERS)) for output in outputs]

    async def days(self, reef_id: str = "reef") -> list[DayScore]:
        return [day async for day in queries.day_scores(self.store, reef_id)]

    async def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in the service's own tables but the last score."""
        return {
            table: [tuple(row) for row in await self.store.fetch(f"SELECT * FROM {table} ORDER BY {order}")]  # noqa: S608  # constants
            for table, order in TABLES.items()
        }


@asynccontextmanager
async def open_mesh(url: str = "sqlite://", **rules: Any) -> AsyncIterator[Mesh]:
    store = open_store(url, migrations=[migrations()])
    await store.open()
    try:
        yield Mesh(store, **rules)
    finally:
        await store.close()


@pytest.fixture
async def mesh() -> AsyncIterator[Mesh]:
    async with open_mesh() as opened:
        yield opened


@pytest.fixture
def make_reading() -> Callable[..., Reading]:
    return reading


@pytest.fixture
def make_reef() -> Callable[..., ReefFacts]:
    return reef_facts


@pytest.fixture
def meshes() -> Callable[..., Any]:
    """For tests that need several stores, one after the other."""
    return open_mesh


@pytest.fixture(scope="session")
def noaa_rows() -> list[tuple[datetime, float, float, float, int]]:
    """(date, SST, HotSpot, DHW, 7-day maximum) of NOAA's regional virtual station Florida Keys, 1985-2014."""
    path = Path(__file__).parents[4] / "shared" / "data" / "noaa_crw_florida_keys_1985_2014.txt"
    if not path.is_file():
        pytest.skip(f"NOT PROVEN AGAINST NOAA: {path} is not there (NOAA's file is not part of the repository)")
    rows = []
    for line in path.read_text().splitlines():
        parts = line.split()
        if len(parts) == 10 and parts[0].isdigit():
            at = datetime(int(parts[0]), int(parts[1]), int(parts[2]), tzinfo=UTC)
            rows.append((at, float(parts[5]), float(parts[7]), float(parts[8]), int(parts[9])))
    return rows
