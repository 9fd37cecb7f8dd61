"""What the nemesis does to a real PostgreSQL, and to a PgBouncer before it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random

import asyncpg
import pytest

from reefmesh_components.postgresql import local_postgresql
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_faults.pooler_faults import PoolerFaults, pooler_before
from reefmesh_faults.store_faults import StoreFaults
from reefmesh_faults.tcp_proxy import TcpProxy

LIMIT_SECONDS = 120
ROWS = 50
TABLE = "CREATE TABLE written (number BIGINT PRIMARY KEY)"
WRITE = "INSERT INTO written VALUES ($1)"
READ = "SELECT count(*) FROM written"
PORT = "SELECT current_setting('port')::int"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def store() -> AsyncIterator[StoreFaults]:
    try:
        with local_postgresql() as server:
            store = StoreFaults(server=server, random=Random(1), did=Counter(), parts=lambda: ())
            try:
                yield store
            finally:
                store.close()
    except ComponentMissing as missing:
        give_up(missing)


@pytest.fixture
async def pooler(store: StoreFaults) -> AsyncIterator[PoolerFaults]:
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(TcpProxy(lambda: store.server.port, random=Random(1)))
        try:
            yield stack.enter_context(pooler_before(store.server, servers, store.did))
        except ComponentMissing as missing:
            give_up(missing)


class Writer:
    """Writes one row after another at whoever is the primary, and knows what was confirmed."""

    def __init__(self, store: StoreFaults) -> None:
        self.confirmed = 0
        self._store = store
        self._enough = asyncio.Event()

    async def run(self) -> None:
        number = 0
        while not self._enough.is_set():
            session = await asyncpg.connect(self._store.server.url)
            try:
                while not self._enough.is_set():
                    number += 1
                    await session.execute(WRITE, number)
                    self.confirmed += 1
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                continue  # the next row has another number: whether this one is there is nobody's business
            finally:
                session.terminate()

    def stop(self) -> None:
        self._enough.set()


async def asked(url: str, statement: str) -> object:
    session = await asyncpg.connect(url, statement_cache_size=0)
    try:
        return await session.fetchval(statement)
    finally:
        await session.close()


async def test_failovers_promote_a_standby_that_has_all_that_was_confirmed(store: StoreFaults, pooler: PoolerFaults) -> None:
    old, writer = store.server, Writer(store)
    await asked(old.url, TABLE)
    async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        await store.suffer("store_failover", 0.2)
        assert store.server is not old
        confirmed_before = writer.confirmed
        while writer.confirmed < confirmed_before + ROWS:
            await asked(store.server.url, READ)
        writer.stop()
    assert confirmed_before > 0
    assert old.pid is None
    written = await asked(store.server.url, READ)
    assert isinstance(written, int)
    assert writer.confirmed <= written
    await store.suffer("store_failover", 0.0)
    assert written == await asked(pooler.process.url, READ)
    assert store.server.port == await asked(pooler.process.url, PORT)
    assert 2 == store.did["store_failover: promotions"]


async def test_pooler_that_ends_takes_what_goes_through_it_along_and_takes_connections_again(
    store: StoreFaults, pooler: PoolerFaults
) -> None:
    for kind in ("pooler_kill", "pooler_restart", "pooler_servers_reset"):
        session = await asyncpg.connect(pooler.process.url, statement_cache_size=0)
        await session.execute("BEGIN; SELECT 1")  # it has a server connection until its transaction ends
        await pooler.suffer(kind, 0.0)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await session.execute("COMMIT")
        session.terminate()
        assert 1 == await asked(pooler.process.url, "SELECT 1"), kind
    assert store.did["pooler_servers_reset: server connections"] >= 1
