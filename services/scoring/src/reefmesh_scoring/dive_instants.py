"""The verdicts by single readings of current and visibility: what alerts judge a change by that must hold, or be large."""

from typing import Any, Final, NamedTuple

from reefmesh.contracts.quantities import SEA_WATER_SPEED, VISIBILITY
from reefmesh.contracts.register import DiveLimits
from reefmesh.contracts.scores import INSTANT_HOURS, INSTANTS_LIMIT
from reefmesh.store.port import Store
from reefmesh_scoring.domain.dive import VerdictRange, range_of_current, range_of_visibility
from reefmesh_scoring.domain.solar_day import HOUR_US, text_of
from reefmesh_scoring.kept_readings import KeptReading, KeptReadings, ReadingKey, is_unchanged, newest_readings, scored_value
from reefmesh_scoring.scored_reef import ScoredReef

_WINDOW_US: Final = INSTANT_HOURS * HOUR_US
_UNKNOWN: Final = VerdictRange("unknown", "unknown", "unknown")
_JUDGES: Final = ((SEA_WATER_SPEED, range_of_current), (VISIBILITY, range_of_visibility))


class Instants(NamedTuple):
    """Fields of ``DiveInstant``; ``are_all``: of every instant of the last hours, so that whoever kept others forgets them."""

    are_all: bool
    fields: list[dict[str, Any]]


async def readings_at_instants(store: Store, state: ScoredReef) -> dict[ReadingKey, KeptReading]:
    """Return the readings of the last hours that are on record, for when a reef's newest reading was withdrawn, or all of them:
    what was too old to be told beside it may not be so any more, and what was told may be gone."""
    found: dict[ReadingKey, KeptReading] = {}
    if (until_us := state.as_of_us) is not None:
        for buoy_id in state.buoys:
            newest = newest_readings(store, state.reef_id, buoy_id, from_us=until_us - _WINDOW_US + 1, until_us=until_us)
            found |= {key: reading async for key, reading in newest}
    return found


def instants_of(
    kept: KeptReadings, before: KeptReadings, state: ScoredReef, *, limits: DiveLimits, anew: bool = False
) -> list[dict[str, Any]]:
    """Return the fields of ``DiveInstant`` of every value that a message sets or revises, oldest first; at most the newest
    ``INSTANTS_LIMIT``.

    ``kept``: the readings as they count now. ``before``: as they counted, if they did: a value that a revision dropped, failed
    or withdrew must be taken back, and one that it left alone is told ``anew`` only.
    """
    fields: list[dict[str, Any]] = []
    as_of_us = state.as_of_us
    if as_of_us is None:
        return fields
    for key in sorted(kept, key=lambda each: (each[1], each[0])):
        buoy_id, at_us = key
        if at_us <= as_of_us - _WINDOW_US:
            continue
        items, was = kept[key].items, before.get(key)
        if not anew and is_unchanged(kept[key], was):
            continue
        for quantity, judge in _JUDGES:
            reported = items.get(quantity)
            if reported is None and (was is None or quantity not in was.items):
                continue
            value = None if reported is None else scored_value(reported)
            if anew:
                if value is None:
                    continue
            elif was is not None and quantity in was.items and scored_value(was.items[quantity]) == value:
                continue
            judged = _UNKNOWN if value is None else judge(value, limits, resolution=state.resolution(buoy_id, quantity))
            fields.append(
                {
                    "observed_at": text_of(at_us),
                    "buoy_id": buoy_id,
                    "quantity": quantity,
                    "value": value,
                    "verdict": judged.verdict,
                    "best": judged.best,
                    "worst": judged.worst,
                }
            )
    return fields[-INSTANTS_LIMIT:]
