"""The rows of readings and of their sums: how they are read and written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from pydantic_core import from_json, to_json

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.readings import ChannelReading, Reading
from reefmesh.store.port import Row, Value, Write
from reefmesh_dashboard.domain.aggregate import Counted, Sums, count_value, sums_from_body, to_body
from reefmesh_dashboard.domain.spans import DAY_US, HOUR_US, microseconds_of, spans

JOINED_HOURS: Final = 24
JOINED_DAYS: Final = 7

_SELECT_READINGS: Final = (
    "SELECT observed_us, revision, withdrawn, body_json FROM readings"
    " WHERE reef_id = ? AND observed_us >= ? AND observed_us < ? AND buoy_id = ?"
)
_SELECT_HOURS: Final = "SELECT hour_us, body_json FROM hours WHERE reef_id = ? AND hour_us >= ? AND hour_us < ? AND buoy_id = ?"
_SELECT_NEWEST: Final = "SELECT observed_us FROM readings WHERE reef_id = ? AND buoy_id = ? ORDER BY observed_us DESC LIMIT 1"
_UPSERT_READING: Final = (
    "INSERT INTO readings (reef_id, observed_us, buoy_id, revision, withdrawn, received_us, time_source, body_json)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (reef_id, observed_us, buoy_id) DO UPDATE SET revision = excluded.revision,"
    " withdrawn = excluded.withdrawn, received_us = excluded.received_us, time_source = excluded.time_source,"
    " body_json = excluded.body_json"
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


class Reads(Protocol):
    """The part of the store that is needed here."""

    async def fetch(self, sql: str, parameters: Sequence[Value] = ()) -> Sequence[Row]: ...


class KnownReading(NamedTuple):
    """What later readings need to know of a row."""

    revision: int
    counted: Counted


async def fetch_readings(store: Reads, reef_id: str, buoy_id: str, hours: Iterable[int]) -> dict[int, KnownReading]:
    """Return a buoy's readings of these hours, and of some around them, by ``observed_us``."""
    found: dict[int, KnownReading] = {}
    for from_us, before_us in spans(hours, width=HOUR_US, gap=JOINED_HOURS * HOUR_US):
        rows = await store.fetch(_SELECT_READINGS, (reef_id, from_us, before_us, buoy_id))
        for observed_us, revision, withdrawn, body in rows:
            found[observed_us] = KnownReading(revision, {} if withdrawn else _counted(body))
    return found


async def fetch_hours(store: Reads, reef_id: str, buoy_id: str, days: Iterable[int]) -> dict[int, Sums]:
    """Return the sums of a buoy's hours of these days, and of some around them, by ``hour_us``."""
    found: dict[int, Sums] = {}
    for first, after in spans(days, width=1, gap=JOINED_DAYS):
        rows = await store.fetch(_SELECT_HOURS, (reef_id, first * DAY_US, after * DAY_US, buoy_id))
        found |= {hour_us: sums_from_body(body) for hour_us, body in rows}
    return found


async def newest_of(store: Reads, reef_id: str, buoy_id: str) -> int:
    """Return ``observed_us`` of the newest reading of a buoy; -1: it has none."""
    rows = await store.fetch(_SELECT_NEWEST, (reef_id, buoy_id))
    return int(rows[0][0]) if rows else -1


def write_reading(reef_id: str, observed_us: int, reading: Reading) -> Write:
    """What the device says of itself and of its place is not kept: no page shows it, and the newest score has it."""
    row = (
        reef_id,
        observed_us,
        reading.buoy_id,
        reading.revision,
        int(reading.withdrawn),
        microseconds_of(reading.received_at),
        reading.time_source,
        _to_body(reading.channels),
    )
    return Write(_UPSERT_READING, row)


def _to_body(channels: Mapping[str, ChannelReading]) -> str:
    """Return {quantity: [value, raw, flag, tests], with factor and fault behind them where one of these says something}."""
    rows: dict[str, tuple[Any, ...]] = {}
    for quantity, each in channels.items():
        if each.fault is None and each.factor == 1.0:
            rows[quantity] = (each.value, each.raw, int(each.flag), each.tests)
        else:
            rows[quantity] = (each.value, each.raw, int(each.flag), each.tests, each.factor, each.fault)
    return to_json(rows).decode()


def channels_from_body(body: str) -> dict[str, ChannelReading]:
    """Return the quantities of a kept reading, as they came."""
    channels = {}
    for quantity, (value, raw, flag, tests, *more) in from_json(body).items():
        factor, fault = more or (1.0, None)
        channels[quantity] = ChannelReading(value=value, raw=raw, flag=Flag(flag), tests=tests, factor=factor, fault=fault)
    return channels


def _counted(body: str) -> Counted:
    found: dict[str, float | None] = {}
    for quantity, (value, _, flag, *_) in from_json(body).items():
        count_value(found, quantity, value, flag)
    return found


def write_hours(reef_id: str, buoy_id: str, hours: Mapping[int, Sums]) -> list[Write]:
    """Nothing that counts leaves no row: its readings were withdrawn."""
    return [_write(_UPSERT_HOUR, _DELETE_HOUR, (reef_id, at, buoy_id), hours[at]) for at in sorted(hours)]


def write_days(reef_id: str, buoy_id: str, days: Mapping[int, Sums]) -> list[Write]:
    return [_write(_UPSERT_DAY, _DELETE_DAY, (reef_id, day, buoy_id), days[day]) for day in sorted(days)]


def _write(upsert: str, delete: str, key: tuple[str, int, str], sums: Sums) -> Write:
    return Write(upsert, (*key, to_body(sums))) if sums else Write(delete, key)
