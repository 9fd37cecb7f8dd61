"""A service's database: SQLite in memory with the real schema and the real statements, shared by the service's processes.

Every call waits before and after, so a process may die before the statement, or after it and before it hears of it.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Final

from reefmesh.clock import ManualClock
from reefmesh.store.group_commit import Batch, BatchResult
from reefmesh.store.migrations import MigrationSet, read_migrations
from reefmesh.store.port import Committed, Row, StoreUnavailable, Value
from reefmesh.store.sqlite_batch import write_batch
from reefmesh.store.sqlite_connection import migrate
from reefmesh.store.sqlite_errors import translated
from reefmesh_alerts.bootstrap import MIGRATIONS as ALERTS
from reefmesh_faults.simulation.fleet import START
from reefmesh_faults.simulation.history import History, UnitWritten
from reefmesh_faults.simulation.loop import Process
from reefmesh_ingest.bootstrap import MIGRATIONS as INGEST
from reefmesh_scoring.bootstrap import MIGRATIONS as SCORING

DELAY_SECONDS: Final = (0.0001, 0.004)
MIGRATIONS: Final[Mapping[str, Sequence[MigrationSet]]] = {"ingest": INGEST, "scoring": SCORING, "alerts": ALERTS}

WriteBatch = Callable[[sqlite3.Connection, Batch], BatchResult]


@lru_cache
def _schema(service: str) -> bytes:
    """The service's database as it is before the first message."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    sets = (read_migrations("store", "reefmesh.store"), *MIGRATIONS[service])
    migrate(connection, sets, database=f"the database of {service}", clock=ManualClock(START))
    schema: bytes = connection.serialize()
    connection.close()
    return schema


class SharedDatabase:
    """What survives every process. ``refuses``: how many of the next writes are not carried out; ``loses_answers``: how many
    are, without a word back."""

    def __init__(self, service: str, history: History, *, write: WriteBatch = write_batch) -> None:
        self.service = service
        self.name = f"the database of {service}"
        self.refuses = 0
        self.loses_answers = 0
        self._history = history
        self._write = write
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=512)
        self._connection.deserialize(_schema(service))
        self._connection.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        self._connection.close()

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        with translated(self.name):
            return self._connection.execute(sql, parameters).fetchall()

    def write_batch(self, batch: Batch, process: Process) -> BatchResult:
        if self.refuses:
            self.refuses -= 1
            raise StoreUnavailable(f"{self.name} is away")
        found = {unit.reef_id: self._version(unit.reef_id) for unit in batch.units}
        with translated(self.name):
            result = self._write(self._connection, batch)
        for unit, outcome in zip(batch.units, result.units, strict=True):
            if isinstance(outcome, Committed):
                self._history.add(
                    UnitWritten(
                        process=process.name,
                        service=self.service,
                        inbox=unit.inbox,
                        reef_id=unit.reef_id,
                        event_id=unit.event_id,
                        seq=unit.cursor.applied.get(unit.inbox),
                        based_on=unit.expected_version,
                        found=found[unit.reef_id],
                        outputs=tuple(f"{each.channel}:{each.message.seq}:{each.message.event_id}" for each in unit.outputs),
                    )
                )
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreUnavailable(f"{self.name} gave no answer")
        return result

    def _version(self, reef_id: str) -> int:
        row = self._connection.execute("SELECT version FROM mesh_reef WHERE reef_id = ?", (reef_id,)).fetchone()
        return 0 if row is None else int(row[0])


class SimulatedDatabase:
    """One process's way to it: ``reefmesh.store.database.Database``."""

    def __init__(self, shared: SharedDatabase, process: Process, random: Random) -> None:
        self._shared = shared
        self._process = process
        self._random = random

    @property
    def name(self) -> str:
        return self._shared.name

    async def open(self) -> None:
        await self._wait()

    async def close(self) -> None:
        """Nothing is held."""

    async def write_batch(self, batch: Batch) -> BatchResult:
        await self._wait()
        self._require_life()
        result = self._shared.write_batch(batch, self._process)
        await self._wait()
        return result

    async def fetch(self, sql: str, parameters: Sequence[Value]) -> Sequence[Row]:
        await self._wait()
        self._require_life()
        rows = self._shared.rows(sql, parameters)
        await self._wait()
        return rows

    async def _wait(self) -> None:
        await asyncio.sleep(self._random.uniform(*DELAY_SECONDS))

    def _require_life(self) -> None:
        if self._process.was_killed:
            raise StoreUnavailable(f"{self._process.name} is dead")
