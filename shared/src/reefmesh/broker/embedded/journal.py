"""The journal: messages, the subscriptions that have not settled them, and parked messages. SQLite, one writer at a time.

Its owner and any number of publishers (other processes) share the file. Positions rise in the order of commits, because
they are given inside the write transaction. Nothing here is asynchronous; ``writer`` decides what runs on which thread.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from reefmesh.broker.embedded import tables
from reefmesh.broker.embedded.errors import opening_failure
from reefmesh.broker.embedded.record import COLUMNS, Record
from reefmesh.contracts.channels import Subscription, channel_named
from reefmesh.errors import ConfigurationError

BUSY_SECONDS: Final = 10.0
"""How long a transaction waits for another process's: theirs are short, so a longer one is stuck."""
_BUSY_STEP_SECONDS: Final = 0.0005
_CHECKPOINT_PAGES: Final = 4000  # 16 MiB of log between checkpoints: each costs two more fsyncs
_BUSY_CODES: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_INSERT_MESSAGE: Final = f"INSERT INTO message ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants only
_INSERT_WAITING: Final = "INSERT INTO waiting (subscription, reef_id, message) VALUES (?, ?, ?)"
_DELETE_WAITING: Final = "DELETE FROM waiting WHERE subscription = ? AND reef_id = ? AND message = ?"
_DELETE_MESSAGE: Final = "DELETE FROM message WHERE id = ?"
_DELETE_MESSAGE_UNLESS_WAITED_FOR: Final = """
    DELETE FROM message WHERE id = ? AND NOT EXISTS (
        SELECT 1 FROM subscription s CROSS JOIN waiting w
        WHERE s.channel = message.channel
          AND w.subscription = s.id AND w.reef_id = message.reef_id AND w.message = message.id)"""
_SCAN: Final = f"""
    SELECT {", ".join(f"m.{column}" for column in COLUMNS.split(", "))}
    FROM message m CROSS JOIN waiting w
    WHERE m.id > ? AND m.id <= ? AND m.channel = ?
      AND w.subscription = ? AND w.reef_id = m.reef_id AND w.message = m.id
    ORDER BY m.id"""  # noqa: S608 - constants only
_SCAN_REEF: Final = f"""
    SELECT {", ".join(f"m.{column}" for column in COLUMNS.split(", "))}
    FROM waiting w CROSS JOIN message m
    WHERE w.subscription = ? AND w.reef_id = ? AND w.message > ? AND w.message <= ? AND m.id = w.message
    ORDER BY w.message"""  # noqa: S608 - constants only
_COUNT_NEW: Final = """
    SELECT w.subscription, COUNT(*)
    FROM message m CROSS JOIN subscription s CROSS JOIN waiting w
    WHERE m.id > ? AND m.id <= ? AND s.channel = m.channel
      AND w.subscription = s.id AND w.reef_id = m.reef_id AND w.message = m.id
    GROUP BY w.subscription"""


