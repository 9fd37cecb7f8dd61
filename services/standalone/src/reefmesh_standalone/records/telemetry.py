"""A record as the telemetry of one buoy."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Final

from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh_ingest.domain.decode.document import PAYLOAD_BYTES_LIMIT
from reefmesh_standalone.records.record import FileRecord

_BYTES_PER_MESSAGE: Final = PAYLOAD_BYTES_LIMIT - 1024
"""What readings may take of a message, beside its other fields."""

_STEPS_LIMIT: Final = 10_000

ReadingFields = dict[str, Any]


def interval_of(record: FileRecord) -> timedelta:
    """Return the record's own report interval: the median of its first steps, between a second and a week."""
    steps = [later - earlier for earlier, later in pairwise(record.observed_us[: _STEPS_LIMIT + 1])]
    seconds = median(steps) / 1_000_000 if steps else 86_400.0
    return timedelta(seconds=min(max(1, round(seconds)), 7 * 86_400))


def with_values(record: FileRecord) -> list[int]:
    """Return the places of the readings that have a value."""
    return [place for place in range(len(record)) if any(value is not None for value in record.channels(place).values())]


def only_values(record: FileRecord, place: int) -> ReadingFields:
    """Return a reading without its missing values."""
    channels = {quantity: value for quantity, value in record.channels(place).items() if value is not None}
    return {"observed_at": _zulu(record.observed_at(place)), "position": None, "channels": channels, "faults": {}}


def everything(record: FileRecord, place: int) -> ReadingFields:
    """Return a reading with its missing values, its faults and its position."""
    position = record.positions.get(place)
    return {
        "observed_at": _zulu(record.observed_at(place)),
        "position": None if position is None else {"lat": position[0], "lon": position[1]},
        "channels": record.channels(place),
        "faults": record.faults.get(place, {}),
    }


def telemetry_of(
    record: FileRecord,
    places: Iterable[int],
    *,
    reading: Callable[[FileRecord, int], ReadingFields],
    sender: str,
    buoy_id: str,
    reef_id: str,
    readings_per_message: int,
    sent_at: datetime,
    first_seq: int = 1,
) -> Iterator[Envelope]:
    """Yield ``telemetry/1`` messages of the readings at ``places``, in this order; ``sender`` and content make their ids."""
    for seq, content in enumerate(_contents(record, places, reading, readings_per_message), start=first_seq):
        head = json.dumps(
            {"schema": TELEMETRY_1, "buoy_id": buoy_id, "seq": seq, "sent_at": _zulu(sent_at)}, separators=(",", ":")
        )
        yield Envelope(
            event_id=event_id_of(f"{sender}/{seq}", hashlib.sha256(content.encode()).hexdigest()),
            reef_id=reef_id,
            schema_id=TELEMETRY_1,
            produced_at=sent_at,
            body=f'{head[:-1]},"readings":{content}}}'.encode(),
            headers={"device": buoy_id, "received-at": sent_at.isoformat()},
        )


def _contents(
    record: FileRecord, places: Iterable[int], reading: Callable[[FileRecord, int], ReadingFields], readings_per_message: int
) -> Iterator[str]:
    """Yield the readings of each message as one JSON list."""
    texts: list[str] = []
    size = 0
    for place in places:
        text = json.dumps(reading(record, place), separators=(",", ":"))
        if texts and (len(texts) == readings_per_message or size + len(text) > _BYTES_PER_MESSAGE):
            yield f"[{','.join(texts)}]"
            texts, size = [], 0
        texts.append(text)
        size += len(text) + 1
    if texts:
        yield f"[{','.join(texts)}]"


def _zulu(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
