"""The store on any SQL database; ``Database`` is the port of what differs between them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

from reefmesh.broker.port import Publication
from reefmesh.clock import Clock
from reefmesh.store.cursor import Cursor
from reefmesh.store.group_commit import Batch, BatchResult, GroupCommit, Try
from reefmesh.store.mesh_rows import SELECT_REEF_OUTPUTS, cursor_from_json, publication_from_row
from reefmesh.store.port import CommitResult, ReefRow, Row, StoreStatistics, Unit, Value, Write

SELECT_REEF: Final = """
SELECT version, cursor_json, state, EXISTS (SELECT 1 FROM mesh_outbox WHERE mesh_outbox.reef_id = mesh_reef.reef_id)
FROM mesh_reef WHERE reef_id = ?
"""
SELECT_OVERDUE: Final = """
SELECT o.cause_event_id, o.channel, o.headers_json, o.body
FROM mesh_outbox AS o
JOIN (SELECT reef_id, MIN(created_us) AS oldest_us FROM mesh_outbox WHERE created_us <= ? GROUP BY reef_id) AS late
  ON late.reef_id = o.reef_id
WHERE o.created_us <= ?
ORDER BY late.oldest_us, o.reef_id, o.version, o.position
LIMIT ?
"""


_SELECT_APPLIED: Final = "SELECT 1 FROM mesh_inbox WHERE reef_id = ? AND inbox = ? AND event_id = ?"
_SELECT_ATTEMPTS: Final = "SELECT tries FROM mesh_attempt WHERE inbox = ? AND event_id = ?"
_FORGET_ATTEMPTS: Final = "DELETE FROM mesh_attempt WHERE inbox = ? AND event_id = ?"


class Database(Protocol):
    """One database: connections, migrations, and one transaction for many units."""

    @property
    def name(self) -> str:
        """Its name in errors and logs: where it is, never with a password."""
        ...

    async def open(self) -> None:
        """Connect and migrate; raises as ``Store.open``, and may be tried again."""
        ...

    async def close(self) -> None:
        """Disconnect. Idempotent, safe before ``open``."""
        ...

    async def write_batch(self, batch: Batch) -> BatchResult:
        """Write a batch in one transaction, or nothing of it; returns when it is durable.

        Raises:
            WriteRefused: a statement is wrong.
            StoreUnavailable: later it may work. If the connection was lost at the commit, the batch may have been written.
        """
        ...

    async def fetch(self, sql: str, parameters: Sequence[Value]) -> Sequence[Row]:
        """Read committed rows; raises as ``write_batch``."""
        ...


class DatabaseStore:
    """A ``Store``."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._group_commit = GroupCommit(database.write_batch, clock=clock, database=database.name)

    async def open(self) -> None:
        await self._database.open()
        self._group_commit.start()

    async def close(self) -> None:
        await self._group_commit.stop()
        await self._database.close()

    async def load(self, reef_id: str) -> ReefRow:
        rows = await self._database.fetch(SELECT_REEF, (reef_id,))
        if not rows:
            return ReefRow(reef_id=reef_id, version=0, cursor=Cursor(), state=None)
        ((version, cursor_json, state, has_outputs),) = rows
        cursor = cursor_from_json(cursor_json)
        return ReefRow(reef_id=reef_id, version=version, cursor=cursor, state=state, has_outputs=bool(has_outputs))

    async def commit(self, unit: Unit) -> CommitResult:
        return await self._group_commit.commit(unit)

    async def is_applied(self, reef_id: str, inbox: str, event_id: str) -> bool:
        return bool(await self._database.fetch(_SELECT_APPLIED, (reef_id, inbox, event_id)))

    async def unsent_outputs(self, reef_id: str) -> Sequence[tuple[str, Publication]]:
        return self._unforgotten(await self._database.fetch(SELECT_REEF_OUTPUTS, (reef_id,)))

    async def outputs_sent(self, event_ids: Sequence[str]) -> None:
        self._group_commit.forget(event_ids)

    async def overdue_outputs(self, older_than: timedelta, *, limit: int) -> Sequence[tuple[str, Publication]]:
        cutoff_us = int((self._clock.now() - older_than).timestamp() * 1_000_000)
        return self._unforgotten(await self._database.fetch(SELECT_OVERDUE, (cutoff_us, cutoff_us, limit)))

    def _unforgotten(self, rows: Sequence[Row]) -> Sequence[tuple[str, Publication]]:
        return tuple(
            (cause, publication_from_row(*output)) for cause, *output in rows if not self._group_commit.has_forgotten(cause)
        )

    async def count_attempt(self, inbox: str, event_id: str) -> int:
        return await self._group_commit.count_attempt(Try(inbox, event_id))

    async def attempts(self, inbox: str, event_id: str) -> int:
        rows = await self.fetch(_SELECT_ATTEMPTS, (inbox, event_id))
        return int(rows[0][0]) if rows else 0

    async def forget_attempts(self, inbox: str, event_id: str) -> None:
        await self.write([Write(_FORGET_ATTEMPTS, (inbox, event_id))])

    async def write(self, writes: Sequence[Write]) -> None:
        await self._group_commit.write(writes)

    async def fetch(self, sql: str, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        return await self._database.fetch(sql, parameters)

    def statistics(self) -> StoreStatistics:
        return self._group_commit.statistics()
