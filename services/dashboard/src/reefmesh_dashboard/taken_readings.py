"""What a message of readings changes in the read model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.readings import Reading, Readings
from reefmesh.contracts.register import ReefFacts
from reefmesh.errors import PoisonMessage
from reefmesh.store.port import Store, Write
from reefmesh_dashboard.domain.aggregate import ByQuantity, of_parts, of_readings
from reefmesh_dashboard.domain.edge import Edge, Edges, beyond, moved
from reefmesh_dashboard.domain.spans import SECOND_US, Month, day_of, hour_of, microseconds_of, month_of
from reefmesh_dashboard.readings_table import (
    KeptReading,
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


async def take_readings(store: Store, body: Readings, edges: Edges, *, seq: int, now_us: int) -> TakenReadings:
    """Return what becomes of readings, hours, days and the reef's facts; move the ``edges``, which are the reef's.

    A reading that is known in the same or a later revision changes nothing. The hours of all others are summed up anew from all
    of their readings, and their days from all of their hours: so a revision, a withdrawn reading and a late one cost the same,
    and in whatever order they come the sums are those of what is kept. What is newer than all of its buoy is added.

    Raises:
        PoisonMessage: a reading is of a time that cannot be.
    """
    refuse_impossible(body.readings, now_us)
    reef_id = body.reef.reef_id
    months: dict[str, Month] = {}
    readings: list[Write] = []
    sums: list[Write] = []
    for buoy_id, newest in _by_buoy(body.readings).items():
        edge = edges.of_buoy.get(buoy_id)
        added = beyond(edge, newest)
        taken, hours, days = (newest, *added) if added else await _looked_up(store, reef_id, buoy_id, newest)
        if not taken:
            continue
        if edge is None and await newest_of(store, reef_id, buoy_id) <= max(taken):
            edge = Edge(newest_us=max(taken), hour={}, day={})  # both are among those that change
        if (edge := moved(edge, max(taken), hours, days)) is not None:
            edges.of_buoy[buoy_id] = edge
        months |= {month.name: month for month in map(month_of, hours)}
        readings += [write_reading(reef_id, reading) for reading in taken.values()]
        sums += [*write_hours(reef_id, buoy_id, hours), *write_days(reef_id, buoy_id, days)]
    return TakenReadings(months=list(months.values()), writes=[*readings, *sums, _write_facts(body.reef, seq)])


async def _looked_up(
    store: Store, reef_id: str, buoy_id: str, newest: Mapping[int, Reading]
) -> tuple[Mapping[int, Reading], Mapping[int, ByQuantity], Mapping[int, ByQuantity]]:
    """Return which of the readings change something, and the sums of their hours and days afterwards."""
    known = await fetch_readings(store, reef_id, buoy_id, map(hour_of, newest))
    taken = {at: reading for at, reading in newest.items() if at not in known or reading.revision > known[at].revision}
    if not taken:
        return {}, {}, {}
    hours = {hour: of_readings(_of_hour(hour, taken, known)) for hour in set(map(hour_of, taken))}
    all_hours = await fetch_hours(store, reef_id, buoy_id, map(day_of, hours)) | hours
    days = {day: of_parts(part for hour, part in all_hours.items() if day_of(hour) == day) for day in set(map(day_of, hours))}
    return taken, hours, days


def refuse_impossible(readings: Iterable[Reading], now_us: int) -> None:
    """Refuse readings of a time that cannot be, as scoring does: each month has partitions of its own."""
    for reading in readings:
        if not EARLIEST_US <= microseconds_of(reading.observed_at) <= now_us + AHEAD_US:
            raise PoisonMessage(
                "impossible-time", "a reading is from before 1970, or more than an hour ahead of this machine's clock"
            )


def _by_buoy(readings: Iterable[Reading]) -> dict[str, dict[int, Reading]]:
    """Return the newest revision of each reading of the message, by buoy and ``observed_us``."""
    found: dict[str, dict[int, Reading]] = {}
    for reading in readings:
        of_buoy = found.setdefault(reading.buoy_id, {})
        at = microseconds_of(reading.observed_at)
        if at not in of_buoy or reading.revision > of_buoy[at].revision:
            of_buoy[at] = reading
    return found


def _of_hour(hour: int, taken: Mapping[int, Reading], known: Mapping[int, KeptReading]) -> list[Reading]:
    kept = [Reading.model_validate_json(row.body_json) for at, row in known.items() if hour_of(at) == hour and at not in taken]
    return kept + [reading for at, reading in taken.items() if hour_of(at) == hour]


def _write_facts(facts: ReefFacts, seq: int) -> Write:
    """A message that was parked brings old facts, and leaves newer ones alone."""
    return Write(_UPSERT_FACTS, (facts.reef_id, facts.name, seq, facts.latitude_degrees, facts.longitude_degrees))
