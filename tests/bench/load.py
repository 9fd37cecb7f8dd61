"""The load of the benchmarks: many reefs, each with one buoy that reports plausible water."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from reefmesh.contracts import quantities
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import TELEMETRY_1
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_standalone.simulator.water import Water

CHANNELS = (
    quantities.SEA_WATER_TEMPERATURE,
    quantities.PH_TOTAL_SCALE,
    quantities.PCO2,
    quantities.SEA_WATER_SPEED,
    quantities.VISIBILITY,
)
INTERVAL = timedelta(minutes=30)
BEGINS_AT = datetime(2026, 1, 1, tzinfo=UTC)
REPORT_INTERVAL_SECONDS: Final = 7 * 86_400
"""As long as a buoy may take: values stay fresh for three of these, so a load that began weeks ago still is live."""
CLEAR_METRES, TURBID_METRES = 12.0, 8.0
"""Visibility on both sides of a limit of the dive verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """``messages`` messages of ``batch`` readings with ``channels`` channels each, round robin over ``reefs`` reefs.

    ``first_turn``: how many messages of each reef came before. ``alert_every``: at every so many messages of a reef the
    visibility changes so that the dive verdict does, which is one alert (readings must not be old then); 0: at none.
    """

    reefs: int
    messages: int
    batch: int
    channels: int
    first_turn: int = 0
    begins_at: datetime = BEGINS_AT
    alert_every: int = 0

    @property
    def readings(self) -> int:
        return self.messages * self.batch

    def reef_entries(self) -> list[ReefEntry]:
        return [
            ReefEntry(id=reef_id(n), name=f"Reef {n}", latitude_degrees=-8, longitude_degrees=115, mmm_celsius=29.5)
            for n in range(self.reefs)
        ]

    def buoy_entries(self) -> list[BuoyEntry]:
        return [
            BuoyEntry(id=f"bench-{n}", reef=reef_id(n), report_interval_seconds=REPORT_INTERVAL_SECONDS)
            for n in range(self.reefs)
        ]

    def raises_alert(self, number: int) -> bool:
        """Whether this message, counted from 0, changes what its reef said before."""
        return self.alert_every > 0 and self._change(number) != self._change(number - self.reefs)

    def _change(self, number: int) -> int:
        """Return how often the visibility has changed by this message; the reefs take turns."""
        reef, turn = number % self.reefs, self.first_turn + number // self.reefs
        return (turn + reef) // self.alert_every

    def envelopes(self) -> Iterator[Envelope]:
        """Yield the messages; readings of a reef go on in steps of 30 minutes from message to message."""
        samples = _samples(self.channels)
        dives = {turbid: _dives(samples, turbid=turbid) for turbid in (False, True)} if self.alert_every else {}
        for number in range(self.messages):
            reef, turn = number % self.reefs, self.first_turn + number // self.reefs
            samples = dives[self._change(number) % 2 == 0] if dives else samples
            steps = range(turn * self.batch, (turn + 1) * self.batch)
            readings = ",".join(
                f'{{"observed_at":"{(self.begins_at + step * INTERVAL).isoformat()}","position":null,'
                f'"channels":{samples[(step + reef) % len(samples)]},"faults":{{}}}}'
                for step in steps
            )
            at = self.begins_at + (steps[-1] + 1) * INTERVAL
            body = (
                f'{{"schema":"{TELEMETRY_1}","buoy_id":"bench-{reef}","seq":{turn + 1},"sent_at":"{at.isoformat()}",'
                f'"readings":[{readings}]}}'
            )
            yield Envelope(
                event_id=f"{reef}-{turn}-{self.batch}",
                reef_id=reef_id(reef),
                schema_id=TELEMETRY_1,
                produced_at=datetime.now(UTC),
                body=body.encode(),
                traceparent=f"00-{number + 1:032x}-{turn + 1:016x}-00",
                headers={"device": f"bench-{reef}", "received-at": at.isoformat()},
            )


def reef_id(number: int) -> str:
    return f"reef-{number:05d}"


def live_since(turns: int) -> datetime:
    """Return when a load of so many readings a reef must begin to end now."""
    return datetime.now(UTC).replace(microsecond=0) - (turns + 1) * INTERVAL


def _dives(samples: list[str], *, turbid: bool) -> list[str]:
    """Return the samples with a weak current and a visibility that alone decides the dive verdict."""
    told = {quantities.SEA_WATER_SPEED: 0.1, quantities.VISIBILITY: TURBID_METRES if turbid else CLEAR_METRES}
    return [json.dumps({**json.loads(sample), **told}, separators=(",", ":")) for sample in samples]


def _samples(channels: int) -> list[str]:
    """A few days of water as the JSON of a reading's channels; made once, so that the load costs little itself."""
    water = Water(seed="bench", mmm_celsius=29.5, below_mmm_celsius=0.5)
    rows = []
    for step in range(480):
        at = BEGINS_AT + step * INTERVAL
        values = (
            round(water.temperature_celsius(at), 2),
            round(water.ph_total_scale(at), 3),
            round(water.pco2_microatmospheres(at), 1),
            round(water.speed_metres_per_second(at), 3),
            round(water.visibility(at), 1),
        )
        rows.append(json.dumps(dict(zip(CHANNELS[:channels], values, strict=False)), separators=(",", ":")))
    return rows
