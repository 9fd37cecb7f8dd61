"""Judge, the eighth step: quality control of one buoy's new, changed and withdrawn values, with the rows that it needs."""

from reefmesh.store.port import Store
from reefmesh_ingest import readings_table
from reefmesh_ingest.domain.exclusion import exclude, judge_excluded
from reefmesh_ingest.domain.join import Joined, QuantityValues
from reefmesh_ingest.domain.quality import windows
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.domain.revision import InstantVerdicts, revised
from reefmesh_ingest.tail import BuoyTail


async def judge(store: Store, tail: BuoyTail, joined: Joined) -> list[StoredReading]:
    """Return the joined readings, and the neighbours whose verdict they change, in their next revision, oldest first.

    ``tail`` takes the values in. Raises StoreUnavailable.
    """
    if tail.exclusions or any(reading.excluded for reading in joined.changed.values()):
        joined = exclude(joined, tail.exclusions)
    verdicts, loaded = await _verdicts(store, tail, joined.values)
    judge_excluded(joined.changed, tail.limits, verdicts)
    neighbours = {**loaded, **tail.recent}
    if unknown := [instant for instant in verdicts if instant not in joined.changed and instant not in neighbours]:
        neighbours |= await readings_table.fetch_at(store, tail.entry.id, unknown)
    readings = revised(joined.changed, verdicts, neighbours)
    tail.remember(readings)
    return readings


async def _verdicts(store: Store, tail: BuoyTail, values: QuantityValues) -> tuple[InstantVerdicts, dict[int, StoredReading]]:
    """Put values into the buoy's series; return what changed, and the stored readings that were loaded on the way."""
    verdicts: InstantVerdicts = {}
    held = [tail.series_of(quantity) for quantity, by_instant in values.items() if tail.reaches(min(by_instant))]
    for series in held:
        series.hold()
    late = {quantity: instants for quantity, by_instant in values.items() if (instants := _late(tail, quantity, by_instant))}
    loaded = await _judge_late(store, tail, values, late, verdicts) if late else {}
    for quantity, by_instant in values.items():
        done = late.get(quantity)
        points = [point for point in by_instant.items() if point[0] not in done] if done else by_instant.items()
        for changed, _, verdict in tail.series_of(quantity).put_all(sorted(points)):
            at = verdicts.get(changed)
            if at is None:
                verdicts[changed] = {quantity: verdict}
            else:
                at[quantity] = verdict
    for series in held:
        series.release()
    return verdicts, loaded


def _late(tail: BuoyTail, quantity: str, by_instant: dict[int, float | None]) -> set[int]:
    """The instants that the series in memory cannot judge."""
    covers = tail.series_of(quantity).covers
    if covers(min(by_instant)):
        return set()  # and then all later ones are covered too
    return {instant for instant in by_instant if not covers(instant)}


async def _judge_late(
    store: Store, tail: BuoyTail, values: QuantityValues, late: dict[str, set[int]], verdicts: InstantVerdicts
) -> dict[int, StoredReading]:
    """Judge what is older than the tail among the rows around it."""
    loaded: dict[int, StoredReading] = {}
    instants = {instant for by_instant in late.values() for instant in by_instant}
    for window in windows((tail.limits[quantity] for quantity in late), instants):
        readings = await readings_table.fetch_between(store, tail.entry.id, window.low_us, window.high_us)
        loaded.update((reading.observed_us, reading) for reading in readings)
        for quantity, by_instant in late.items():
            here = [instant for instant in window.times_us if instant in by_instant]
            if not here:
                continue
            series = tail.series_of(quantity)
            among = series.window(readings_table.rows_of(readings, quantity), window)
            for instant in here:
                for changed, _, verdict in among.put(instant, values[quantity][instant]):
                    verdicts.setdefault(changed, {})[quantity] = verdict
            series.adopt(among)
    return loaded
