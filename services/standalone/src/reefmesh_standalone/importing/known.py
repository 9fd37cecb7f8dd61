"""Which readings of a record the store has already."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.store.port import Store
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.readings_table import fetch_at, newest_us
from reefmesh_standalone.records.record import FileRecord

READINGS_AT_ONCE: Final = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A reading whose value of ``quantity`` is another one in the store."""

    place: int
    quantity: str
    stored: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The readings to send, by their place in the record; the others add nothing to what is stored. ``differing`` counts the
    readings with another value than is stored, ``first`` is the first of them; they are not to be sent."""

    to_send: Sequence[int]
    known: int
    differing: int
    first: Difference | None


async def compare(store: Store, buoy_id: str, record: FileRecord) -> Compared:
    """Compare a record with the stored readings of its buoy. Raises StoreUnavailable."""
    newest = await newest_us(store, buoy_id)
    if newest is None or newest < record.observed_us[0]:
        return Compared(to_send=range(len(record)), known=0, differing=0, first=None)
    to_send: list[int] = []
    known = differing = 0
    first: Difference | None = None
    for places in chunks(len(record)):
        stored = await fetch_at(store, buoy_id, [record.observed_us[place] for place in places])
        for place in places:
            reading = stored.get(record.observed_us[place])
            if reading is None or reading.withdrawn:
                to_send.append(place)
            elif (difference := _difference(record, place, reading)) is not None:
                differing += 1
                first = first or difference
            elif _adds(record, place, reading):
                to_send.append(place)
            else:
                known += 1
    return Compared(to_send=to_send, known=known, differing=differing, first=first)


def chunks(length: int) -> Iterator[range]:
    """Yield the places of a record, so many at once as the store is asked for."""
    for start in range(0, length, READINGS_AT_ONCE):
        yield range(start, min(start + READINGS_AT_ONCE, length))


def _difference(record: FileRecord, place: int, stored: StoredReading) -> Difference | None:
    for quantity, value in record.channels(place).items():
        content = stored.contents.get(quantity)
        if value is not None and content is not None and content.raw is not None and content.raw != value:
            return Difference(place=place, quantity=quantity, stored=content.raw)
    return None


def _adds(record: FileRecord, place: int, stored: StoredReading) -> bool:
    if place in record.positions and stored.place is None:
        return True
    for quantity, value in record.channels(place).items():
        content = stored.contents.get(quantity)
        if content is None or (content.raw is None and value is not None):
            return True
    return False
