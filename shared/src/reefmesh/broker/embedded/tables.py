"""The journal's tables."""

from typing import Final

APPLICATION_ID: Final = 0x52454546  # "REEF"
SCHEMA_VERSION: Final = 1

CREATE: Final = (
    """CREATE TABLE subscription (
        id INTEGER PRIMARY KEY,
        service TEXT NOT NULL,
        channel TEXT NOT NULL,
        UNIQUE (service, channel)
    )""",
    # AUTOINCREMENT: a position is never given twice, even when the newest message is gone
    """CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL,
        reef_id TEXT NOT NULL,
        event_id TEXT NOT NULL,
        schema_id TEXT NOT NULL,
        produced_us INTEGER NOT NULL,
        seq INTEGER,
        traceparent TEXT,
        headers TEXT,
        published_us INTEGER NOT NULL,
        body BLOB NOT NULL
    )""",
    # one row per message and subscription that has not settled it; by reef, so that one reef can be read alone
    """CREATE TABLE waiting (
        subscription INTEGER NOT NULL,
        reef_id TEXT NOT NULL,
        message INTEGER NOT NULL,
        PRIMARY KEY (subscription, reef_id, message)
    ) WITHOUT ROWID""",
    """CREATE TABLE parked (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        subscription INTEGER NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        parked_us INTEGER NOT NULL,
        channel TEXT NOT NULL,
        reef_id TEXT NOT NULL,
        event_id TEXT NOT NULL,
        schema_id TEXT NOT NULL,
        produced_us INTEGER NOT NULL,
        seq INTEGER,
        traceparent TEXT,
        headers TEXT,
        published_us INTEGER NOT NULL,
        body BLOB NOT NULL
    )""",
    "CREATE INDEX parked_by_reef ON parked (subscription, reef_id)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
