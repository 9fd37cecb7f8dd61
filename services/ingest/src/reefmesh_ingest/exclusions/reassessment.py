"""Stored readings of one buoy held against its exclusions: one bounded part of a period at a time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.store.port import Store
from reefmesh_ingest import readings_table
from reefmesh_ingest.domain.exclusion import Exclusion, excluded_of, judge_excluded
from reefmesh_ingest.domain.quality import QuantityLimits, evaluate, reach_us
from reefmesh_ingest.domain.reading import StoredReading
from reefmesh_ingest.domain.revision import InstantVerdicts, revised

READINGS_PER_PART: Final = 4_000
"""Readings looked at in one unit of work. Around them, the readings of about two days on either side are loaded too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassessed:
    """``revisions``: the readings whose values or verdicts changed, oldest first; ``changed`` of them are of the period,
    ``looked_at`` readings were compared. ``resume_us``: where the next part begins; None: the period is through."""

    revisions: list[StoredReading]
    looked_at: int
    changed: int
    resume_us: int | None


async def reassess(
    store: Store,
    buoy_id: str,
    limits: Mapping[str, QuantityLimits],
    exclusions: Sequence[Exclusion],
    *,
    from_us: int,
    until_us: int,
    readings_limit: int = READINGS_PER_PART,
) -> Reassessed:
    """Mark the stored readings from ``from_us`` on and before ``until_us`` by the exclusions in force, and judge again whatever
    that can alter. Raises StoreUnavailable."""
    readings = await readings_table.fetch_from(store, buoy_id, from_us, until_us, limit=readings_limit)
    changed: dict[int, StoredReading] = {}
    to_judge: set[str] = set()
    for reading in readings:
        excluded = excluded_of(reading, exclusions)
        if excluded != reading.excluded:
            changed[reading.observed_us] = reading._replace(excluded=excluded)
            to_judge |= excluded.keys() ^ reading.excluded.keys()
    revisions = []
    if changed:
        revisions = await _judged(store, buoy_id, limits, changed, to_judge)
    return Reassessed(
        revisions=revisions,
        looked_at=len(readings),
        changed=len(changed),
        resume_us=readings[-1].observed_us + 1 if len(readings) == readings_limit else None,
    )


async def _judged(
    store: Store,
    buoy_id: str,
    limits: Mapping[str, QuantityLimits],
    changed: Mapping[int, StoredReading],
    quantities: set[str],
) -> list[StoredReading]:
    """Return the changed readings and the neighbours with another verdict, in their next revision."""
    verdicts: InstantVerdicts = {}
    reach = max((reach_us(limits[quantity]) for quantity in quantities), default=0)
    first_us, last_us = min(changed) - reach, max(changed) + reach
    # What may alter lies within one reach of the changes, what decides it within one more.
    around = await readings_table.fetch_between(store, buoy_id, first_us - reach, last_us + reach)
    together = {reading.observed_us: changed.get(reading.observed_us, reading) for reading in around} if quantities else {}
    for quantity in sorted(quantities):
        points = [
            (instant, None if quantity in reading.excluded else content.value)
            for instant, reading in together.items()
            if (content := reading.contents.get(quantity)) is not None
        ]
        for (instant, _), verdict in zip(points, evaluate(points, limits[quantity]), strict=True):
            reading = together[instant]
            is_other = quantity not in reading.excluded and verdict != reading.verdicts[quantity]
            if is_other and first_us <= instant <= last_us:
                verdicts.setdefault(instant, {})[quantity] = verdict
        await asyncio.sleep(0)  # the other reefs' lanes and the pages have their turn
    judge_excluded(changed, limits, verdicts)
    return revised(changed, verdicts, together)
