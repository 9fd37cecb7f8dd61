"""The writes of one PostgreSQL transaction for many units: a handful of round trips, however many units there are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from reefmesh.store.group_commit import Batch, BatchResult, Try
from reefmesh.store.mesh_rows import (
    OutboxRow,
    cursor_to_json,
    outbox_rows,
)
from reefmesh.store.port import AlreadyApplied, CommitResult, Committed, Stale, Unit
from reefmesh.store.qmark import numbered
from reefmesh.store.write_order import merged

if TYPE_CHECKING:
    from asyncpg import Connection, Record
    from asyncpg.pool import PoolConnectionProxy

    Session = Connection[Record] | PoolConnectionProxy[Record]

JUDGE: Final = """
SELECT COALESCE(r.version, 0), i.event_id IS NOT NULL
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS u (reef_id, inbox, event_id, position)
LEFT JOIN mesh_reef AS r ON r.reef_id = u.reef_id
LEFT JOIN mesh_inbox AS i ON i.reef_id = u.reef_id AND i.inbox = u.inbox AND i.event_id = u.event_id
ORDER BY u.position
"""
# The version fence. The row may have changed since JUDGE; this statement locks it, and writes it only at the expected version.
# The rows are sorted by reef id, so that two processes (one of them a zombie) never deadlock.
UPSERT_REEFS: Final = """
INSERT INTO mesh_reef (reef_id, version, cursor_json, state)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[])
ON CONFLICT (reef_id) DO UPDATE SET version = excluded.version, cursor_json = excluded.cursor_json, state = excluded.state
  WHERE mesh_reef.version = excluded.version - 1
RETURNING reef_id
"""
INSERT_INBOX: Final = """
INSERT INTO mesh_inbox (reef_id, inbox, event_id, version)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
"""
# MATERIALIZED: otherwise the subquery is executed again for every row of the join.
PRUNE_INBOX: Final = """
WITH outdated AS MATERIALIZED (
  SELECT u.reef_id, u.inbox, (
    SELECT i.version FROM mesh_inbox AS i WHERE i.reef_id = u.reef_id AND i.inbox = u.inbox
    ORDER BY i.version DESC LIMIT 1 OFFSET $3
  ) AS version
  FROM unnest($1::text[], $2::text[]) AS u (reef_id, inbox)
)
DELETE FROM mesh_inbox AS i USING outdated AS o
WHERE i.reef_id = o.reef_id AND i.inbox = o.inbox AND i.version <= o.version
"""
UPSERT_OUTBOX: Final = """
INSERT INTO mesh_outbox (event_id, cause_event_id, reef_id, version, position, channel, headers_json, body, created_us)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bytea[],
  $9::bigint[])
ON CONFLICT (event_id) DO UPDATE SET cause_event_id = excluded.cause_event_id, reef_id = excluded.reef_id,
  version = excluded.version, position = excluded.position, channel = excluded.channel,
  headers_json = excluded.headers_json, body = excluded.body, created_us = excluded.created_us
"""
DELETE_OUTPUTS: Final = "DELETE FROM mesh_outbox WHERE cause_event_id = ANY($1::text[])"
COUNT_ATTEMPT: Final = """
INSERT INTO mesh_attempt (inbox, event_id, tries) VALUES ($1, $2, 1)
ON CONFLICT (inbox, event_id) DO UPDATE SET tries = mesh_attempt.tries + 1 RETURNING tries
"""
DELETE_ATTEMPTS: Final = """
DELETE FROM mesh_attempt AS a USING unnest($1::text[], $2::text[]) AS u (inbox, event_id)
WHERE a.inbox = u.inbox AND a.event_id = u.event_id
"""


async def write_batch(session: "Session", batch: Batch) -> BatchResult:
    """Write a batch inside the caller's transaction (READ COMMITTED)."""
    if batch.forgotten:
        await session.execute(DELETE_OUTPUTS, batch.forgotten)
    results = await _write_units(session, batch.units, batch.now_us) if batch.units else []
    accepted = [unit.writes for unit, result in zip(batch.units, results, strict=True) if isinstance(result, Committed)]
    for sql, rows in merged([*accepted, *batch.writes]):
        await session.executemany(numbered(sql), rows)
    return BatchResult(units=results, attempts=[await _count(session, attempt) for attempt in batch.attempts])


async def _write_units(session: "Session", units: Sequence[Unit], now_us: int) -> list[CommitResult]:
    results = await _judge(session, units)
    by_reef = {unit.reef_id: unit for unit, result in zip(units, results, strict=True) if isinstance(result, Committed)}
    if by_reef:
        accepted = [by_reef[reef_id] for reef_id in sorted(by_reef)]
        written = await _advance(session, accepted)
        if len(written) < len(accepted):  # another process wrote a reef meanwhile: its unit is judged again
            # (versions only grow, so it is now Stale or AlreadyApplied)
            results = [
                (await _judge(session, [unit]))[0] if isinstance(result, Committed) and unit.reef_id not in written else result
                for unit, result in zip(units, results, strict=True)
            ]
            accepted = [unit for unit in accepted if unit.reef_id in written]
        await _mark_and_send(session, accepted, now_us)
    tried = [unit for unit in units if unit.tried]
    if tried:
        await session.execute(DELETE_ATTEMPTS, [unit.inbox for unit in tried], [unit.event_id for unit in tried])
    return results


async def _judge(session: "Session", units: Sequence[Unit]) -> list[CommitResult]:
    """Return the result of each unit by what is committed now; a statement sees what others committed before it."""
    columns = [unit.reef_id for unit in units], [unit.inbox for unit in units], [unit.event_id for unit in units]
    results: list[CommitResult] = []
    for unit, (version, is_applied) in zip(units, await session.fetch(JUDGE, *columns), strict=True):
        if is_applied:
            results.append(AlreadyApplied())
        elif version != unit.expected_version:
            results.append(Stale(version))
        else:
            results.append(Committed(version + 1))
    return results


async def _advance(session: "Session", units: Sequence[Unit]) -> set[str]:
    """Write the reefs' rows that are still at the expected version; return the ids of those reefs."""
    rows = await session.fetch(
        UPSERT_REEFS,
        [unit.reef_id for unit in units],
        [unit.expected_version + 1 for unit in units],
        [cursor_to_json(unit.cursor) for unit in units],
        [unit.state for unit in units],
    )
    return {row[0] for row in rows}


async def _mark_and_send(session: "Session", units: Sequence[Unit], now_us: int) -> None:
    marked = [unit for unit in units if unit.in_inbox]
    if marked:
        reefs, inboxes = [unit.reef_id for unit in marked], [unit.inbox for unit in marked]
        events, versions = [unit.event_id for unit in marked], [unit.expected_version + 1 for unit in marked]
        await session.execute(INSERT_INBOX, reefs, inboxes, events, versions)
        for length in {unit.inbox_length for unit in marked}:  # of all but what is parked it is the same
            long = [unit for unit in marked if unit.inbox_length == length and unit.expected_version + 1 > length]
            if long:
                await session.execute(PRUNE_INBOX, [unit.reef_id for unit in long], [unit.inbox for unit in long], length)
    outputs: list[OutboxRow] = []
    for unit in units:
        outputs += outbox_rows(unit, version=unit.expected_version + 1, created_us=now_us)
    if outputs:
        await session.execute(UPSERT_OUTBOX, *zip(*outputs, strict=True))


async def _count(session: "Session", attempt: Try) -> int:
    tries: int = await session.fetchval(COUNT_ATTEMPT, attempt.inbox, attempt.event_id)
    return tries
