"""The end of a buoy's record, at hand in memory; made from the ``readings`` table, so nothing of it is stored twice."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from reefmesh.store.port import Store
from reefmesh_ingest import readings_table
from reefmesh_ingest.domain.exclusion import Exclusion
from reefmesh_ingest.domain.quality import QuantityLimits, Series, tail_us
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.exclusions.table import exclusions_in_force
from reefmesh_ingest.register.entries import BuoyEntry
from reefmesh_ingest.register.known import KnownBuoy, KnownReef

RECENT_READINGS_LIMIT: Final = 2
"""Newest readings kept whole: the next one completes the spike test of the one before it."""


@dataclass(slots=True)
class BuoyTail:
    """``entry`` and ``limits`` are what it was made for: when the register changes them it is made again.

    ``recent`` are the newest readings whole, oldest first; ``newest_us`` is None for a buoy without any. ``since_us``:
    every reading from then on went through ``series`` (None: every one there is). ``exclusions`` are those in force, in order.
    """

    entry: BuoyEntry
    limits: dict[str, QuantityLimits]
    exclusions: tuple[Exclusion, ...] = ()
    newest_us: int | None = None
    since_us: int | None = None
    recent: dict[int, StoredReading] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)

    def series_of(self, quantity: str) -> Series:
        found = self.series.get(quantity)
        if found is None:
            found = Series.from_rows(self.limits[quantity], (), since_us=self.since_us)
            self.series[quantity] = found
        return found

    def reaches(self, observed_us: int) -> bool:
        """Tell whether there is a reading at that instant or later."""
        return self.newest_us is not None and observed_us <= self.newest_us

    def remember(self, readings: Iterable[StoredReading]) -> None:
        """Keep the newest of these and of those at hand."""
        at_hand = {**self.recent, **{reading.observed_us: reading for reading in readings}}
        newest = sorted(at_hand)[-RECENT_READINGS_LIMIT:]
        self.recent = {instant: at_hand[instant] for instant in newest}
        if newest:
            self.newest_us = newest[-1]

    def knows(self, observed_us: int) -> bool:
        """Tell whether a reading at that instant would be in ``recent`` if there were one."""
        if self.newest_us is None or observed_us > self.newest_us:
            return True
        return observed_us >= next(iter(self.recent))


async def load_tail(store: Store, entry: BuoyEntry, limits: dict[str, QuantityLimits]) -> BuoyTail:
    """Make a buoy's tail from its newest rows. Raises StoreUnavailable."""
    tail = BuoyTail(entry, limits, await exclusions_in_force(store, entry.id))
    newest_us = await readings_table.newest_us(store, entry.id)
    if newest_us is None:
        return tail
    since_us = newest_us - max(tail_us(each) for each in limits.values())
    if await readings_table.exists_before(store, entry.id, since_us):
        tail.since_us = since_us
    readings = await readings_table.fetch_between(store, entry.id, since_us, newest_us)
    for quantity in {name for reading in readings for name in reading.contents}:
        rows = readings_table.rows_of(readings, quantity)
        tail.series[quantity] = Series.from_rows(limits[quantity], rows, since_us=tail.since_us)
    tail.remember(readings[-RECENT_READINGS_LIMIT:])
    return tail


@dataclass(slots=True)
class ReefTails:
    """The tails of a reef's buoys; each is loaded when the first message of its buoy comes."""

    tails: dict[str, BuoyTail] = field(default_factory=dict)

    def forget(self, buoy_id: str) -> None:
        """Load a buoy's tail again, from its rows, before it is used again."""
        self.tails.pop(buoy_id, None)

    async def at_hand(self, store: Store, buoy: KnownBuoy, reef: KnownReef) -> BuoyTail:
        """Return a buoy's tail; the register may have changed since it was loaded. Raises StoreUnavailable."""
        entry = buoy.entry
        tail = self.tails.get(entry.id)
        if tail is None or tail.entry is not entry or tail.limits is not reef.limits:
            tail = self.tails[entry.id] = await load_tail(store, entry, reef.limits)
        return tail
