"""Inspecting a database without changing it: is it there, which migrations were applied, what time is it there."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from reefmesh.clock import Clock
from reefmesh.store.migrations import SELECT_RECORDS, MigrationSet, Records, next_migration
from reefmesh.store.postgresql_address import PostgresqlAddress
from reefmesh.store.sqlite_errors import translated

LOOK_TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """``made``: a service has created its tables here. ``pending``: migrations that the next start of a service applies.
    ``clock_offset_seconds``: how far the database's clock is ahead of ours; None if it is the same clock."""

    name: str
    made: bool
    pending: tuple[str, ...]
    clock_offset_seconds: float | None


async def inspect_sqlite(path: Path, sets: Sequence[MigrationSet]) -> Inspection:
    """Raises ConfigurationError or StoreUnavailable, as opening the store would."""
    name = f"the database {path}"
    applied = await asyncio.to_thread(_read_sqlite, path, name)
    return _inspection(name, sets, applied, None)


def _read_sqlite(path: Path, name: str) -> Records | None:
    if not path.exists():
        return None
    address = f"file:{quote(str(path))}?mode=ro"
    with translated(name, opening=True), closing(sqlite3.connect(address, uri=True, timeout=LOOK_TIMEOUT_SECONDS)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'mesh_migration'").fetchone():
            return None
        return {(row[0], row[1]): row[2] for row in database.execute(SELECT_RECORDS)}


async def inspect_postgresql(address: PostgresqlAddress, *, sets: Sequence[MigrationSet], clock: Clock) -> Inspection:
    """Raises ConfigurationError or StoreUnavailable, as opening the store would."""
    # These need the driver, which is an optional dependency; the caller has checked that it is there.
    from reefmesh.store.postgresql_errors import translated as translated_postgresql  # noqa: PLC0415
    from reefmesh.store.postgresql_pooling import refuse_unstated_pooling  # noqa: PLC0415
    from reefmesh.store.postgresql_session import Sessions  # noqa: PLC0415

    applied: Records | None = None
    sessions = Sessions(address)
    with translated_postgresql(address.name, opening=True):
        await refuse_unstated_pooling(sessions)
        connection = await sessions.connect()
        try:
            await sessions.prepare(connection, {})
            async with sessions.transaction(connection):
                asked_at = clock.now()
                there_at: datetime = await connection.fetchval("SELECT clock_timestamp()")
                answered_at = clock.now()
                if await connection.fetchval("SELECT to_regclass($1)", f"{address.schema}.mesh_migration"):
                    applied = {(row[0], row[1]): row[2] for row in await connection.fetch(SELECT_RECORDS)}
        finally:
            await connection.close(timeout=LOOK_TIMEOUT_SECONDS)
    offset = there_at - (asked_at + (answered_at - asked_at) / 2)
    return _inspection(address.name, sets, applied, offset.total_seconds())


def _inspection(
    name: str, sets: Sequence[MigrationSet], applied: Records | None, clock_offset_seconds: float | None
) -> Inspection:
    if applied is not None:
        next_migration(sets, applied, database=name)  # raises if it cannot be used with what was applied
    pending = tuple(
        f"{each.name} {migration.version:04}"
        for each in sets
        for migration in each.migrations
        if (each.name, migration.version) not in (applied or {})
    )
    return Inspection(name=name, made=applied is not None, pending=pending, clock_offset_seconds=clock_offset_seconds)
