"""SQLite: for one machine, with nothing to install.

One thread writes, over one connection, in write-ahead mode with a flush at every commit (a confirmed unit survives a
power cut). Another thread reads committed rows meanwhile. In memory there is one connection, and one thread for both.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from reefmesh.clock import Clock
from reefmesh.errors import ConfigurationError
from reefmesh.store.group_commit import Batch, BatchResult
from reefmesh.store.migrations import MigrationSet
from reefmesh.store.port import Row, Value
from reefmesh.store.sqlite_batch import write_batch, write_statements
from reefmesh.store.sqlite_connection import ConnectionThread, connect_reader, connect_writer, migrate
from reefmesh.store.sqlite_errors import translated

BUSY_TIMEOUT_SECONDS: Final = 5.0
"""How long a write waits for another process that has locked the file; then it raises StoreUnavailable."""


class SqliteDatabase:
    """A ``Database`` in the file ``path``; None: in memory, gone when closed."""

    def __init__(
        self,
        path: Path | None,
        *,
        migrations: Sequence[MigrationSet],
        clock: Clock,
        busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
    ) -> None:
        self._path = path
        self._target = ":memory:" if path is None else str(path)
        self._migrations = migrations
        self._clock = clock
        self._busy_timeout_seconds = busy_timeout_seconds
        self._writer = ConnectionThread("sqlite-writer", database=self.name)
        self._reader = self._writer if path is None else ConnectionThread("sqlite-reader", database=self.name)

    @property
    def name(self) -> str:
        return "the database in memory" if self._path is None else f"the database {self._path}"

    async def open(self) -> None:
        if self._path is not None and _is_missing(self._path.parent):
            raise ConfigurationError(f"{self.name} cannot be opened: there is no folder {self._path.parent}, create it")
        try:
            with translated(self.name, opening=True):
                await self._writer.open(connect_writer, self._target, self._busy_timeout_seconds)
                await self._writer.run(migrate, self._migrations, database=self.name, clock=self._clock)
                if self._reader is not self._writer:
                    await self._reader.open(connect_reader, self._target, self._busy_timeout_seconds)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()

    async def write_batch(self, batch: Batch) -> BatchResult:
        with translated(self.name):
            if self._reader is self._writer:  # one connection for both: its thread keeps readers out of open transactions
                return await self._writer.run(write_batch, batch)
            return await self._writer.transact(
                lambda connection: write_statements(connection, batch), busy_timeout_seconds=self._busy_timeout_seconds
            )

    async def fetch(self, sql: str, parameters: Sequence[Value]) -> Sequence[Row]:
        with translated(self.name):
            return await self._reader.run(_fetch, sql, parameters)


def _fetch(connection: sqlite3.Connection, sql: str, parameters: Sequence[Value]) -> Sequence[Row]:
    return connection.execute(sql, parameters).fetchall()


def _is_missing(folder: Path) -> bool:
    try:
        return not folder.is_dir()
    except OSError:  # it may be there, without the right to see it: opening the file tells
        return False
