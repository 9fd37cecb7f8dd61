"""Fixtures of the store's tests (every database, and units to write) and of the worker's."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reefmesh.broker.port import Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.store.connect import open_store
from reefmesh.store.cursor import Cursor
from reefmesh.store.migrations import Migration, MigrationSet
from reefmesh.store.port import Store, Unit, Write
from reefmesh_components.worker_bench import WorkerBench, open_worker_bench

READINGS = MigrationSet(
    name="readings",
    migrations=(
        Migration(
            version=1,
            name="reading",
            script="""
CREATE TABLE reading (
  reef_id TEXT NOT NULL, number BIGINT NOT NULL, value DOUBLE PRECISION, note TEXT, raw BYTEA, PRIMARY KEY (reef_id, number)
);
""",
        ),
    ),
)
INSERT_READING = "INSERT INTO reading (reef_id, number, value) VALUES (?, ?, ?)"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)

OpenStore = Callable[..., Awaitable[Store]]
MakeUnit = Callable[..., Unit]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture(params=["sqlite-file", "postgresql"])
def shared_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that several processes can open."""
    if request.param == "sqlite-file":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("postgresql_schema_url")
    return url


@pytest.fixture(params=["sqlite-memory", "sqlite-file", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite-memory":
        return "sqlite://"
    if request.param == "sqlite-file":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("postgresql_schema_url")
    return url


@pytest.fixture
async def opened(clock: ManualClock) -> AsyncIterator[OpenStore]:
    """Open stores by URL; they are closed at the end of the test."""
    async with AsyncExitStack() as stack:

        async def open_one(url: str, migrations: Sequence[MigrationSet] = (READINGS,)) -> Store:
            store = open_store(url, migrations=migrations, clock=clock)
            stack.push_async_callback(store.close)
            await store.open()
            return store

        yield open_one


@pytest.fixture
async def store(database_url: str, opened: OpenStore) -> Store:
    return await opened(database_url)


@pytest.fixture
async def bench() -> AsyncIterator[WorkerBench]:
    async with open_worker_bench() as opened_bench:
        yield opened_bench


@pytest.fixture
def unit() -> MakeUnit:
    """Make the unit of a reef's n-th input, from 1: one reading, and outputs in a given number."""

    def make(
        reef_id: str,
        number: int,
        *,
        expected_version: int | None = None,
        inbox: str = "readings",
        outputs: int = 1,
        writes: Sequence[Write] | None = None,
        in_inbox: bool = True,
        tried: bool = True,
    ) -> Unit:
        event_id = event_id_of(f"{inbox} {reef_id}", str(number))
        return Unit(
            reef_id=reef_id,
            inbox=inbox,
            event_id=event_id,
            expected_version=number - 1 if expected_version is None else expected_version,
            cursor=Cursor(
                applied={inbox: number},
                missing={inbox: (3, 5)},
                published={"reef.scores": number},
                parked={"a": 1},
                producers={inbox: {"p": event_id}},
            ),
            state=f"state {number}".encode(),
            writes=[Write(INSERT_READING, (reef_id, number, number / 2))] if writes is None else writes,
            outputs=[_output(reef_id, event_id, position, number) for position in range(outputs)],
            in_inbox=in_inbox,
            tried=tried,
        )

    return make


def _output(reef_id: str, cause: str, position: int, number: int) -> Publication:
    message = Envelope(
        event_id=event_id_of(cause, f"output {position}"),
        reef_id=reef_id,
        schema_id="scores/1",
        produced_at=START,
        seq=number,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        headers={"device": "imei ü 1"},
        body=b'{"position":%d}\x00\xff' % position,
    )
    return Publication(channel="reef.scores", message=message)
