"""An archive as the telemetry of one buoy: messages with the same ids each time, so that a replay can be continued."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh_standalone.archive.record import Archive


def buoy_of(reef_id: str) -> str:
    """Return the name of the buoy that stands for an archive of this reef."""
    return f"replay-{reef_id}"[:64]


def interval_of(archive: Archive) -> timedelta:
    """Return the archive's own report interval: the median step, between a second and a week."""
    steps = [(later.observed_at - earlier.observed_at).total_seconds() for earlier, later in pairwise(archive.readings)]
    seconds = median(step for step in steps if step > 0) if any(step > 0 for step in steps) else 86_400.0
    return timedelta(seconds=min(max(1, round(seconds)), 7 * 86_400))


def telemetry_of(archive: Archive, *, reef_id: str, readings_per_message: int, sent_at: datetime) -> Iterator[Envelope]:
    """Yield ``telemetry/1`` messages of at most ``readings_per_message`` readings each, oldest first."""
    buoy_id = buoy_of(reef_id)
    for seq, first in enumerate(range(0, len(archive.readings), readings_per_message), start=1):
        batch = archive.readings[first : first + readings_per_message]
        readings = [
            {"observed_at": _zulu(reading.observed_at), "position": None, "channels": reading.channels, "faults": {}}
            for reading in batch
        ]
        content = json.dumps(readings, separators=(",", ":"))
        head = {"schema": TELEMETRY_1, "buoy_id": buoy_id, "seq": seq, "sent_at": _zulu(sent_at)}
        body = json.dumps({**head, "readings": readings}, separators=(",", ":")).encode()
        yield Envelope(
            event_id=event_id_of(f"replay/{reef_id}/{seq}", hashlib.sha256(content.encode()).hexdigest()),
            reef_id=reef_id,
            schema_id=TELEMETRY_1,
            produced_at=sent_at,
            body=body,
            headers={"device": buoy_id, "received-at": sent_at.isoformat()},
        )


def _zulu(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
