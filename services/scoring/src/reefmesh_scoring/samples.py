"""The table of readings as they were counted."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from pydantic_core import from_json, to_json

from reefmesh.contracts.flags import SCORED, Flag
from reefmesh.contracts.readings import Reading
from reefmesh.store.port import Row, Store, Write

PAGE_ROWS: Final = 2000
KEYS_PER_QUERY_LIMIT: Final = 512
NEWEST_ROWS_PAGE: Final = 100

BATTERY_VOLTS: Final = "@battery_volts"
BATTERY_PERCENT: Final = "@battery_percent"
POSITION: Final = "@position"
"""What a buoy says besides its channels is kept among them, under names that no channel has."""

_UPSERT: Final = (
    "INSERT INTO samples (reef_id, buoy_id, observed_us, revision, items_json) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (reef_id, buoy_id, observed_us) DO UPDATE SET revision = excluded.revision, items_json = excluded.items_json"
)
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


class Said(Protocol):
    """One channel (or one other fact) of one reading: as it came, or as it was kept."""

    @property
    def value(self) -> float | None: ...
    @property
    def flag(self) -> int: ...
    @property
    def fault(self) -> str | None: ...


class Item(NamedTuple):
    """What was kept of one channel."""

    value: float | None
    flag: int
    fault: str | None = None


class Sample(NamedTuple):
    """One reading in its newest revision; a ``withdrawn`` one never was, and has no items."""

    revision: int
    items: Mapping[str, Said]
    withdrawn: bool = False


SampleKey = tuple[str, int]
"""(buoy_id, observed_us) names a reading."""

Samples = Mapping[SampleKey, Sample]


def kept(sample: Sample) -> Sample:
    """Return a sample as it is kept at hand: without the models of the message that it came in."""
    items = {name: Item(said.value, int(said.flag), said.fault) for name, said in sample.items.items()}
    return Sample(sample.revision, items, sample.withdrawn)


def scored_value(said: Said) -> float | None:
    """Return the value, when a score may use it."""
    return said.value if said.flag in SCORED else None


def items_of(reading: Reading) -> Mapping[str, Said]:
    """Return all that a reading says; its channels as they are, since this runs for every reading."""
    if reading.position is None and reading.status is None:
        return reading.channels
    items: dict[str, Said] = {**reading.channels}
    if reading.position is not None:
        items[POSITION] = Item(reading.position.drift_metres, reading.position.flag)
    if (status := reading.status) is not None:
        if status.battery_volts is not None:
            items[BATTERY_VOLTS] = Item(status.battery_volts, Flag.NOT_EVALUATED)
        if status.battery_percent is not None:
            items[BATTERY_PERCENT] = Item(status.battery_percent, Flag.NOT_EVALUATED)
    return items


def upsert(reef_id: str, key: SampleKey, sample: Sample) -> Write:
    return Write(_UPSERT, (reef_id, *key, sample.revision, None if sample.withdrawn else _to_json(sample.items)))


async def fetch_samples(store: Store, reef_id: str, keys: Iterable[SampleKey]) -> dict[SampleKey, Sample]:
    """Return those of the named readings that are on record, withdrawn ones too."""
    by_buoy: dict[str, list[int]] = {}
    for buoy_id, observed_us in keys:
        by_buoy.setdefault(buoy_id, []).append(observed_us)
    found: dict[SampleKey, Sample] = {}
    for buoy_id, instants in by_buoy.items():
        for start in range(0, len(instants), KEYS_PER_QUERY_LIMIT):
            part = instants[start : start + KEYS_PER_QUERY_LIMIT]
            # Lengths are powers of two, the last instant repeated: few texts, so that databases keep them prepared.
            part += part[-1:] * ((1 << (len(part) - 1).bit_length()) - len(part))
            marks = ", ".join("?" * len(part))
            sql = f"SELECT {_COLUMNS} FROM samples WHERE reef_id = ? AND buoy_id = ? AND observed_us IN ({marks})"  # noqa: S608  # only marks
            found.update(_read(row) for row in await store.fetch(sql, (reef_id, buoy_id, *part)))
    return found


async def all_samples(store: Store, reef_id: str) -> AsyncIterator[tuple[SampleKey, Sample]]:
    """Iterate over all readings of a reef in pages, buoy by buoy, oldest first."""
    after: SampleKey = ("", 0)
    while rows := await store.fetch(_SELECT_PAGE, (reef_id, after[0], after[0], after[1], PAGE_ROWS)):
        for row in rows:
            yield _read(row)
        after = (rows[-1][0], rows[-1][1])


async def newest_samples(
    store: Store, reef_id: str, buoy_id: str, *, from_us: int, until_us: int
) -> AsyncIterator[tuple[SampleKey, Sample]]:
    """Iterate over a buoy's readings of a time (both ends included), newest first, in pages."""
    while rows := await store.fetch(_SELECT_BEFORE, (reef_id, buoy_id, until_us, from_us, NEWEST_ROWS_PAGE)):
        for row in rows:
            yield _read(row)
        until_us = rows[-1][1] - 1


async def oldest_us(store: Store, reef_id: str, buoy_id: str, *, from_us: int, apart_from: Samples) -> int | None:
    """Return the instant of a buoy's oldest reading from ``from_us`` on, leaving out those ``apart_from``; None without any."""
    while rows := await store.fetch(_SELECT_OLDEST, (reef_id, buoy_id, from_us, NEWEST_ROWS_PAGE)):
        for (observed_us,) in rows:
            if (buoy_id, observed_us) not in apart_from:
                return int(observed_us)
        from_us = rows[-1][0] + 1
    return None


def _read(row: Row) -> tuple[SampleKey, Sample]:
    buoy_id, observed_us, revision, items_json = row
    if items_json is None:
        return (buoy_id, observed_us), Sample(revision, {}, withdrawn=True)
    return (buoy_id, observed_us), Sample(revision, {name: Item(*item) for name, item in from_json(items_json).items()})


def _to_json(items: Mapping[str, Said]) -> str:
    """Write items as JSON. Values are finite numbers."""
    return to_json(
        {
            name: (said.value, int(said.flag)) if said.fault is None else (said.value, int(said.flag), said.fault)
            for name, said in items.items()
        }
    ).decode()
