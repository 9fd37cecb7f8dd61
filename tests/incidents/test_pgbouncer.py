"""PgBouncer between service and database: in session mode, and in transaction mode, said or not."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from reefmesh.clock import SystemClock
from reefmesh.errors import ConfigurationError
from reefmesh.store.connect import open_store
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Committed, Store, Unit
from reefmesh_components.pgbouncer import pgbouncer
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_incidents.lone_service import SERVICE, lone_service
from reefmesh_ingest.bootstrap import PROGRAM
from reefmesh_standalone.doctor.examination import Examination

SERVER_CONNECTIONS = 3
"""Fewer than the stores of this test have connections: they share them."""
REEFS, UNITS = 8, 10
TABLES = "SELECT schemaname, count(*) FROM pg_tables WHERE tablename LIKE 'mesh_%' GROUP BY schemaname"

Pooler = Callable[..., str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """``ignored``: startup parameters that the pooler drops. ``parameter``: what the URL says about it."""

    pool_mode: str
    ignored: str = ""
    parameter: str = ""

    def __str__(self) -> str:
        ignoring = " that drops startup parameters" if self.ignored else ""
        return f"{self.pool_mode} mode{ignoring}{f' with {self.parameter[1:]}' if self.parameter else ''}"


@pytest.fixture
def pooler(postgresql_database_url: str) -> Iterator[Pooler]:
    """Start a pooler before an empty database; return the URL through it."""
    with ExitStack() as stack:

        def start(pool_mode: str, **settings: str) -> str:
            try:
                return stack.enter_context(pgbouncer(postgresql_database_url, pool_mode=pool_mode, settings=settings))
            except ComponentMissing as missing:
                give_up(missing)

        yield start


async def schemas_with_tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        return {row[0] for row in await connection.fetch(TABLES)}
    finally:
        await connection.close()


def verdicts(url: str) -> list[str]:
    """Let doctor look at the database of ingest."""
    examination = Examination(lambda _: None, clock=SystemClock())
    asyncio.run(examination.examine_databases({SERVICE: (url, PROGRAM.migrations)}))
    return [f"{finding.verdict} {finding.said}" for finding in examination.findings]


@pytest.mark.row(3)
@pytest.mark.parametrize(
    "case",
    [
        Case(pool_mode="session"),
        pytest.param(Case(pool_mode="session", ignored="search_path,jit,options"), marks=pytest.mark.incidents),
        Case(pool_mode="transaction", parameter="&pooling=transaction"),
    ],
)
def test_service_works_through_a_pooler_in_its_own_schema(
    pooler: Pooler, postgresql_database_url: str, tmp_path: Path, case: Case, measured: Callable[[str], None]
) -> None:
    url = f"{pooler(case.pool_mode, ignore_startup_parameters=case.ignored)}?schema={SERVICE}{case.parameter}"
    with lone_service(tmp_path, url) as process:
        process.wait_until_healthy()
        code = process.terminate()
    assert (code, asyncio.run(schemas_with_tables(postgresql_database_url))) == (0, {SERVICE})
    up_to_date, clock = verdicts(url)
    assert (" is up to date" in up_to_date, clock.split()[0]) == (True, "ok")
    measured(f"{case}: healthy, and up to date for doctor")


@pytest.mark.row(3)
def test_transaction_mode_that_the_url_does_not_state_is_refused(
    pooler: Pooler, postgresql_database_url: str, measured: Callable[[str], None]
) -> None:
    url = f"{pooler('transaction', ignore_startup_parameters='search_path,jit')}?schema={SERVICE}"
    with pytest.raises(ConfigurationError, match="add pooling=transaction to the URL"):
        asyncio.run(open_store(url, migrations=()).open())
    assert asyncio.run(schemas_with_tables(postgresql_database_url)) == set()
    (verdict,) = verdicts(url)
    assert (verdict.split()[0], "add pooling=transaction" in verdict) == ("fail", True)
    measured("transaction mode without it: the start is refused (78) and asks for it, and so does doctor; no table was made")


@pytest.mark.row(3)
async def test_stores_that_share_server_connections_keep_to_their_schemas(
    pooler: Pooler, measured: Callable[[str], None]
) -> None:
    url = f"{pooler('transaction', default_pool_size=str(SERVER_CONNECTIONS))}?pooling=transaction"
    stores = [open_store(f"{url}&schema={schema}", migrations=()) for schema in ("ingest", "scoring", "alerts")]
    for store in stores:
        await store.open()
    try:
        lanes = [_write_and_read(store, f"reef-{reef}") for store in stores for reef in range(REEFS)]
        await asyncio.gather(*lanes)
        for store in stores:
            assert [tuple(row) for row in await store.fetch("SELECT COUNT(*), SUM(version) FROM mesh_reef")] == [
                (REEFS, REEFS * UNITS)
            ]
    finally:
        for store in stores:
            await store.close()
    measured(
        f"three stores on {SERVER_CONNECTIONS} server connections wrote {len(lanes) * UNITS} units, each in its own schema"
    )


async def _write_and_read(store: Store, reef_id: str) -> None:
    for version in range(UNITS):
        event = str(version)
        unit = Unit(
            reef_id=reef_id, inbox="i", event_id=event, expected_version=version, cursor=Cursor(), state=reef_id.encode()
        )
        assert await store.commit(unit) == Committed(version + 1)
        assert (await store.load(reef_id)).version == version + 1
