"""PostgreSQL: for deployments. One schema a service, a small pool of connections, one transaction at a time for writing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import asyncpg

from reefmesh.clock import Clock
from reefmesh.store.group_commit import Batch, BatchResult
from reefmesh.store.migrations import INSERT_RECORD, RECORD_TABLE, SELECT_RECORDS, MigrationSet, next_migration
from reefmesh.store.port import Row, StoreUnavailable, Value, WriteRefused
from reefmesh.store.postgresql_batch import write_batch
from reefmesh.store.postgresql_errors import translated
from reefmesh.store.qmark import numbered

if TYPE_CHECKING:
    from asyncpg import Connection, Pool, Record
    from asyncpg.pool import PoolConnectionProxy

READERS: Final = 3
"""Connections for reading, beside the one that writes."""
CONNECT_TIMEOUT_SECONDS: Final = 10.0
COMMAND_TIMEOUT_SECONDS: Final = 30.0
CLOSE_TIMEOUT_SECONDS: Final = 10.0
MIGRATION_TIMEOUT_SECONDS: Final = 600.0
"""For one migration of a large table, and for waiting while another process applies it."""

SESSION: Final = {
    "application_name": "reefmesh",
    # A process that stops in the middle of a transaction (a frozen machine) must not lock its reefs' rows for ever.
    "idle_in_transaction_session_timeout": "30s",
    # Statements here take microseconds; compiling one takes longer than a thousand of them.
    "jit": "off",
}

WRITING: Final = {
    # Every row that is written is found by its key. A new table has no statistics yet, and the planner would scan all of it
    # for every batch (measured: a tenth of the speed, until the first ANALYZE).
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Settings of the connection that writes."""

LOCK_SCHEMA: Final = "SELECT pg_advisory_xact_lock(1919247718, hashtext($1))"
"""Held while migrating: one process at a time migrates a schema. The first number is reefmesh's own."""
HAS_SCHEMA: Final = "SELECT 1 FROM pg_namespace WHERE nspname = $1"


class PostgresqlDatabase:
    """A ``Database`` in one schema of a PostgreSQL server (version 12 or newer)."""

    def __init__(
        self,
        dsn: str,
        *,
        schema: str,
        name: str,
        migrations: Sequence[MigrationSet],
        clock: Clock,
        readers: int = READERS,
    ) -> None:
        self._dsn = dsn
        self._schema = schema
        self._name = name
        self._migrations = migrations
        self._clock = clock
        self._readers_max = readers
        self._writer: Pool[Record] | None = None
        self._readers: Pool[Record] | None = None

    @property
    def name(self) -> str:
        return self._name

    async def open(self) -> None:
        with translated(self._name, opening=True):
            try:
                self._writer = await self._connect(1, WRITING)
                async with self._writer.acquire() as session:
                    while await self._migrate_one(session):
                        pass
                self._readers = await self._connect(self._readers_max, {})
            except BaseException:
                for pool in self._take_pools():
                    pool.terminate()
                raise

    async def close(self) -> None:
        for pool in self._take_pools():
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                    await pool.close()
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # the server is gone, or hangs
                pool.terminate()

    async def write_batch(self, batch: Batch) -> BatchResult:
        async with self._session(self._writer) as session:
            return await write_batch(session, batch)

    async def fetch(self, sql: str, parameters: Sequence[Value]) -> Sequence[Row]:
        async with self._session(self._readers) as session:
            return [tuple(row) for row in await session.fetch(numbered(sql), *parameters)]

    async def _connect(self, connections: int, settings: Mapping[str, str]) -> "Pool[Record]":
        return await asyncpg.create_pool(
            self._dsn,
            min_size=1,
            max_size=connections,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=COMMAND_TIMEOUT_SECONDS,
            server_settings={**SESSION, **settings, "search_path": self._schema},
            statement_cache_size=512,
            init=_read_sums_as_numbers,
            reset=_keep,
        )

    def _take_pools(self) -> list["Pool[Record]"]:
        pools = [pool for pool in (self._writer, self._readers) if pool is not None]
        self._writer = self._readers = None
        return pools

    @contextlib.asynccontextmanager
    async def _session(self, pool: "Pool[Record] | None") -> AsyncIterator["PoolConnectionProxy[Record]"]:
        if pool is None:
            raise StoreUnavailable(f"{self._name} is not open")
        with translated(self._name):
            async with pool.acquire(timeout=CONNECT_TIMEOUT_SECONDS) as session:
                try:
                    yield session
                except asyncpg.InterfaceError as error:
                    # The driver raises the same class for a wrong number of parameters and for a connection that is gone.
                    if session.is_closed() or isinstance(error, ValueError):
                        raise
                    raise WriteRefused(f"{self._name} refused a statement: {error.args[0]}") from error

    async def _migrate_one(self, session: "PoolConnectionProxy[Record]") -> bool:
        """Apply the next migration that the database lacks; return False if there is none."""
        async with session.transaction():
            await session.execute(LOCK_SCHEMA, self._schema, timeout=MIGRATION_TIMEOUT_SECONDS)
            if not await session.fetch(HAS_SCHEMA, self._schema):  # a user without the right to create it may use it
                await session.execute(f'CREATE SCHEMA "{self._schema}"')
            await session.execute(RECORD_TABLE)
            applied = {(row[0], row[1]): row[2] for row in await session.fetch(SELECT_RECORDS)}
            step = next_migration(self._migrations, applied, database=self._name)
            if step is None:
                return False
            each, migration = step
            await session.execute(migration.script, timeout=MIGRATION_TIMEOUT_SECONDS)
            now_us = int(self._clock.now().timestamp() * 1_000_000)
            record = (each.name, migration.version, migration.name, migration.checksum, now_us)
            await session.execute(numbered(INSERT_RECORD), *record)
            return True


async def _read_sums_as_numbers(connection: "Connection[Record]") -> None:
    """SUM of BIGINT is NUMERIC here and INTEGER in SQLite: both become ``int`` (or ``float``) in Python."""
    await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text")


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


async def _keep(_: "Connection[Record]") -> None:
    """Reset nothing: sessions change no setting, and a reset costs a round trip at every commit."""
