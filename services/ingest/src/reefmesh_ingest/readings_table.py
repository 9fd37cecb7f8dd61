"""The ``readings`` table: every reading in its newest revision."""

from collections.abc import Iterable, Sequence
from typing import Final

from reefmesh.store.port import Row, Store, Write
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.domain.reading_json import reading_from
from reefmesh_ingest.in_list import in_lists

_PUT: Final = (
    "INSERT INTO readings (buoy_id, observed_us, reef_id, received_us, revision, withdrawn, origin, body_json)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (buoy_id, observed_us) DO UPDATE SET reef_id = excluded.reef_id,"
    " received_us = excluded.received_us, revision = excluded.revision, withdrawn = excluded.withdrawn,"
    " origin = excluded.origin, body_json = excluded.body_json"
)
_SELECT: Final = "SELECT observed_us, received_us, revision, withdrawn, origin, body_json FROM readings WHERE buoy_id = ?"


def write_of(buoy_id: str, reef_id: str, reading: StoredReading, text: str) -> Write:
    """Return the statement that stores a revision; ``text`` is its JSON."""
    return Write(
        _PUT,
        (
            buoy_id,
            reading.observed_us,
            reef_id,
            reading.received_us,
            reading.revision,
            int(reading.withdrawn),
            reading.origin,
            text,
        ),
    )


async def fetch_at(store: Store, buoy_id: str, instants: Iterable[int]) -> dict[int, StoredReading]:
    """Return the readings that exist at these instants (UTC microseconds)."""
    found: dict[int, StoredReading] = {}
    for places, some in in_lists(instants):
        rows = await store.fetch(f"{_SELECT} AND observed_us IN ({places})", (buoy_id, *some))  # places only
        found.update((int(row[0]), _reading(row)) for row in rows)
    return found


async def fetch_between(store: Store, buoy_id: str, low_us: int, high_us: int) -> list[StoredReading]:
    """Return the readings from ``low_us`` to ``high_us``, both inside, oldest first."""
    rows = await store.fetch(f"{_SELECT} AND observed_us BETWEEN ? AND ? ORDER BY observed_us", (buoy_id, low_us, high_us))
    return [_reading(row) for row in rows]


async def newest_us(store: Store, buoy_id: str) -> int | None:
    """Return the instant of the buoy's newest reading."""
    rows = await store.fetch("SELECT MAX(observed_us) FROM readings WHERE buoy_id = ?", (buoy_id,))
    return None if rows[0][0] is None else int(rows[0][0])


async def exists_before(store: Store, buoy_id: str, before_us: int) -> bool:
    """Tell whether the buoy has readings before that instant."""
    rows = await store.fetch("SELECT 1 FROM readings WHERE buoy_id = ? AND observed_us < ? LIMIT 1", (buoy_id, before_us))
    return bool(rows)


def _reading(row: Row) -> StoredReading:
    observed_us, received_us, revision, withdrawn, origin, text = row
    return reading_from(
        text,
        observed_us=int(observed_us),
        received_us=int(received_us),
        revision=int(revision),
        withdrawn=bool(withdrawn),
        origin=origin,
    )


def rows_of(readings: Sequence[StoredReading], quantity: str) -> list[tuple[int, float | None, str]]:
    """Return one quantity of stored readings as quality control takes it."""
    return [
        (reading.observed_us, content.value, reading.verdicts[quantity].tests)
        for reading in readings
        if (content := reading.contents.get(quantity)) is not None
    ]
