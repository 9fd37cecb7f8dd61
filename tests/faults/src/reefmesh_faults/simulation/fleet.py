"""Small fleets: a few reefs with a buoy each, and a handful of messages with everything in them that telemetry may do."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, Literal

from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.quantities import SEA_WATER_SPEED, SEA_WATER_TEMPERATURE, VISIBILITY
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh_ingest.register.entries import BuoyEntry, MooringEntry, ReefEntry

START: Final = datetime(2026, 3, 20, 12, tzinfo=UTC)
REEFS_MAX: Final = 3
REPORT_INTERVAL: Final = timedelta(hours=6)
SILENCE: Final = timedelta(hours=19)
"""So long after START every buoy is silent and every dive verdict too old."""

REEFS: Final = tuple(
    ReefEntry(
        id=f"reef-{number}",
        name=f"Reef {number}",
        latitude_degrees=-8.1,
        longitude_degrees=10.0 * number,
        mmm_celsius=28.0,
    )
    for number in range(1, REEFS_MAX + 1)
)
BUOYS: Final = tuple(
    BuoyEntry(
        id=f"buoy-{reef.id}",
        reef=reef.id,
        mooring=MooringEntry(latitude_degrees=reef.latitude_degrees, longitude_degrees=reef.longitude_degrees),
        report_interval_seconds=int(REPORT_INTERVAL.total_seconds()),
    )
    for reef in REEFS
)

Expected = Literal["accepted", "duplicate", "quarantined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """One message; ``after_seconds`` it follows the one before of its reef. ``expected`` is what must become of it."""

    message: Envelope
    expected: Expected
    after_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Reef -> its messages, in the order of sending."""

    telemetry: dict[str, Sequence[Telemetry]]

    @property
    def messages(self) -> int:
        return sum(map(len, self.telemetry.values()))


def draw_fleet(seed: int) -> Fleet:
    random = Random(f"fleet {seed}")
    reefs = REEFS[: random.randint(2, REEFS_MAX)]
    return Fleet(telemetry={reef.id: _telemetry(reef.id, random) for reef in reefs})


def _telemetry(reef_id: str, random: Random) -> list[Telemetry]:
    """Readings of the last days, a day a message, with late ones, corrections, repeats and rubbish among them."""
    days = random.randint(2, 3)
    hot = random.random() < 0.7
    drawn: list[Telemetry] = []
    sent: list[bytes] = []
    order = list(range(days))
    if random.random() < 0.4:
        late = random.randrange(days)
        order.append(order.pop(late))
    for day in order:
        at = START - timedelta(days=days - 1 - day, hours=1)
        celsius = round(28.0 + (3.5 if hot else 0.2) + random.random(), 2)
        body = _document(reef_id, [(at, celsius, random)])
        drawn.append(_one(reef_id, len(drawn), body, "accepted", random))
        sent.append(body)
        chance = random.random()
        if chance < 0.15:
            drawn.append(_one(reef_id, len(drawn), random.choice(sent), "duplicate", random))
        elif chance < 0.3:
            rubbish = random.choice([b"{", b"\x00\xff", b'{"schema": "telemetry/1"}'])
            drawn.append(_one(reef_id, len(drawn), rubbish, "quarantined", random))
    return drawn


def _one(reef_id: str, place: int, body: bytes, expected: Expected, random: Random) -> Telemetry:
    burst = random.random() < 0.6
    return Telemetry(
        message=Envelope(
            event_id=event_id_of(reef_id, str(place)),
            reef_id=reef_id,
            schema_id=TELEMETRY_1,
            produced_at=START - timedelta(minutes=30) + timedelta(seconds=place),
            body=body,
        ),
        expected=expected,
        after_seconds=0.0 if burst else random.uniform(0.0, 0.4),
    )


def _document(reef_id: str, readings: Sequence[tuple[datetime, float, Random]]) -> bytes:
    listed: list[dict[str, Any]] = []
    for at, celsius, random in readings:
        channels = {
            SEA_WATER_TEMPERATURE: celsius,
            VISIBILITY: random.choice([2.0, 9.0, 25.0]),
            SEA_WATER_SPEED: random.choice([0.1, 0.6, 1.8]),
        }
        listed.append({"observed_at": at.isoformat(), "channels": channels})
    first = readings[0][0]
    return json.dumps(
        {
            "schema": TELEMETRY_1,
            "buoy_id": f"buoy-{reef_id}",
            "seq": int(first.timestamp()),
            "sent_at": first.isoformat(),
            "readings": listed,
        }
    ).encode()
