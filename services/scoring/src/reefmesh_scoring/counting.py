"""Counts readings into the totals of their days, the newest values of their buoys and the windows of their quantities.

A reading counts once, in its newest revision: a later revision subtracts exactly what the earlier one added, and an earlier
revision that arrives late (a parked message, replayed) is ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from reefmesh.contracts.flags import SCORED, Flag
from reefmesh.contracts.readings import Reading
from reefmesh.contracts.register import BuoyFacts
from reefmesh_scoring.domain.fixed_point import E4
from reefmesh_scoring.domain.solar_day import (
    COUNTED_AT,
    NIGHT_SUSPECT,
    NIGHT_TEMPERATURE,
    SUSPECT,
    TEMPERATURE,
    DayTotals,
    empty_totals,
    microseconds_of,
    split_solar,
)
from reefmesh_scoring.domain.window import NewestScored
from reefmesh_scoring.kept_readings import (
    KeptReading,
    KeptReadings,
    ReadingKey,
    ReportedValue,
    as_before,
    detached,
    is_unchanged,
    items_of,
    scored_value,
)
from reefmesh_scoring.scored_reef import NEVER_US, NewestValue, ScoredBuoy, ScoredReef


@dataclass(slots=True, kw_only=True)
class Counted:
    """The changes by the readings of one message, besides those of the state.

    ``deltas``: to add to the totals of each solar date with a reading. ``kept``: the readings that count, to be stored.
    ``reopened``: quantities whose newest scored value or window lost a value. ``dropped``: (buoy, name) of a value that a
    revision no longer has; for both, the newest value must be found again. ``withdrawn``: readings that counted until now
    (before this message, or earlier in it), so their buoys may not have been seen then.
    """

    deltas: dict[int, DayTotals] = field(default_factory=dict)
    kept: dict[ReadingKey, KeptReading] = field(default_factory=dict)
    reopened: set[str] = field(default_factory=set)
    dropped: set[tuple[str, str]] = field(default_factory=set)
    withdrawn: set[ReadingKey] = field(default_factory=set)


def instants_us(readings: Sequence[Reading]) -> list[int]:
    return [microseconds_of(reading.observed_at) for reading in readings]


def keys_to_look_up(readings: Sequence[Reading], observed_us: Sequence[int], state: ScoredReef) -> list[ReadingKey]:
    """Return the keys of the readings that may be on record already: those not newer than the newest of their buoy."""
    newest = {buoy_id: buoy.newest_us for buoy_id, buoy in state.buoys.items()}
    return [
        (reading.buoy_id, at_us)
        for reading, at_us in zip(readings, observed_us, strict=True)
        if at_us <= newest.get(reading.buoy_id, NEVER_US)
    ]


def at_hand(keys: Sequence[ReadingKey], state: ScoredReef) -> dict[ReadingKey, KeptReading]:
    """Return those of the given readings that are in memory and need no query."""
    found: dict[ReadingKey, KeptReading] = {}
    for buoy_id, at_us in keys:
        buoy = state.buoys[buoy_id]
        if at_us == buoy.newest_us and buoy.newest_reading is not None:
            found[buoy_id, at_us] = buoy.newest_reading
    return found


def count(  # noqa: PLR0912  # one loop that every reading runs through: calls cost more than they explain
    readings: Sequence[Reading], observed_us: Sequence[int], state: ScoredReef, on_record: KeptReadings
) -> Counted:
    """Count readings into the state; ``on_record`` holds the stored readings of ``keys_to_look_up``."""
    counted = Counted()
    kept, deltas, offset_us = counted.kept, counted.deltas, state.offset_us
    for reading, at_us in zip(readings, observed_us, strict=True):
        key = (reading.buoy_id, at_us)
        buoy = state.buoys.get(reading.buoy_id)
        if buoy is None:
            buoy = state.buoys[reading.buoy_id] = ScoredBuoy(facts=BuoyFacts(buoy_id=reading.buoy_id))
        previous = None
        if at_us > buoy.newest_us:
            buoy.newest_us = at_us
        else:
            # An earlier revision in this same message is newer than the stored one.
            previous = kept.get(key) or on_record.get(key)
            if previous is not None and previous.revision >= reading.revision:
                state.ignored += 1
                continue
        if reading.withdrawn:
            kept[key] = KeptReading(reading.revision, {}, withdrawn=True)
            _withdraw(state, counted, key, previous)
            continue
        if at_us > buoy.last_seen_us:  # noqa: PLR1730  # a call of max() for every reading
            buoy.last_seen_us = at_us
        items = items_of(reading)
        if previous is not None and (unchanged := as_before(items, previous)) is not items:
            state.revisions += 1
            kept[key] = KeptReading(reading.revision, unchanged)
            continue
        day, night = split_solar(at_us, offset_us)
        totals = deltas.get(day)
        if totals is None:
            totals = deltas[day] = empty_totals()
        if previous is None:
            state.readings += 1
        else:
            state.revisions += 1
            if previous.withdrawn:
                state.readings += 1
                counted.withdrawn.discard(key)
            add_to_totals(totals, previous.items, night=night, times=-1)
        add_to_totals(totals, items, night=night, times=1)
        kept[key] = KeptReading(reading.revision, items)
    if kept:
        state.as_of_us = state.newest_seen_us()
        _note_replaced(state, counted, on_record)
        _note_newest(state, kept, on_record)
        for buoy_id in {buoy_id for buoy_id, _ in kept}:
            buoy = state.buoys[buoy_id]
            newest = kept.get((buoy_id, buoy.newest_us))
            if newest is not None:
                buoy.newest_reading = detached(newest)
    return counted


def _withdraw(state: ScoredReef, counted: Counted, key: ReadingKey, previous: KeptReading | None) -> None:
    """Subtract what the earlier revision added. If that never came (it is parked), there is nothing to subtract."""
    state.revisions += 1
    if previous is None or previous.withdrawn:
        return
    state.readings -= 1
    day, night = split_solar(key[1], state.offset_us)
    add_to_totals(counted.deltas.setdefault(day, empty_totals()), previous.items, night=night, times=-1)
    counted.withdrawn.add(key)


def add_to_totals(totals: DayTotals, items: Mapping[str, ReportedValue], *, night: bool, times: int) -> None:
    """Add the scored values of one reading, and its suspect temperature, to the totals of its day (``times`` = 1), or subtract
    them (-1)."""
    for name, reported in items.items():
        at = COUNTED_AT.get(name)
        if at is None or (value := reported.value) is None:
            continue
        if reported.flag not in SCORED:
            if at == TEMPERATURE and reported.flag == Flag.SUSPECT:
                totals[SUSPECT] += times
                totals[NIGHT_SUSPECT] += times * night
            continue
        value_e4 = times * round(value * E4)
        totals[at] += value_e4
        totals[at + 1] += times
        if night and at == TEMPERATURE:
            totals[NIGHT_TEMPERATURE] += value_e4
            totals[NIGHT_TEMPERATURE + 1] += times


def newest_of(at_us: int, reported: ReportedValue) -> NewestValue:
    return NewestValue(at_us, reported.value, int(reported.flag), reported.fault)


def _note_replaced(state: ScoredReef, counted: Counted, on_record: KeptReadings) -> None:
    """Note which newest values must be found again, because a revision changed or dropped them."""
    for key, was in on_record.items():
        now = counted.kept.get(key)
        if now is None or is_unchanged(now, was):
            continue  # the incoming revision was older, or says the same
        buoy_id, at_us = key
        newest = state.buoys[buoy_id].items
        for name, reported in was.items.items():
            revised = now.items.get(name)
            if revised is None and newest[name].observed_us == at_us:
                counted.dropped.add((buoy_id, name))
            value = scored_value(reported)
            if value is None or (revised is not None and scored_value(revised) == value):
                continue
            scored = state.scored.get(name)
            if scored is not None and at_us >= scored.starts_us:
                counted.reopened.add(name)


def _note_newest(state: ScoredReef, kept: KeptReadings, on_record: KeptReadings) -> None:
    """Keep the newest value of each buoy under every name, and the newest scored values of the reef.

    Readings are visited newest first, so most of a batch add nothing: later readings have all their names, and they are older
    than every window.
    """
    reported_later: dict[str, set[str]] = {}
    scored_later: set[str] = set()
    oldest_window_us = NEVER_US
    told = [key for key, reading in kept.items() if not is_unchanged(reading, on_record.get(key))]
    if len(told) > 1:
        told.sort(key=itemgetter(1), reverse=True)
    for key in told:
        buoy_id, at_us = key
        items = kept[key].items
        names = items.keys()
        reported = reported_later.setdefault(buoy_id, set())
        if not names <= reported:
            newest = state.buoys[buoy_id].items
            for name in names - reported:
                known = newest.get(name)
                if known is None or at_us >= known.observed_us:
                    newest[name] = newest_of(at_us, items[name])
            reported |= names
        if at_us < oldest_window_us and names <= scored_later:
            continue
        was = on_record.get(key)
        for name, each in items.items():
            value = scored_value(each)
            if value is None:
                continue
            scored_later.add(name)
            if was is not None and name in was.items and scored_value(was.items[name]) == value:
                continue  # it is in its window already
            scored = state.scored.get(name)
            if scored is None:
                state.scored[name] = NewestScored.of(at_us, buoy_id, value)
            else:
                scored.add(at_us, buoy_id, value)
        oldest_window_us = min(
            (state.scored[name].starts_us for name in scored_later if name in state.scored), default=NEVER_US
        )
