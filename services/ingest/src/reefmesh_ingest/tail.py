"""The end of a buoy's record, at hand in memory; made from the ``readings`` table, so nothing of it is stored twice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from reefmesh.contracts.register import PhScale
from reefmesh.store.port import Store
from reefmesh_ingest import learned_table, readings_table
from reefmesh_ingest.domain.exclusion import Exclusion
from reefmesh_ingest.domain.learned import NOTHING_LEARNED, Learned
from reefmesh_ingest.domain.quality import QuantityLimits, Series, tail_us
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.exclusions.table import exclusions_in_force
from reefmesh_ingest.register.entries import BuoyEntry
from reefmesh_ingest.register.known import KnownBuoy, KnownReef

RECENT_READINGS_LIMIT: Final = 2
"""Newest readings kept whole: the next one completes the spike test of the one before it."""


@dataclass(slots=True)
class BuoyTail:
    """``buoy`` and ``reef`` are what it was made for: when the register changes them it is made again. ``learned`` is what the
    buoy's reports show of it, and ``facts_json`` its facts with that.

    ``recent`` are the newest readings whole, oldest first; ``newest_us`` is None for a buoy without any. ``since_us``:
    every reading from then on went through ``series`` (None: every one there is). ``exclusions`` are those in force, in order.
    """

    buoy: KnownBuoy
    reef: KnownReef
    learned: Learned = NOTHING_LEARNED
    exclusions: tuple[Exclusion, ...] = ()
    limits: Mapping[str, QuantityLimits] = field(init=False)
    facts_json: str = field(init=False)
    newest_us: int | None = None
    since_us: int | None = None
    recent: dict[int, StoredReading] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.limits = self.buoy.entry.limits_over(self.reef.entry, self.reef.limits)
        self.facts_json = self.buoy.facts_json if self.learned is NOTHING_LEARNED else self._facts_json()

    @property
    def entry(self) -> BuoyEntry:
        return self.buoy.entry

    def learn(self, readings: Iterable[StoredReading], ph_scale: PhScale | None) -> bool:
        """Take in what these readings show of the buoy; return whether that is anything new."""
        learned = self.learned.after(readings, ph_scale)
        if learned is self.learned:
            return False
        self.learned = learned
        self.facts_json = self._facts_json()
        return True

    def _facts_json(self) -> str:
        return self.buoy.entry.facts(self.learned).model_dump_json()

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


async def load_tail(store: Store, buoy: KnownBuoy, reef: KnownReef) -> BuoyTail:
    """Make a buoy's tail from its newest rows. Raises StoreUnavailable."""
    buoy_id = buoy.entry.id
    tail = BuoyTail(buoy, reef, await learned_table.fetch(store, buoy_id), await exclusions_in_force(store, buoy_id))
    limits = tail.limits
    newest_us = await readings_table.newest_us(store, buoy_id)
    if newest_us is None:
        return tail
    since_us = newest_us - max(tail_us(each) for each in limits.values())
    if await readings_table.exists_before(store, buoy_id, since_us):
        tail.since_us = since_us
    readings = await readings_table.fetch_between(store, buoy_id, since_us, newest_us)
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
        buoy_id = buoy.entry.id
        tail = self.tails.get(buoy_id)
        if tail is None or tail.buoy is not buoy or tail.reef is not reef:
            tail = self.tails[buoy_id] = await load_tail(store, buoy, reef)
        return tail
