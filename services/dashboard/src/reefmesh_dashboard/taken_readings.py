"""What a message of readings changes in the read model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.readings import Reading, Readings
from reefmesh.contracts.register import ReefFacts
from reefmesh.errors import PoisonMessage
from reefmesh.store.port import Write
from reefmesh_dashboard.domain.aggregate import counted, of_parts, sums_of
from reefmesh_dashboard.domain.edge import Edge, Step, move, step_beyond
from reefmesh_dashboard.domain.reef import ShownFacts, ShownReef
from reefmesh_dashboard.domain.spans import SECOND_US, Month, day_of, hour_of, microseconds_of, month_of
from reefmesh_dashboard.readings_table import (
    Reads,
    fetch_hours,
    fetch_readings,
    newest_of,
    write_days,
    write_hours,
    write_reading,
)

EARLIEST_US: Final = 0
"""1970-01-01, as scoring has it."""
AHEAD_US: Final = 3600 * SECOND_US

_UPSERT_FACTS: Final = (
    "INSERT INTO reefs (reef_id, name, facts_seq, latitude_degrees, longitude_degrees, score_seq) VALUES (?, ?, ?, ?, ?, 0)"
    " ON CONFLICT (reef_id) DO UPDATE SET name = excluded.name, facts_seq = excluded.facts_seq,"
    " latitude_degrees = excluded.latitude_degrees, longitude_degrees = excluded.longitude_degrees"
    " WHERE excluded.facts_seq >= reefs.facts_seq"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenReadings:
    """``months``: those in which there are new rows; they are to be noted before ``writes``."""

    months: Sequence[Month]
    writes: Sequence[Write]


async def take_readings(store: Reads, body: Readings, reef: ShownReef, *, seq: int, now_us: int) -> TakenReadings:
    """Return what becomes of readings, hours, days and the reef's facts; change ``reef`` accordingly.

    A reading that is known in the same or a later revision changes nothing. The hours of all others are summed up anew from all
    of their readings, and their days from all of their hours: so a revision, a withdrawn reading and a late one cost the same,
    and in whatever order they come the sums are those of what is kept. A live reading is added (see ``domain.edge``).

    Raises:
        PoisonMessage: a reading is of a time that cannot be.
    """
    reef_id = body.reef.reef_id
    months: dict[str, Month] = {}
    readings: list[Write] = []
    sums: list[Write] = []
    for buoy_id, newest in _by_buoy(body.readings, now_us).items():
        edge = reef.edges.get(buoy_id)
        step = None if edge is None else step_beyond(edge, newest)
        if step is None:
            step = await _looked_up(store, reef_id, buoy_id, newest)
            if not step.taken:
                continue
            newest_us = max(step.taken)
            if edge is None and await newest_of(store, reef_id, buoy_id) <= newest_us:
                edge = reef.edges[buoy_id] = Edge(newest_us=newest_us, hour={}, day={}, recent={})
            if edge is not None:
                move(edge, step)
        months |= {month.name: month for month in map(month_of, step.hours)}
        readings += [write_reading(reef_id, at, reading) for at, reading in step.taken.items()]
        sums += [*write_hours(reef_id, buoy_id, step.hours), *write_days(reef_id, buoy_id, step.days)]
    return TakenReadings(months=list(months.values()), writes=[*readings, *sums, *_write_facts(body.reef, reef, seq)])


async def _looked_up(store: Reads, reef_id: str, buoy_id: str, newest: Mapping[int, Reading]) -> Step:
    """Return what readings change, and the sums of their hours and days afterwards, from what the tables have."""
    known = await fetch_readings(store, reef_id, buoy_id, map(hour_of, newest))
    taken = {at: reading for at, reading in newest.items() if at not in known or reading.revision > known[at].revision}
    if not taken:
        return Step(taken={}, hours={}, days={})
    counts = {at: kept.counted for at, kept in known.items()} | {at: counted(reading) for at, reading in taken.items()}
    changed = set(map(hour_of, taken))
    hours = {hour: sums_of(each for at, each in counts.items() if hour_of(at) == hour) for hour in changed}
    all_hours = await fetch_hours(store, reef_id, buoy_id, map(day_of, hours)) | hours
    days = {day: of_parts(part for hour, part in all_hours.items() if day_of(hour) == day) for day in set(map(day_of, hours))}
    return Step(taken=taken, hours=hours, days=days)


def _by_buoy(readings: Iterable[Reading], now_us: int) -> dict[str, dict[int, Reading]]:
    """Return the newest revision of each reading of the message, by buoy and ``observed_us``.

    Refuses readings of a time that cannot be, as scoring does: each month has partitions of its own.
    """
    found: dict[str, dict[int, Reading]] = {}
    for reading in readings:
        at = microseconds_of(reading.observed_at)
        if not EARLIEST_US <= at <= now_us + AHEAD_US:
            raise PoisonMessage(
                "impossible-time", "a reading is from before 1970, or more than an hour ahead of this machine's clock"
            )
        of_buoy = found.setdefault(reading.buoy_id, {})
        if at not in of_buoy or reading.revision > of_buoy[at].revision:
            of_buoy[at] = reading
    return found


def _write_facts(came: ReefFacts, reef: ShownReef, seq: int) -> list[Write]:
    """Only facts that differ are written. A message that was parked brings old ones, and leaves newer ones alone; but after a
    restart nothing tells since when the same facts came again and again, and its own stay until the reef's next message."""
    facts = ShownFacts(came.name, came.latitude_degrees, came.longitude_degrees)
    if seq < reef.facts_seq:
        return []
    reef.facts_seq = seq
    if facts == reef.facts:
        return []
    reef.facts = facts
    return [Write(_UPSERT_FACTS, (came.reef_id, facts.name, seq, facts.latitude_degrees, facts.longitude_degrees))]
