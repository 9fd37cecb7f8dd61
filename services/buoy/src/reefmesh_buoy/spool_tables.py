"""The spool's tables, and how its file is opened so that a power cut at any instant leaves it whole."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final
from uuid import uuid4

PAGE_BYTES: Final = 4096
CHECKPOINT_PAGES: Final = 64
"""Of the write-ahead log: it stays at about a quarter of a MiB, and is used again without growing."""
LOCK_SECONDS: Final = 10.0
BALLAST_BYTES: Final = 1024 * 1024
"""More than the write-ahead log, its index and the deletion of some readings take."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS boot (boot_id TEXT PRIMARY KEY, boot_at_us INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reading (
    id INTEGER PRIMARY KEY AUTOINCREMENT, wall_us INTEGER NOT NULL, since_boot_us INTEGER NOT NULL, boot_id TEXT NOT NULL,
    is_set INTEGER NOT NULL, observed_us INTEGER, content_json TEXT NOT NULL, seq INTEGER);
CREATE INDEX IF NOT EXISTS reading_of_report ON reading (seq) WHERE seq IS NOT NULL;
CREATE TABLE IF NOT EXISTS report (
    seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL, follows TEXT, sent_us INTEGER NOT NULL, clock TEXT NOT NULL,
    body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS refused (seq INTEGER PRIMARY KEY, reason TEXT NOT NULL, body BLOB NOT NULL);
"""


class Ballast:
    """A file beside the spool that holds room on the disk: on a full one, also a deletion has to write first."""

    def __init__(self, spool: Path) -> None:
        self._file = spool.with_name(f"{spool.name}-ballast")

    def take_in(self) -> None:
        """Hold the room, if there is some. Raises OSError."""
        if self._file.exists() and self._file.stat().st_size == BALLAST_BYTES:
            return
        try:
            self._file.write_bytes(os.urandom(BALLAST_BYTES))  # of zeros a file system may keep nothing
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self.throw_out()

    def throw_out(self) -> None:
        self._file.unlink(missing_ok=True)


def open_with_ballast(path: Path, ballast: Ballast, *, bytes_limit: int | None) -> sqlite3.Connection:
    """Open or make the file, also on a full disk. Raises sqlite3.Error, OSError."""
    try:
        connection = open_spool_file(path, bytes_limit=bytes_limit)
    except sqlite3.OperationalError:
        ballast.throw_out()
        connection = open_spool_file(path, bytes_limit=bytes_limit)
    ballast.take_in()
    return connection


def open_spool_file(path: Path, *, bytes_limit: int | None) -> sqlite3.Connection:
    """Open or make the file. Each commit is on the disk when it returns. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=LOCK_SECONDS)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute("PRAGMA cache_size = -512")  # KiB
    connection.executescript(_TABLES)
    connection.execute("INSERT OR IGNORE INTO fact VALUES ('producer_id', ?)", (str(uuid4()),))
    if bytes_limit is not None:
        connection.execute(f"PRAGMA max_page_count = {max(64, bytes_limit // PAGE_BYTES)}")
    return connection
