"""A fleet whose telemetry is known beforehand: every message, from a seed, in each reef's publishing order.

The readings lie in the past (from 2010 on), so that no deadline runs and no value is fresh: what the mesh makes of them depends
on the messages and their order alone, never on when they were handled. That is what lets an undisturbed run say what is right.
"""

import heapq
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.quantities import PH_TOTAL_SCALE, SEA_WATER_TEMPERATURE
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh_ingest.register.entries import BuoyEntry, MooringEntry, ReefEntry

BEGINS_AT: Final = datetime(2010, 1, 1, tzinfo=UTC)
INTERVAL: Final = timedelta(hours=3)
"""Between the readings of a buoy: thousands of readings are then months of heat stress."""

MMM_CELSIUS: Final = 29.0
SEASON_DAYS: Final = 60.0
BACKLOG_READINGS: Final = 100
BUOYS_LIMIT: Final = 3
HOT_REEFS: Final = 0.1
HOT_FACTOR: Final = 12.0
LATITUDE, LONGITUDE = -8.0, 115.0
ADRIFT_DEGREES: Final = 0.01
STRANGER: Final = "stranger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """One message. ``number`` is its place in the reef's publishing order, from 1. ``instants`` are those of its good readings,
    as (buoy, UTC microseconds); none: all of it is to end in quarantine."""

    number: int
    event_id: str
    reef_id: str
    kind: str
    device: str
    received_at: datetime
    body: bytes
    readings: int
    instants: tuple[tuple[str, int], ...]

    def envelope(self, produced_at: datetime) -> Envelope:
        return Envelope(
            event_id=self.event_id,
            reef_id=self.reef_id,
            schema_id=TELEMETRY_1,
            produced_at=produced_at,
            body=self.body,
            headers={"device": self.device, "received-at": self.received_at.isoformat()},
        )


@dataclass(slots=True, kw_only=True)
class _Buoy:
    """``step`` counts its readings; ``held_back`` are steps that it did not report in time."""

    id: str
    step: int = 0
    seq: int = 0
    adrift: bool = False
    broken: bool = False
    held_back: list[range] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Reef:
    id: str
    chance: Random
    interval_seconds: float
    buoys: list[_Buoy]
    sent: int = 0
    last: Telemetry | None = None


class Fleet:
    """``reefs`` reefs with one to three buoys each that send about ``messages_per_second`` messages together.

    ``telemetry`` goes on for ever and yields the same messages for the same seed: (seconds after the beginning, message).
    """

    def __init__(self, *, seed: int, reefs: int, messages_per_second: float) -> None:
        chance = Random(f"fleet/{seed}")
        weights = [HOT_FACTOR if chance.random() < HOT_REEFS else chance.uniform(0.3, 1.5) for _ in range(reefs)]
        total = sum(weights)
        self._reefs = [
            _Reef(
                id=f"reef-{number:03d}",
                chance=Random(f"reef/{seed}/{number}"),
                interval_seconds=total / weight / messages_per_second,
                buoys=[_Buoy(id=f"buoy-{number:03d}-{place}") for place in range(chance.randint(1, BUOYS_LIMIT))],
            )
            for number, weight in enumerate(weights)
        ]

    @property
    def reef_ids(self) -> list[str]:
        return [reef.id for reef in self._reefs]

    def reef_entries(self) -> list[ReefEntry]:
        return [
            ReefEntry(
                id=reef.id,
                name=reef.id.title(),
                latitude_degrees=LATITUDE,
                longitude_degrees=LONGITUDE,
                mmm_celsius=MMM_CELSIUS,
            )
            for reef in self._reefs
        ]

    def buoy_entries(self) -> list[BuoyEntry]:
        mooring = MooringEntry(latitude_degrees=LATITUDE, longitude_degrees=LONGITUDE)
        interval_seconds = int(INTERVAL.total_seconds())
        return [
            BuoyEntry(id=buoy.id, reef=reef.id, mooring=mooring, report_interval_seconds=interval_seconds)
            for reef in self._reefs
            for buoy in reef.buoys
        ]

    def telemetry(self) -> Iterator[tuple[float, Telemetry]]:
        due = [(reef.chance.uniform(0, reef.interval_seconds), place) for place, reef in enumerate(self._reefs)]
        heapq.heapify(due)
        while due:
            at_seconds, place = due[0]
            reef = self._reefs[place]
            yield at_seconds, _next_message(reef)
            heapq.heapreplace(due, (at_seconds + reef.chance.expovariate(1 / reef.interval_seconds), place))


def _next_message(reef: _Reef) -> Telemetry:
    chance = reef.chance
    buoy = chance.choice(reef.buoys)
    lot = chance.random()
    if lot < 0.05 and reef.last is not None:
        message = _again(reef, reef.last)
    elif lot < 0.07:
        message = _malformed(reef, buoy)
    elif lot < 0.08:
        message = _of_stranger(reef)
    elif lot < 0.10:
        message = _with_a_bad_reading(reef, buoy)
    else:
        message = _report(reef, buoy)
    reef.last = message
    return message


def _report(reef: _Reef, buoy: _Buoy) -> Telemetry:
    """The next readings of a buoy; now and then it was offline and sends what it kept, or sends old ones late."""
    chance = reef.chance
    if buoy.held_back and chance.random() < 0.3:
        return _message(reef, buoy, "late", buoy.held_back.pop(0))
    lot = chance.random()
    if lot < 0.08:
        return _message(reef, buoy, "backlog", _steps(buoy, chance.randint(BACKLOG_READINGS // 2, BACKLOG_READINGS)))
    if lot < 0.16:
        buoy.held_back.append(_steps(buoy, chance.randint(1, 5)))
    if lot > 0.97:
        buoy.adrift = not buoy.adrift
    if lot > 0.985:
        buoy.broken = not buoy.broken
    return _message(reef, buoy, "live", _steps(buoy, chance.choice((1, 1, 2, 4, 8, 16))))


def _steps(buoy: _Buoy, count: int) -> range:
    steps = range(buoy.step, buoy.step + count)
    buoy.step += count
    return steps


def _message(reef: _Reef, buoy: _Buoy, kind: str, steps: range, *, bad: bool = False) -> Telemetry:
    readings = [_reading(reef, buoy, step) for step in steps]
    instants = tuple((buoy.id, _microseconds(_observed_at(step))) for step in steps)
    if bad:
        readings.append({"observed_at": "at noon", "channels": {}})
    received_at = _observed_at(buoy.step) + timedelta(minutes=1)
    buoy.seq += 1
    document = {
        "schema": TELEMETRY_1,
        "buoy_id": buoy.id,
        "seq": buoy.seq,
        "sent_at": received_at.isoformat(),
        "readings": readings,
    }
    message = Telemetry(
        number=0,
        event_id="",
        reef_id=reef.id,
        kind=kind,
        device=buoy.id,
        received_at=received_at,
        body=json.dumps(document).encode(),
        readings=len(readings),
        instants=instants,
    )
    return _numbered(reef, message)


def _reading(reef: _Reef, buoy: _Buoy, step: int) -> dict[str, object]:
    observed_at = _observed_at(step)
    days = (observed_at - BEGINS_AT) / timedelta(days=1)
    warmth = 1.6 * math.sin(2 * math.pi * days / SEASON_DAYS) + reef.chance.uniform(-0.2, 0.2)
    channels: dict[str, float | None] = {SEA_WATER_TEMPERATURE: round(MMM_CELSIUS + warmth, 2)}
    if step % 8 == 0:
        channels[PH_TOTAL_SCALE] = round(8.05 - 0.02 * warmth, 3)
    reading: dict[str, object] = {"observed_at": observed_at.isoformat(), "channels": channels}
    if buoy.broken:
        reading["channels"] = {name: value for name, value in channels.items() if name != SEA_WATER_TEMPERATURE}
        reading["faults"] = {SEA_WATER_TEMPERATURE: "probe does not answer"}
    if step % 4 == 0:
        reading["position"] = {"lat": LATITUDE + (ADRIFT_DEGREES if buoy.adrift else 0.0), "lon": LONGITUDE}
    return reading


def _with_a_bad_reading(reef: _Reef, buoy: _Buoy) -> Telemetry:
    return _message(reef, buoy, "flawed", _steps(buoy, 2), bad=True)


def _again(reef: _Reef, last: Telemetry) -> Telemetry:
    """The device sends its last report once more: another message with the same readings."""
    return _numbered(reef, replace(last, kind="again"))


def _malformed(reef: _Reef, buoy: _Buoy) -> Telemetry:
    message = Telemetry(
        number=0,
        event_id="",
        reef_id=reef.id,
        kind="malformed",
        device=buoy.id,
        received_at=_observed_at(buoy.step),
        body=f'{{"schema":"{TELEMETRY_1}","buoy_id":"{buoy.id}","readings":[{{"observed_at'.encode(),
        readings=1,
        instants=(),
    )
    return _numbered(reef, message)


def _of_stranger(reef: _Reef) -> Telemetry:
    """From a device that nobody registered, in the group of this reef."""
    buoy = _Buoy(id=STRANGER, step=reef.sent)
    return replace(_message(reef, buoy, "stranger", _steps(buoy, 1)), instants=())


def _numbered(reef: _Reef, message: Telemetry) -> Telemetry:
    """Return the message as the next one of its reef."""
    reef.sent += 1
    return replace(message, number=reef.sent, event_id=f"{reef.id}/{reef.sent}")


def _observed_at(step: int) -> datetime:
    return BEGINS_AT + step * INTERVAL


def _microseconds(instant: datetime) -> int:
    return (instant - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
