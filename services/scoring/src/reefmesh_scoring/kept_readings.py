"""The table ``samples``: every counted reading in its newest revision."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from pydantic_core import from_json, to_json

from reefmesh.contracts.exclusion import is_excluded
from reefmesh.contracts.flags import SCORED, Flag
from reefmesh.contracts.readings import Reading
from reefmesh.store.port import Row, Store, Write

PAGE_ROWS: Final = 2000
KEYS_PER_QUERY_LIMIT: Final = 512
NEWEST_ROWS_PAGE: Final = 100

BATTERY_VOLTS: Final = "@battery_volts"
BATTERY_PERCENT: Final = "@battery_percent"
POSITION: Final = "@position"
SENSORS: Final = "@sensors"
EXCLUDED: Final = "@excluded/"
IGNORED: Final = "@ignored/"
"""A buoy's facts besides its quantities are stored among them, under names that no quantity has. ``SENSORS`` fails where the
device found no sensor; ``EXCLUDED`` with a quantity's name stands for a value that an operator excluded, ``IGNORED`` for one
whose sensor the register ignores."""

NO_SENSOR: Final = "no sensor found"

_UPSERT: Final = (
    "INSERT INTO samples (reef_id, buoy_id, observed_us, revision, items_json) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (reef_id, buoy_id, observed_us) DO UPDATE SET revision = excluded.revision, items_json = excluded.items_json"
)
_REVISE: Final = "UPDATE samples SET revision = ? WHERE reef_id = ? AND buoy_id = ? AND observed_us = ?"
_COLUMNS: Final = "buoy_id, observed_us, revision, items_json"
_SELECT_PAGE: Final = (
    f"SELECT {_COLUMNS} FROM samples WHERE reef_id = ? AND (buoy_id > ? OR (buoy_id = ? AND observed_us > ?)) "  # noqa: S608  # constant text
    "AND items_json IS NOT NULL ORDER BY buoy_id, observed_us LIMIT ?"
)
_SELECT_BEFORE: Final = (
    f"SELECT {_COLUMNS} FROM samples WHERE reef_id = ? AND buoy_id = ? AND observed_us <= ? AND observed_us >= ? "  # noqa: S608  # constant text
    "AND items_json IS NOT NULL ORDER BY observed_us DESC LIMIT ?"
)
_SELECT_OLDEST: Final = (
    "SELECT observed_us FROM samples WHERE reef_id = ? AND buoy_id = ? AND observed_us >= ? AND items_json IS NOT NULL "
    "ORDER BY observed_us LIMIT ?"
)


class ReportedValue(Protocol):
    """One quantity (or one other fact) of one reading, as it came or as it is stored."""

    @property
    def value(self) -> float | None: ...
    @property
    def flag(self) -> int: ...
    @property
    def fault(self) -> str | None: ...


class KeptValue(NamedTuple):
    """One quantity of a reading, as it is stored."""

    value: float | None
    flag: int
    fault: str | None = None


_CAME: Final = KeptValue(None, Flag.NOT_EVALUATED)


class KeptReading(NamedTuple):
    """One reading in its newest revision; a ``withdrawn`` one counts nowhere and has no items."""

    revision: int
    items: Mapping[str, ReportedValue]
    withdrawn: bool = False


ReadingKey = tuple[str, int]
"""(buoy_id, observed_us) identifies a reading."""

KeptReadings = Mapping[ReadingKey, KeptReading]


def detached(reading: KeptReading) -> KeptReading:
    """Return a copy to hold in memory, which keeps no part of the message alive."""
    items = {name: KeptValue(reported.value, int(reported.flag), reported.fault) for name, reported in reading.items.items()}
    return KeptReading(reading.revision, items, reading.withdrawn)


def is_unchanged(reading: KeptReading, was: KeptReading | None) -> bool:
    """Tell whether a revision says just what the one on record says: it holds that one's items then (see ``as_before``)."""
    return was is not None and was.items is reading.items and not was.withdrawn


def as_before(items: Mapping[str, ReportedValue], was: KeptReading | None) -> Mapping[str, ReportedValue]:
    """Return the items of ``was`` in place of equal ones. Every report revises the one before it, whose spike test it ends, and
    that seldom changes a flag: what is the same needs no counting, which is told by the identity of the items."""
    if was is None or was.withdrawn or len(was.items) != len(items):
        return items
    before = was.items
    for name, reported in items.items():
        known = before.get(name)
        if known is None or known.value != reported.value or known.flag != reported.flag or known.fault != reported.fault:
            return items
    return before


def scored_value(reported: ReportedValue) -> float | None:
    """Return the value if a score may use it."""
    return reported.value if reported.flag in SCORED else None