class Journal:
    """One connection to one journal.

    ``last_position`` is the newest position that this connection knows, in a transaction the newest that it has given.
    ``waiting_messages`` counts unsettled messages per subscription id as of the last commit or notice; a publisher does not
    keep it.
    """

    def __init__(self, path: Path | None, *, owner: bool) -> None:
        self.durable = path is not None
        self.last_position = 0
        self.waiting_messages: dict[int, int] = {}
        self._added_for: list[int] = []  # in the open transaction
        self._name = str(path) if path else "in memory"
        self._owner = owner
        self._by_channel: dict[str, tuple[int, ...]] = {}
        self._ids: dict[Subscription, int] = {}
        self._data_version = -1
        self._page_bytes = 0
        self._connection = self._open(path)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    # subscriptions

    def subscription_ids(self, channel: str) -> tuple[int, ...]:
        return self._by_channel.get(channel, ())

    def subscription_id(self, subscription: Subscription) -> int | None:
        return self._ids.get(subscription)

    def subscriptions(self) -> dict[Subscription, int]:
        return dict(self._ids)

    def declare(self, subscriptions: Sequence[Subscription]) -> None:
        """Inside a transaction: make these exist."""
        self._connection.executemany(
            "INSERT INTO subscription (service, channel) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(subscription.service, subscription.channel.name) for subscription in subscriptions],
        )
        self._load_subscriptions()

    # transactions

    def begin(self) -> bool:
        """Begin a write transaction; False when another process is in one."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in _BUSY_CODES:
                return False
            raise
        return True

    def begin_patiently(self) -> bool:
        """Begin a write transaction and wait for other processes' to end; False when the wait was too long. Blocks, so it runs
        on the writer's thread.

        Tries more often than SQLite's own busy handler: a busy owner leaves the lock free only for moments.
        """
        deadline = time.monotonic() + BUSY_SECONDS
        while not self.begin():
            if time.monotonic() > deadline:
                return False
            time.sleep(_BUSY_STEP_SECONDS)
        return True

    def commit(self) -> None:
        """Make the transaction durable: returns after the fsync. Blocks."""
        self._connection.execute("COMMIT")

    def rollback(self, *, to: int | None) -> None:
        """Undo the transaction, if there is one; ``to`` is the last position before it, if it got as far as that."""
        with suppress(sqlite3.Error):  # some failures have rolled back already
            self._connection.execute("ROLLBACK")
        self._added_for.clear()
        if to is not None:
            self.last_position = to
        with suppress(sqlite3.Error):  # what was declared before is still known
            self._load_subscriptions()

    def changed_elsewhere(self) -> bool:
        """Return whether another connection has committed since the last call; cheap."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._data_version:
            return False
        self._data_version = version
        return True

    def notice(self) -> bool:
        """Read subscriptions and positions that other processes committed. Return whether there are messages of theirs."""
        self._load_subscriptions()
        before = self.last_position
        self.last_position = max(before, self._newest_position())
        if self.last_position == before:
            return False
        if self._owner:
            for subscription, messages in self._connection.execute(_COUNT_NEW, (before, self.last_position)):
                self.waiting_messages[subscription] = self.waiting_messages.get(subscription, 0) + messages
        return True

    def _newest_position(self) -> int:
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'message'").fetchone()
        return int(row[0]) if row else 0

    # messages, inside a transaction

    def give_position(self) -> int:
        self.last_position += 1
        return self.last_position

    def add(self, records: Sequence[Record]) -> None:
        """Write messages, positions already given, for every subscription of their channels."""
        self._connection.executemany(_INSERT_MESSAGE, records)
        by_channel = self._by_channel
        self._connection.executemany(
            _INSERT_WAITING,
            [(subscription, record[2], record[0]) for record in records for subscription in by_channel[record[1]]],
        )

    def add_for(self, subscription: int, record: Record) -> None:
        """Write a message for one subscription alone."""
        self._connection.execute(_INSERT_MESSAGE, record)
        self._connection.execute(_INSERT_WAITING, (subscription, record[2], record[0]))
        self._added_for.append(subscription)

    def count_added_for(self) -> None:
        """After a commit: count what ``add_for`` wrote in it."""
        for subscription in self._added_for:
            self.count(subscription, 1)
        self._added_for.clear()

    def settle(self, settlements: Sequence[tuple[int, str, int]], *, shared: bool) -> None:
        """Delete these (subscription, reef, position) from ``waiting``, and messages for which no subscription waits.

        ``shared``: the messages' channels have several subscriptions.
        """
        self._connection.executemany(_DELETE_WAITING, settlements)
        self._connection.executemany(
            _DELETE_MESSAGE_UNLESS_WAITED_FOR if shared else _DELETE_MESSAGE, [(row[2],) for row in settlements]
        )

    def count(self, subscription: int, messages: int) -> None:
        """After a commit: so many more messages wait, or fewer."""
        self.waiting_messages[subscription] = self.waiting_messages.get(subscription, 0) + messages

    def used_bytes(self) -> int:
        pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
        free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
        return int(pages - free) * self._page_bytes

    # reading

    def scan(self, subscription: Subscription, *, after: int, until: int) -> sqlite3.Cursor:
        """Unsettled messages of a subscription, after ``after`` and up to ``until``, by position."""
        return self._connection.execute(_SCAN, (after, until, subscription.channel.name, self._ids[subscription]))

    def scan_reef(self, subscription: Subscription, reef_id: str, *, after: int, until: int) -> sqlite3.Cursor:
        """The same of one reef."""
        return self._connection.execute(_SCAN_REEF, (self._ids[subscription], reef_id, after, until))

    def count_waiting(self) -> dict[int, int]:
        """Unsettled messages per subscription id; reads the whole index."""
        return dict(self._connection.execute("SELECT subscription, COUNT(*) FROM waiting GROUP BY subscription").fetchall())

    def oldest_published_us(self, subscription: int) -> int | None:
        """When the oldest unsettled message was published; reads the subscription's part of the index."""
        row = self._connection.execute(
            "SELECT published_us FROM message WHERE id = (SELECT MIN(message) FROM waiting WHERE subscription = ?)",
            (subscription,),
        ).fetchone()
        return int(row[0]) if row else None

    # any other statement, inside a transaction

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, parameters)

    # opening

    def _open(self, path: Path | None) -> sqlite3.Connection:
        try:
            if path is not None:
                _create(path)
            return sqlite3.connect(
                path or ":memory:",
                timeout=0,  # waiting is begin_patiently's
                isolation_level=None,  # transactions are begun and ended here
                check_same_thread=False,  # commits run in the writer's thread, one call at a time
                cached_statements=64,
            )
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                f"cannot open the journal {self._name}: {error}; check the folder and its rights"
            ) from None

    def _prepare(self) -> None:
        try:
            self._patiently(self._configure)
        except sqlite3.DatabaseError as error:
            raise opening_failure(self._name, error) from None
        self._page_bytes = int(self._connection.execute("PRAGMA page_size").fetchone()[0])
        self.changed_elsewhere()
        self._load_subscriptions()
        self.last_position = self._newest_position()
        if self._owner:
            self.waiting_messages = self.count_waiting()

    def _configure(self) -> None:
        execute = self._connection.execute
        application_id = execute("PRAGMA application_id").fetchone()[0]
        version = execute("PRAGMA user_version").fetchone()[0]
        known = application_id == tables.APPLICATION_ID
        if not known and (application_id or execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]):
            raise ConfigurationError(f"{self._name} is a database of another program; choose another path for the journal")
        if known and version != tables.SCHEMA_VERSION:
            raise ConfigurationError(
                f"the journal {self._name} has format {version}, this program writes {tables.SCHEMA_VERSION}; "
                "use the program that made it, or choose another path"
            )
        if self.durable:
            execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")  # a confirmed commit is on the disk, whatever happens next
        execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        execute("PRAGMA journal_size_limit = 67108864")
        execute("PRAGMA temp_store = MEMORY")
        execute("BEGIN IMMEDIATE")  # also shows here and now whether the file can be written
        try:
            if execute("PRAGMA application_id").fetchone()[0] != tables.APPLICATION_ID:
                for statement in tables.CREATE:
                    execute(statement)
            execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise

    def _patiently(self, action: Callable[[], None]) -> None:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _BUSY_CODES or time.monotonic() > deadline:
                    raise
            time.sleep(_BUSY_STEP_SECONDS)

    def _load_subscriptions(self) -> None:
        by_channel: dict[str, tuple[int, ...]] = {}
        ids: dict[Subscription, int] = {}
        for number, service, channel in self._connection.execute("SELECT id, service, channel FROM subscription ORDER BY id"):
            ids[Subscription(service, channel_named(channel))] = number
            by_channel[channel] = (*by_channel.get(channel, ()), number)
        self._ids, self._by_channel = ids, by_channel


def _create(path: Path) -> None:
    """Make a new journal readable and writable by its owner alone: whoever may write to it speaks for everybody. The files
    beside it get the same mode. A file that exists is not touched: closing any descriptor of it would take the locks from this
    process's other connections."""
    with contextlib.suppress(FileExistsError):
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
