"""How many values of a record have which flag, by quantity: expected before it is sent, and as they are stored after it."""

from collections import Counter
from collections.abc import Mapping
from math import isnan
from typing import Final

from reefmesh.contracts.flags import Flag
from reefmesh.store.port import Store
from reefmesh_ingest.domain.quality import QuantityLimits, Series
from reefmesh_ingest.domain.reading import content_of, published_flag
from reefmesh_ingest.readings_table import fetch_at
from reefmesh_standalone.importing.known import chunks
from reefmesh_standalone.records.record import ABSENT, FileRecord

FlagCounts = dict[str, Counter[Flag]]
"""Quantity -> flag -> values."""

NAMES: Final = {
    Flag.PASS: "pass",
    Flag.NOT_EVALUATED: "not evaluated",
    Flag.SUSPECT: "suspect",
    Flag.FAIL: "fail",
    Flag.MISSING: "missing",
}


def expected_flags(record: FileRecord, limits: Mapping[str, QuantityLimits], corrections: Mapping[str, float]) -> FlagCounts:
    """Return what quality control would say of the record alone, without what is stored around it.

    ``corrections``: quantity -> factor of the register.
    """
    counts: FlagCounts = {}
    for quantity, column in record.values.items():
        counts[quantity] = flags = Counter[Flag]()
        series = Series(limits[quantity])
        factor = corrections.get(quantity, 1.0)
        for place, raw in enumerate(column):
            if raw == ABSENT:
                continue
            if isnan(raw):
                flags[Flag.MISSING] += 1
                continue
            value = content_of(raw, factor, None).value
            for _, before, now in series.put(record.observed_us[place], value):
                flags[now.flag] += 1
                if before is not None:
                    flags[before.flag] -= 1
    return counts


async def stored_flags(store: Store, buoy_id: str, record: FileRecord) -> FlagCounts:
    """Return the flags that the readings of a record have in the store. Raises StoreUnavailable."""
    counts: FlagCounts = {quantity: Counter() for quantity in record.values}
    for places in chunks(len(record)):
        stored = await fetch_at(store, buoy_id, [record.observed_us[place] for place in places])
        for reading in stored.values():
            for quantity in counts.keys() & reading.contents.keys():
                counts[quantity][published_flag(reading, quantity)] += 1
    return counts