def items_of(reading: Reading) -> Mapping[str, ReportedValue]:
    """Return all values of a reading that count or can tell a fault. Of one that an operator excluded nothing is left but that
    it came: its sensor is not silent. This runs for every reading, so its quantities are not copied without need."""
    channels: Mapping[str, ReportedValue] = reading.channels
    for reported in channels.values():
        if reported.fault is not None and is_excluded(reported.fault):
            channels = {
                f"{EXCLUDED}{name}" if is_excluded(each.fault) else name: _CAME if is_excluded(each.fault) else each
                for name, each in channels.items()
            }
            break
    if reading.position is None and reading.status is None:
        return channels
    items: dict[str, ReportedValue] = {**channels}
    if reading.position is not None:
        items[POSITION] = KeptValue(reading.position.drift_metres, reading.position.flag)
    if (status := reading.status) is not None:
        if status.battery_volts is not None:
            items[BATTERY_VOLTS] = KeptValue(status.battery_volts, Flag.NOT_EVALUATED)
        if status.battery_percent is not None:
            items[BATTERY_PERCENT] = KeptValue(status.battery_percent, Flag.NOT_EVALUATED)
        if status.found_no_sensor:
            items[SENSORS] = KeptValue(None, Flag.FAIL, NO_SENSOR)
        if status.detail:
            items |= {f"{IGNORED}{name}": _CAME for name in status.ignored_quantities}
    return items


def write_of(reef_id: str, key: ReadingKey, reading: KeptReading, was: KeptReading | None) -> Write:
    """Return the write that puts a reading on record in place of ``was``. Of one that says the same, the revision is new."""
    if is_unchanged(reading, was):
        return Write(_REVISE, (reading.revision, reef_id, *key))
    return Write(_UPSERT, (reef_id, *key, reading.revision, None if reading.withdrawn else _to_json(reading.items)))


async def fetch_readings(store: Store, reef_id: str, keys: Iterable[ReadingKey]) -> dict[ReadingKey, KeptReading]:
    """Return those of the given readings that are on record, withdrawn ones included."""
    by_buoy: dict[str, list[int]] = {}
    for buoy_id, observed_us in keys:
        by_buoy.setdefault(buoy_id, []).append(observed_us)
    found: dict[ReadingKey, KeptReading] = {}
    for buoy_id, instants in by_buoy.items():
        for start in range(0, len(instants), KEYS_PER_QUERY_LIMIT):
            part = instants[start : start + KEYS_PER_QUERY_LIMIT]
            # Lengths are powers of two, filled with the last instant: few statement texts, so databases keep them prepared.
            part += part[-1:] * ((1 << (len(part) - 1).bit_length()) - len(part))
            marks = ", ".join("?" * len(part))
            sql = f"SELECT {_COLUMNS} FROM samples WHERE reef_id = ? AND buoy_id = ? AND observed_us IN ({marks})"  # noqa: S608  # only marks
            found.update(_read(row) for row in await store.fetch(sql, (reef_id, buoy_id, *part)))
    return found


async def all_readings(store: Store, reef_id: str) -> AsyncIterator[tuple[ReadingKey, KeptReading]]:
    """Iterate over all readings of a reef in pages, buoy by buoy, oldest first."""
    after: ReadingKey = ("", 0)
    while rows := await store.fetch(_SELECT_PAGE, (reef_id, after[0], after[0], after[1], PAGE_ROWS)):
        for row in rows:
            yield _read(row)
        after = (rows[-1][0], rows[-1][1])


async def newest_readings(
    store: Store, reef_id: str, buoy_id: str, *, from_us: int, until_us: int
) -> AsyncIterator[tuple[ReadingKey, KeptReading]]:
    """Iterate over a buoy's readings of a time span (both ends included), newest first, in pages."""
    while rows := await store.fetch(_SELECT_BEFORE, (reef_id, buoy_id, until_us, from_us, NEWEST_ROWS_PAGE)):
        for row in rows:
            yield _read(row)
        until_us = rows[-1][1] - 1


async def oldest_us(store: Store, reef_id: str, buoy_id: str, *, from_us: int, apart_from: KeptReadings) -> int | None:
    """Return the instant of a buoy's oldest reading from ``from_us`` on, leaving out those ``apart_from``; None without any."""
    while rows := await store.fetch(_SELECT_OLDEST, (reef_id, buoy_id, from_us, NEWEST_ROWS_PAGE)):
        for (observed_us,) in rows:
            if (buoy_id, observed_us) not in apart_from:
                return int(observed_us)
        from_us = rows[-1][0] + 1
    return None


def _read(row: Row) -> tuple[ReadingKey, KeptReading]:
    buoy_id, observed_us, revision, items_json = row
    if items_json is None:
        return (buoy_id, observed_us), KeptReading(revision, {}, withdrawn=True)
    return (buoy_id, observed_us), KeptReading(
        revision, {name: KeptValue(*item) for name, item in from_json(items_json).items()}
    )


def _to_json(items: Mapping[str, ReportedValue]) -> str:
    """Return items as JSON. Values are finite numbers."""
    return to_json(
        {
            name: (each.value, int(each.flag)) if each.fault is None else (each.value, int(each.flag), each.fault)
            for name, each in items.items()
        }
    ).decode()
