"""Join, the seventh step, with what the store and the buoy's tail already hold of the reported instants."""

from collections.abc import Sequence

from reefmesh.store.port import Store
from reefmesh_ingest import readings_table
from reefmesh_ingest.copies import copies_of
from reefmesh_ingest.domain.join import Joined, join
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.domain.timing import TimedReport
from reefmesh_ingest.tail import BuoyTail


async def join_known(store: Store, tail: BuoyTail, timed: TimedReport) -> Joined:
    """Load what is known at the reported instants, and join. Raises StoreUnavailable."""
    origin, reported = timed.reception.origin, timed.readings
    if timed.is_certain:
        return join(reported, await _stored(store, tail, reported), origin=origin)
    copies = await copies_of(store, tail.entry.id, timed)
    withdrawn: list[StoredReading] = []
    if copies.withdrawn_us is not None:
        withdrawn = [reading for reading in timed.readings_at(copies.withdrawn_us) if reading.time_source != "device"]
    if copies.is_copy:
        reported = [reading for reading in reported if reading.time_source == "device"]
    return join(
        reported,
        await _stored(store, tail, [*withdrawn, *reported]),
        origin=origin,
        withdrawn=withdrawn,
        copied=len(timed.readings) - len(reported),
        digest=copies.digest,
    )


async def _stored(store: Store, tail: BuoyTail, readings: Sequence[StoredReading]) -> dict[int, StoredReading]:
    """The stored readings at the instants of these."""
    newest_us, recent = tail.newest_us, tail.recent
    if newest_us is None:
        return {}
    stored = {}
    unknown = []
    for reading in readings:
        instant = reading.observed_us
        if instant > newest_us:
            continue
        if instant in recent:
            stored[instant] = recent[instant]
        elif not tail.knows(instant):
            unknown.append(instant)
    if unknown:
        stored |= await readings_table.fetch_at(store, tail.entry.id, unknown)
    return stored
