"""The rows of readings and of their sums: how they are read and written."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from reefmesh.contracts.readings import Reading
from reefmesh.store.port import Store, Write
from reefmesh_dashboard.domain.aggregate import ByQuantity, from_body, to_body
from reefmesh_dashboard.domain.spans import DAY_US, HOUR_US, microseconds_of, spans

JOINED_HOURS: Final = 24
JOINED_DAYS: Final = 7

_SELECT_READINGS: Final = (
    "SELECT observed_us, revision, body_json FROM readings"
    " WHERE reef_id = ? AND observed_us >= ? AND observed_us < ? AND buoy_id = ?"
)
_SELECT_HOURS: Final = "SELECT hour_us, body_json FROM hours WHERE reef_id = ? AND hour_us >= ? AND hour_us < ? AND buoy_id = ?"
_SELECT_NEWEST: Final = "SELECT observed_us FROM readings WHERE reef_id = ? AND buoy_id = ? ORDER BY observed_us DESC LIMIT 1"
_UPSERT_READING: Final = (
    "INSERT INTO readings (reef_id, observed_us, buoy_id, revision, withdrawn, body_json) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (reef_id, observed_us, buoy_id) DO UPDATE SET revision = excluded.revision,"
    " withdrawn = excluded.withdrawn, body_json = excluded.body_json"
)
_UPSERT_HOUR: Final = (
    "INSERT INTO hours (reef_id, hour_us, buoy_id, body_json) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (reef_id, hour_us, buoy_id) DO UPDATE SET body_json = excluded.body_json"
)
_UPSERT_DAY: Final = (
    "INSERT INTO days (reef_id, day, buoy_id, body_json) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (reef_id, day, buoy_id) DO UPDATE SET body_json = excluded.body_json"
)
_DELETE_HOUR: Final = "DELETE FROM hours WHERE reef_id = ? AND hour_us = ? AND buoy_id = ?"
_DELETE_DAY: Final = "DELETE FROM days WHERE reef_id = ? AND day = ? AND buoy_id = ?"


class KeptReading(NamedTuple):
    revision: int
    body_json: str


async def fetch_readings(store: Store, reef_id: str, buoy_id: str, hours: Iterable[int]) -> dict[int, KeptReading]:
    """Return a buoy's readings of these hours, and of some around them, by ``observed_us``."""
    found: dict[int, KeptReading] = {}
    for from_us, before_us in spans(hours, width=HOUR_US, gap=JOINED_HOURS * HOUR_US):
        rows = await store.fetch(_SELECT_READINGS, (reef_id, from_us, before_us, buoy_id))
        found |= {observed_us: KeptReading(revision, body) for observed_us, revision, body in rows}
    return found


async def fetch_hours(store: Store, reef_id: str, buoy_id: str, days: Iterable[int]) -> dict[int, ByQuantity]:
    """Return the sums of a buoy's hours of these days, and of some around them, by ``hour_us``."""
    found: dict[int, ByQuantity] = {}
    for first, after in spans(days, width=1, gap=JOINED_DAYS):
        rows = await store.fetch(_SELECT_HOURS, (reef_id, first * DAY_US, after * DAY_US, buoy_id))
        found |= {hour_us: from_body(body) for hour_us, body in rows}
    return found


async def newest_of(store: Store, reef_id: str, buoy_id: str) -> int:
    """Return ``observed_us`` of the newest reading of a buoy; -1: it has none."""
    rows = await store.fetch(_SELECT_NEWEST, (reef_id, buoy_id))
    return int(rows[0][0]) if rows else -1


def write_reading(reef_id: str, reading: Reading) -> Write:
    """Defaults of the contract are left out: they hold for as long as the body's major is read."""
    body = reading.model_dump_json(exclude_defaults=True)
    observed_us = microseconds_of(reading.observed_at)
    return Write(_UPSERT_READING, (reef_id, observed_us, reading.buoy_id, reading.revision, int(reading.withdrawn), body))


def write_hours(reef_id: str, buoy_id: str, hours: Mapping[int, ByQuantity]) -> list[Write]:
    """Nothing that counts leaves no row: its readings were withdrawn."""
    return [_write(_UPSERT_HOUR, _DELETE_HOUR, (reef_id, at, buoy_id), hours[at]) for at in sorted(hours)]


def write_days(reef_id: str, buoy_id: str, days: Mapping[int, ByQuantity]) -> list[Write]:
    return [_write(_UPSERT_DAY, _DELETE_DAY, (reef_id, day, buoy_id), days[day]) for day in sorted(days)]


def _write(upsert: str, delete: str, key: tuple[str, int, str], sums: ByQuantity) -> Write:
    return Write(upsert, (*key, to_body(sums))) if sums else Write(delete, key)
