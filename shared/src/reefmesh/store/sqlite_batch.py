"""The writes of one SQLite transaction for many units."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from reefmesh.store.group_commit import Batch, BatchResult, Try
from reefmesh.store.mesh_rows import (
    OutboxRow,
    cursor_to_json,
    outbox_rows,
)
from reefmesh.store.port import AlreadyApplied, CommitResult, Committed, Stale, Unit
from reefmesh.store.write_order import merged

UPSERT_REEF: Final = """
INSERT INTO mesh_reef (reef_id, version, cursor_json, state) VALUES (?, ?, ?, ?)
ON CONFLICT (reef_id) DO UPDATE SET version = excluded.version, cursor_json = excluded.cursor_json, state = excluded.state
"""
SELECT_VERSION: Final = "SELECT version FROM mesh_reef WHERE reef_id = ?"
SELECT_STANDING: Final = """
SELECT (SELECT version FROM mesh_reef WHERE reef_id = ?1),
  EXISTS (SELECT 1 FROM mesh_inbox WHERE reef_id = ?1 AND inbox = ?2 AND event_id = ?3)
"""
INSERT_INBOX: Final = "INSERT INTO mesh_inbox (reef_id, inbox, event_id, version) VALUES (?, ?, ?, ?)"
PRUNE_INBOX: Final = """
DELETE FROM mesh_inbox WHERE reef_id = ?1 AND inbox = ?2 AND version <=
  (SELECT version FROM mesh_inbox WHERE reef_id = ?1 AND inbox = ?2 ORDER BY version DESC LIMIT 1 OFFSET ?3)
"""
UPSERT_OUTBOX: Final = """
INSERT INTO mesh_outbox (event_id, cause_event_id, reef_id, version, position, channel, headers_json, body, created_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (event_id) DO UPDATE SET cause_event_id = excluded.cause_event_id, reef_id = excluded.reef_id,
  version = excluded.version, position = excluded.position, channel = excluded.channel,
  headers_json = excluded.headers_json, body = excluded.body, created_us = excluded.created_us
"""
DELETE_OUTPUTS: Final = "DELETE FROM mesh_outbox WHERE cause_event_id = ?"
COUNT_ATTEMPT: Final = """
INSERT INTO mesh_attempt (inbox, event_id, tries) VALUES (?, ?, 1)
ON CONFLICT (inbox, event_id) DO UPDATE SET tries = mesh_attempt.tries + 1
"""
SELECT_TRIES: Final = "SELECT tries FROM mesh_attempt WHERE inbox = ? AND event_id = ?"
DELETE_ATTEMPT: Final = "DELETE FROM mesh_attempt WHERE inbox = ? AND event_id = ?"


def write_batch(connection: sqlite3.Connection, batch: Batch) -> BatchResult:
    """Write a batch in one transaction. After an error nothing of it was written."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = write_statements(connection, batch)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return result


def write_statements(connection: sqlite3.Connection, batch: Batch) -> BatchResult:
    """Write a batch inside a transaction that was begun for writing: no other process writes meanwhile."""
    if batch.forgotten:
        connection.executemany(DELETE_OUTPUTS, [(event_id,) for event_id in batch.forgotten])
    results = [_judge(connection, unit) for unit in batch.units]
    accepted = [
        (unit, result.version) for unit, result in zip(batch.units, results, strict=True) if isinstance(result, Committed)
    ]
    if accepted:
        _write_units(connection, accepted, batch.now_us)
    tried = [(unit.inbox, unit.event_id) for unit in batch.units if unit.tried]
    if tried:
        connection.executemany(DELETE_ATTEMPT, tried)
    for sql, rows in merged([*(unit.writes for unit, _ in accepted), *batch.writes]):
        connection.executemany(sql, rows)
    return BatchResult(units=results, attempts=[_count(connection, attempt) for attempt in batch.attempts])


def _judge(connection: sqlite3.Connection, unit: Unit) -> CommitResult:
    version, is_applied = _standing(connection, unit)
    if is_applied:
        return AlreadyApplied()
    return Committed(version + 1) if version == unit.expected_version else Stale(version)


def _standing(connection: sqlite3.Connection, unit: Unit) -> tuple[int, bool]:
    """Return the reef's version (0 without a row) and whether the inbox holds the unit's input."""
    if not unit.in_inbox:
        row = connection.execute(SELECT_VERSION, (unit.reef_id,)).fetchone()
        return (0 if row is None else row[0]), False
    version, is_applied = connection.execute(SELECT_STANDING, (unit.reef_id, unit.inbox, unit.event_id)).fetchone()
    return version or 0, bool(is_applied)


def _write_units(connection: sqlite3.Connection, units: Sequence[tuple[Unit, int]], now_us: int) -> None:
    connection.executemany(
        UPSERT_REEF, [(unit.reef_id, version, cursor_to_json(unit.cursor), unit.state) for unit, version in units]
    )
    marked = [(unit, version) for unit, version in units if unit.in_inbox]
    if marked:
        connection.executemany(INSERT_INBOX, [(unit.reef_id, unit.inbox, unit.event_id, version) for unit, version in marked])
        connection.executemany(
            PRUNE_INBOX,
            [(unit.reef_id, unit.inbox, unit.inbox_length) for unit, version in marked if version > unit.inbox_length],
        )
    outputs: list[OutboxRow] = []
    for unit, version in units:
        outputs += outbox_rows(unit, version=version, created_us=now_us)
    connection.executemany(UPSERT_OUTBOX, outputs)


def _count(connection: sqlite3.Connection, attempt: Try) -> int:
    row = (attempt.inbox, attempt.event_id)
    connection.execute(COUNT_ATTEMPT, row)
    tries: int = connection.execute(SELECT_TRIES, row).fetchone()[0]
    return tries
