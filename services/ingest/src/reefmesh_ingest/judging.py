"""From values to verdicts: quality control of one buoy's new, changed and withdrawn values, with the rows that it needs."""

from reefmesh.store.port import Store
from reefmesh_ingest import readings_table
from reefmesh_ingest.domain.quality import Verdict, windows
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.tail import BuoyTail

Values = dict[str, dict[int, float | None]]
"""Quantity -> instant -> the value that is there from now on (None: none)."""

Verdicts = dict[int, dict[str, Verdict]]
"""Instant -> quantity -> verdict, of everything whose verdict is new or changed."""


async def judge(store: Store, tail: BuoyTail, values: Values) -> tuple[Verdicts, dict[int, StoredReading]]:
    """Put values into the buoy's series; returns the verdicts and the stored readings that were read on the way.

    Raises StoreUnavailable.
    """
    verdicts: Verdicts = {}
    held = [tail.series_of(quantity) for quantity, of_channel in values.items() if tail.reaches(min(of_channel))]
    for series in held:
        series.hold()
    late = {quantity: instants for quantity, of_channel in values.items() if (instants := _late(tail, quantity, of_channel))}
    loaded = await _judge_late(store, tail, values, late, verdicts) if late else {}
    for quantity, of_channel in values.items():
        done = late.get(quantity)
        points = [point for point in of_channel.items() if point[0] not in done] if done else of_channel.items()
        for changed, _, verdict in tail.series_of(quantity).put_all(sorted(points)):
            at = verdicts.get(changed)
            if at is None:
                verdicts[changed] = {quantity: verdict}
            else:
                at[quantity] = verdict
    for series in held:
        series.release()
    return verdicts, loaded


def _late(tail: BuoyTail, quantity: str, of_channel: dict[int, float | None]) -> set[int]:
    """The instants that the series in memory cannot judge."""
    covers = tail.series_of(quantity).covers
    if covers(min(of_channel)):
        return set()  # and then all later ones are covered too
    return {instant for instant in of_channel if not covers(instant)}


async def _judge_late(
    store: Store, tail: BuoyTail, values: Values, late: dict[str, set[int]], verdicts: Verdicts
) -> dict[int, StoredReading]:
    """Judge what is older than the tail among the rows around it."""
    loaded: dict[int, StoredReading] = {}
    instants = {instant for of_channel in late.values() for instant in of_channel}
    for window in windows((tail.limits[quantity] for quantity in late), instants):
        readings = await readings_table.fetch_between(store, tail.entry.id, window.low_us, window.high_us)
        loaded.update((reading.observed_us, reading) for reading in readings)
        for quantity, of_channel in late.items():
            here = [instant for instant in window.times_us if instant in of_channel]
            if not here:
                continue
            series = tail.series_of(quantity)
            among = series.window(readings_table.rows_of(readings, quantity), window)
            for instant in here:
                for changed, _, verdict in among.put(instant, values[quantity][instant]):
                    verdicts.setdefault(changed, {})[quantity] = verdict
            series.adopt(among)
    return loaded
