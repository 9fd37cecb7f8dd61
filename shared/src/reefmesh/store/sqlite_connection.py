"""SQLite connections: opening them, migrating their file, and the one thread that uses each."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, Final, ParamSpec, TypeVar

from reefmesh.clock import Clock
from reefmesh.store.migrations import INSERT_RECORD, RECORD_TABLE, SELECT_RECORDS, MigrationSet, next_migration
from reefmesh.store.port import StoreUnavailable
from reefmesh.store.sqlite_errors import PRIMARY_CODE_MASK

P = ParamSpec("P")
T = TypeVar("T")

JOURNAL_BYTES_LIMIT: Final = 64 * 1024 * 1024
"""Size of the write-ahead file after a checkpoint, at most."""
STATEMENTS_CACHED: Final = 512
LOCK_POLL_SECONDS: Final = 0.01


class ConnectionThread:
    """One connection and the one thread that uses it."""

    def __init__(self, name: str, *, database: str) -> None:
        self._name = name
        self._database = database
        self._opened: tuple[sqlite3.Connection, ThreadPoolExecutor] | None = None

    async def open(self, connect: Callable[P, sqlite3.Connection], *args: P.args, **kwargs: P.kwargs) -> None:
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._name)
        try:
            connection = await asyncio.get_running_loop().run_in_executor(executor, lambda: connect(*args, **kwargs))
        except BaseException:
            executor.shutdown(wait=False)
            raise
        self._opened = connection, executor

    async def run(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in the thread, after all earlier calls; return its result.

        Raises:
            StoreUnavailable: it is not open.
        """
        if self._opened is None:
            raise StoreUnavailable(f"{self._database} is not open")
        connection, executor = self._opened
        return await asyncio.get_running_loop().run_in_executor(executor, lambda: work(connection, *args, **kwargs))

    async def transact(self, work: Callable[[sqlite3.Connection], T], *, busy_timeout_seconds: float) -> T:
        """Run ``work`` in a transaction; return its result when that is durable. After an error nothing was written.

        The statements run on the event loop. In the thread, each would hand over the interpreter twice, which costs more than
        the statement while the event loop computes (a handover may take 5 ms). The thread does what blocks: the flush at the
        commit, and waiting for another process's transaction.

        Raises:
            StoreUnavailable: it is not open.
        """
        if self._opened is None:
            raise StoreUnavailable(f"{self._database} is not open")
        connection, executor = self._opened
        loop = asyncio.get_running_loop()
        if not _begin_at_once(connection):
            await loop.run_in_executor(executor, _begin_patiently, connection, busy_timeout_seconds)
        try:
            result = work(connection)
        except BaseException:
            _roll_back(connection)
            raise
        await loop.run_in_executor(executor, _commit, connection)
        return result

    async def close(self) -> None:
        """Finish all earlier calls, then close. Idempotent, safe before ``open``."""
        if self._opened is not None:
            (connection, executor), self._opened = self._opened, None
            await asyncio.get_running_loop().run_in_executor(executor, connection.close)
            executor.shutdown()


def _begin_at_once(connection: sqlite3.Connection) -> bool:
    """Begin a transaction for writing; return False if another process has one open."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & PRIMARY_CODE_MASK == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True


def _begin_patiently(connection: sqlite3.Connection, busy_timeout_seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout_seconds * 1000)}")
    connection.execute("BEGIN IMMEDIATE")


def _commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    finally:
        _roll_back(connection)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def connect_writer(path: str, busy_timeout_seconds: float) -> sqlite3.Connection:
    """Connect for writing: write-ahead journal, a flush of the disk at every commit, foreign keys enforced as in PostgreSQL."""
    connection = _connect(path, busy_timeout_seconds)
    try:
        _write_ahead(connection, busy_timeout_seconds)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES_LIMIT}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection, busy_timeout_seconds: float) -> None:
    """Switch to the write-ahead journal. Of several processes that open a new file at once, SQLite refuses all but one without
    waiting for its busy time-out: so this waits."""
    deadline = time.monotonic() + busy_timeout_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & PRIMARY_CODE_MASK != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return


def connect_reader(path: str, busy_timeout_seconds: float) -> sqlite3.Connection:
    connection = _connect(path, busy_timeout_seconds)
    connection.execute("PRAGMA query_only = ON")
    return connection


def migrate(connection: sqlite3.Connection, sets: Sequence[MigrationSet], *, database: str, clock: Clock) -> None:
    """Apply the migrations that the database lacks, each in a transaction of its own, one process at a time.

    Raises:
        ConfigurationError: as ``next_migration``.
        sqlite3.Error: the file cannot be written, or a script is wrong.
    """
    while True:
        connection.execute("BEGIN IMMEDIATE")  # processes that start together take turns, and each reads the records again
        try:
            connection.execute(RECORD_TABLE)
            applied = {(name, version): checksum for name, version, checksum in connection.execute(SELECT_RECORDS)}
            step = next_migration(sets, applied, database=database)
            if step is not None:
                each, migration = step
                for statement in migration.statements():
                    connection.execute(statement)
                now_us = int(clock.now().timestamp() * 1_000_000)
                connection.execute(INSERT_RECORD, (each.name, migration.version, migration.name, migration.checksum, now_us))
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if step is None:
            return


def _connect(path: str, busy_timeout_seconds: float) -> sqlite3.Connection:
    # check_same_thread: the connection is made in its thread, and closed there too, but by a task that may be another's
    return sqlite3.connect(
        path,
        timeout=busy_timeout_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_CACHED,
    )
