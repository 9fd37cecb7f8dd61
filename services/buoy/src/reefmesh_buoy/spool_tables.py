"""The spool's tables, and how its file is opened so that a power cut at any instant leaves it whole."""

import sqlite3
from pathlib import Path
from typing import Final
from uuid import uuid4

PAGE_BYTES: Final = 4096
CHECKPOINT_PAGES: Final = 64
"""Of the write-ahead log: it stays at about a quarter of a MiB, and is used again without growing."""
LOCK_SECONDS: Final = 10.0

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
