"""PostgreSQL: for deployments. One schema a service, a small pool of connections, one transaction at a time for writing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import asyncpg

from reefmesh.clock import Clock
from reefmesh.errors import ConfigurationError
from reefmesh.store.group_commit import Batch, BatchResult
from reefmesh.store.migrations import INSERT_RECORD, RECORD_TABLE, SELECT_RECORDS, MigrationSet, next_migration
from reefmesh.store.port import Row, StoreUnavailable, Value, WriteRefused
from reefmesh.store.postgresql_batch import write_batch
from reefmesh.store.postgresql_errors import is_of_connection, translated
from reefmesh.store.postgresql_pooling import refuse_unstated_pooling
from reefmesh.store.postgresql_session import WRITING, Sessions, end, is_gone
from reefmesh.store.qmark import numbered

if TYPE_CHECKING:
    from asyncpg import Pool, Record
    from asyncpg.pool import PoolConnectionProxy

READERS: Final = 3
"""Connections for reading, beside the one that writes."""
CLOSE_TIMEOUT_SECONDS: Final = 10.0
MIGRATION_TIMEOUT_SECONDS: Final = 600.0
"""For one migration of a large table, and for waiting while another process applies it."""

LOCK_SCHEMA: Final = "SELECT pg_advisory_xact_lock(1919247718, hashtext($1))"
"""Held while migrating: one process at a time migrates a schema. The first number is reefmesh's own."""
HAS_SCHEMA: Final = "SELECT 1 FROM pg_namespace WHERE nspname = $1"
CURRENT_SCHEMA: Final = "SELECT current_schema()"


class PostgresqlDatabase:
    """A ``Database`` in one schema of a PostgreSQL server (version 12 or newer)."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        migrations: Sequence[MigrationSet],
        clock: Clock,
        readers: int = READERS,
    ) -> None:
        self._sessions = sessions
        self._schema = sessions.address.schema
        self._name = sessions.address.name
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
            await refuse_unstated_pooling(self._sessions)
            try:
                self._writer = await self._sessions.pool(1, WRITING, on_connect=self._renew_readers)
                async with self._writer.acquire() as session:
                    while await self._migrate_one(session):
                        pass
                self._readers = await self._sessions.pool(self._readers_max, {})
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
        async with self._session(self._writer) as session, self._sessions.transaction(session, WRITING):
            return await write_batch(session, batch)

    async def fetch(self, sql: str, parameters: Sequence[Value]) -> Sequence[Row]:
        async with self._session(self._readers) as session, self._sessions.reading(session):
            return [tuple(row) for row in await session.fetch(numbered(sql), *parameters)]

    def _take_pools(self) -> list["Pool[Record]"]:
        pools = [pool for pool in (self._writer, self._readers) if pool is not None]
        self._writer = self._readers = None
        return pools

    @contextlib.asynccontextmanager
    async def _session(self, pool: "Pool[Record] | None") -> AsyncIterator["PoolConnectionProxy[Record]"]:
        if pool is None:
            raise StoreUnavailable(f"{self._name} is not open")
        with translated(self._name):
            try:
                async with pool.acquire(timeout=self._sessions.acquire_timeout_seconds) as session:
                    with _ended_by_its_errors(session, database=self._name):
                        yield session
            except Exception as error:
                if is_of_connection(error):  # another one may lead to another server, which takes writes
                    await self._renew(self._writer, self._readers)
                raise

    async def _renew_readers(self) -> None:
        """Read from the server that is written to: it may be another one than before."""
        await self._renew(self._readers)

    async def _renew(self, *pools: "Pool[Record] | None") -> None:
        """Let no connection of before be used again."""
        for pool in pools:
            if pool is not None:
                await pool.expire_connections()

    async def _migrate_one(self, session: "PoolConnectionProxy[Record]") -> bool:
        """Apply the next migration that the database lacks; return False if there is none."""
        async with self._sessions.transaction(session):
            await session.execute(LOCK_SCHEMA, self._schema, timeout=MIGRATION_TIMEOUT_SECONDS)
            if not await session.fetch(HAS_SCHEMA, self._schema):  # a user without the right to create it may use it
                await session.execute(f'CREATE SCHEMA "{self._schema}"')
            if await session.fetchval(CURRENT_SCHEMA) != self._schema:
                raise ConfigurationError(f"{self._name}: this user may not use the schema: GRANT USAGE, CREATE ON SCHEMA to it")
            await session.execute(RECORD_TABLE)
            applied = {(row[0], row[1]): row[2] for row in await session.fetch(SELECT_RECORDS)}
            step = next_migration(self._migrations, applied, database=self._name)
            if step is None:
                return False
            each, migration = step
            await session.execute(migration.postgresql_script, timeout=MIGRATION_TIMEOUT_SECONDS)
            now_us = int(self._clock.now().timestamp() * 1_000_000)
            record = (each.name, migration.version, migration.name, migration.checksum, now_us)
            await session.execute(numbered(INSERT_RECORD), *record)
            return True


@contextlib.contextmanager
def _ended_by_its_errors(session: "PoolConnectionProxy[Record]", *, database: str) -> Iterator[None]:
    """Terminate a connection that is of no use any more: the pool would give it back for ever."""
    try:
        yield
    except asyncpg.InterfaceError as error:
        # The driver raises the same class for a wrong number of parameters and for a connection that is gone.
        if is_gone(session) or isinstance(error, ValueError):
            raise
        raise WriteRefused(f"{database} refused a statement: {error.args[0]}") from error
    except Exception as error:
        if is_of_connection(error):
            end(session)
        raise
