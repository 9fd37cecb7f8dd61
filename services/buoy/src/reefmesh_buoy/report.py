"""The report: readings as one document of ``telemetry/1``, and what travels beside it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from reefmesh_buoy.measurement import instant_of

SCHEMA: Final = "telemetry/1"
READINGS_LIMIT: Final = 500
BODY_BYTES_LIMIT: Final = 200 * 1024
"""Below the 256 KiB that every door takes, headers included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedReport:
    """A report whose bytes do not change any more: each attempt sends the same ones. ``follows``: the event id of the report
    that was confirmed before it. ``clock``: whether the wall clock was set when it was sealed."""

    seq: int
    event_id: str
    producer_id: str
    follows: str | None
    sent_us: int
    clock: str
    body: bytes


def event_id_of(producer_id: str, seq: int) -> str:
    """Return the id of a spool's report: a repeat has the same one, and another spool never has it."""
    return str(uuid5(UUID(producer_id), str(seq)))


def body_of(device: str, seq: int, sent_us: int, readings: Sequence[tuple[int, str]]) -> bytes:
    """Return the document. ``readings``: microseconds since 1970, and the rest as JSON; they are put in the order of time."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "buoy_id": device,
        "seq": seq,
        "sent_at": instant_of(sent_us),
        "readings": [{"observed_at": instant_of(us), **json.loads(content)} for us, content in sorted(readings)],
    }
    return json.dumps(document, separators=(",", ":")).encode()
