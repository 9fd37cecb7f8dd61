"""Periods in which values of a buoy do not count, as an operator said.

Which values of a reading are excluded depends on the set of exclusions in force and on nothing else, so it is the same whether
the reading came before the exclusion or after it. An excluded value is in no series: it costs no other value anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reefmesh_ingest.domain.join import Joined, QuantityValues
from reefmesh_ingest.domain.quality import QuantityLimits, Verdict, verdict_alone
from reefmesh_ingest.domain.reading import NOT_EXCLUDED, StoredReading
from reefmesh_ingest.domain.revision import InstantVerdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """From ``from_us`` on and before ``until_us`` (UTC microseconds), values of ``quantity`` do not count; None: of any."""

    exclusion_id: str
    buoy_id: str
    from_us: int
    until_us: int
    quantity: str | None
    reason: str


def in_order(exclusions: Iterable[Exclusion]) -> tuple[Exclusion, ...]:
    """Return exclusions in the order in which their reasons win where several cover a value."""
    return tuple(sorted(exclusions, key=lambda each: (each.from_us, each.until_us, each.exclusion_id)))


def excluded_of(reading: StoredReading, exclusions: Sequence[Exclusion]) -> Mapping[str, str]:
    """Return the quantities of a reading that these exclusions (``in_order``) cover, and why."""
    if reading.withdrawn:
        return NOT_EXCLUDED
    found: dict[str, str] = {}
    for each in exclusions:
        if each.from_us <= reading.observed_us < each.until_us:
            for quantity in reading.contents if each.quantity is None else (each.quantity,):
                if quantity in reading.contents:
                    found.setdefault(quantity, each.reason)
    return found or NOT_EXCLUDED


def exclude(joined: Joined, exclusions: Sequence[Exclusion]) -> Joined:
    """Return the joined readings with their excluded values marked, and out of what is to be judged."""
    changed: dict[int, StoredReading] = {}
    values: QuantityValues = {quantity: dict(by_instant) for quantity, by_instant in joined.values.items()}
    near = _between(exclusions, joined.changed)
    for instant, reading in joined.changed.items():
        excluded = excluded_of(reading, near)
        for quantity in excluded:
            if quantity not in reading.excluded or instant in values.get(quantity, {}):
                values.setdefault(quantity, {})[instant] = None
        for quantity in reading.excluded.keys() - excluded.keys():
            if quantity in reading.contents:
                values.setdefault(quantity, {})[instant] = reading.contents[quantity].value
        changed[instant] = reading._replace(excluded=excluded)
    return replace(joined, changed=changed, values=values)


def judge_excluded(
    changed: Mapping[int, StoredReading], limits: Mapping[str, QuantityLimits], verdicts: InstantVerdicts
) -> None:
    """Put into ``verdicts`` what quality control says of the excluded values alone."""
    for instant, reading in changed.items():
        for quantity in reading.excluded:
            verdicts.setdefault(instant, {})[quantity] = _alone(reading, quantity, limits)


def _alone(reading: StoredReading, quantity: str, limits: Mapping[str, QuantityLimits]) -> Verdict:
    return verdict_alone(reading.observed_us, reading.contents[quantity].value, limits[quantity])


def _between(exclusions: Sequence[Exclusion], instants: Iterable[int]) -> Sequence[Exclusion]:
    """Return those that can cover one of these instants: a message spans hours, a buoy's exclusions span years."""
    known = list(instants)
    if not known:
        return ()
    first_us, last_us = min(known), max(known)
    return [each for each in exclusions if each.from_us <= last_us and first_us < each.until_us]
