"""The ``readings`` table: every reading in its newest revision."""

from collections.abc import Iterable, Sequence
from typing import Final

from reefmesh.store.port import Row, Store, Write
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.domain.reading_json import excluded_text, reading_from
from reefmesh_ingest.in_list import in_lists

_PUT: Final = (
    "INSERT INTO readings (buoy_id, observed_us, reef_id, received_us, revision, withdrawn, origin, body_json,"
    " excluded_json) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (buoy_id, observed_us) DO UPDATE"
    " SET reef_id = excluded.reef_id, received_us = excluded.received_us, revision = excluded.revision,"
    " withdrawn = excluded.withdrawn, origin = excluded.origin, body_json = excluded.body_json,"
    " excluded_json = excluded.excluded_json"
)
COLUMNS: Final = "observed_us, received_us, revision, withdrawn, origin, body_json, excluded_json"
"""What ``reading_of`` takes, in this order."""

_SELECT: Final = f"SELECT {COLUMNS} FROM readings WHERE buoy_id = ?"  # noqa: S608  # constants


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
            excluded_text(reading),
        ),
    )


async def fetch_at(store: Store, buoy_id: str, instants: Iterable[int]) -> dict[int, StoredReading]:
    """Return the readings that exist at these instants (UTC microseconds)."""
    found: dict[int, StoredReading] = {}
    for places, some in in_lists(instants):
        rows = await store.fetch(f"{_SELECT} AND observed_us IN ({places})", (buoy_id, *some))  # places only
        found.update((int(row[0]), reading_of(row)) for row in rows)
    return found


async def fetch_between(store: Store, buoy_id: str, low_us: int, high_us: int) -> list[StoredReading]:
    """Return the readings from ``low_us`` to ``high_us``, both inside, oldest first."""
    rows = await store.fetch(f"{_SELECT} AND observed_us BETWEEN ? AND ? ORDER BY observed_us", (buoy_id, low_us, high_us))
    return [reading_of(row) for row in rows]


async def fetch_from(store: Store, buoy_id: str, from_us: int, until_us: int, *, limit: int) -> list[StoredReading]:
    """Return the oldest ``limit`` readings from ``from_us`` on that are earlier than ``until_us``, oldest first."""
    rows = await store.fetch(
        f"{_SELECT} AND observed_us >= ? AND observed_us < ? ORDER BY observed_us LIMIT ?", (buoy_id, from_us, until_us, limit)
    )
    return [reading_of(row) for row in rows]


async def count_between(store: Store, buoy_id: str, from_us: int, until_us: int) -> int:
    """Return how many readings there are from ``from_us`` on that are earlier than ``until_us``."""
    rows = await store.fetch(
        "SELECT COUNT(*) FROM readings WHERE buoy_id = ? AND observed_us >= ? AND observed_us < ?", (buoy_id, from_us, until_us)
    )
    return int(rows[0][0])


async def newest_us(store: Store, buoy_id: str) -> int | None:
    """Return the instant of the buoy's newest reading."""
    rows = await store.fetch("SELECT MAX(observed_us) FROM readings WHERE buoy_id = ?", (buoy_id,))
    return None if rows[0][0] is None else int(rows[0][0])


async def fetch_newest(store: Store, buoy_id: str, *, limit: int) -> list[StoredReading]:
    """Return the buoy's newest ``limit`` readings, newest first; withdrawn ones are left out."""
    rows = await store.fetch(f"{_SELECT} AND withdrawn = 0 ORDER BY observed_us DESC LIMIT ?", (buoy_id, limit))
    return [reading_of(row) for row in rows]


async def exists_before(store: Store, buoy_id: str, before_us: int) -> bool:
    """Tell whether the buoy has readings before that instant."""
    rows = await store.fetch("SELECT 1 FROM readings WHERE buoy_id = ? AND observed_us < ? LIMIT 1", (buoy_id, before_us))
    return bool(rows)


def reading_of(row: Row) -> StoredReading:
    """Return the reading of a row of ``COLUMNS``."""
    observed_us, received_us, revision, withdrawn, origin, text, excluded = row
    return reading_from(
        text,
        observed_us=int(observed_us),
        received_us=int(received_us),
        revision=int(revision),
        withdrawn=bool(withdrawn),
        origin=origin,
        excluded=excluded,
    )


def rows_of(readings: Sequence[StoredReading], quantity: str) -> list[tuple[int, float | None, str]]:
    """Return one quantity of stored readings as quality control takes it; an excluded value is none."""
    return [
        (
            reading.observed_us,
            None if quantity in reading.excluded else content.value,
            reading.verdicts[quantity].tests,
        )
        for reading in readings
        if (content := reading.contents.get(quantity)) is not None
    ]
