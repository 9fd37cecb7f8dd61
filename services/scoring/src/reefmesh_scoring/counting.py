"""Counting readings: into the totals of their days, the newest values of their buoys and the windows of their quantities.

A reading counts once, in its newest revision: a later revision takes out exactly what the earlier one put in, and an earlier
one that arrives late (a parked message, replayed) counts nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from reefmesh.contracts.flags import SCORED
from reefmesh.contracts.readings import Reading
from reefmesh.contracts.register import BuoyFacts
from reefmesh_scoring.domain.fixed_point import E4
from reefmesh_scoring.domain.solar_day import (
    COUNTED_AT,
    NIGHT_TEMPERATURE,
    TEMPERATURE,
    DayTotals,
    empty_totals,
    microseconds_of,
    split_solar,
)
from reefmesh_scoring.domain.window import NewestScored
from reefmesh_scoring.reef_state import NEVER_US, BuoyState, Newest, ReefState
from reefmesh_scoring.samples import Said, Sample, SampleKey, Samples, items_of, kept, scored_value


@dataclass(slots=True, kw_only=True)
class Counted:
    """What the readings of one message changed, besides the state.

    ``deltas``: what is to be added to the totals of each solar date that was heard. ``samples``: the readings that count, as
    they are to be kept. ``reopened``: quantities whose newest scored value or window lost a value, and
    ``dropped``: (buoy, name) of what a revision no longer says: both must be looked up again. ``withdrawn``: readings that
    counted, before this message or in an earlier revision of it, and never were: their buoys may not have been heard then.
    """

    deltas: dict[int, DayTotals] = field(default_factory=dict)
    samples: dict[SampleKey, Sample] = field(default_factory=dict)
    reopened: set[str] = field(default_factory=set)
    dropped: set[tuple[str, str]] = field(default_factory=set)
    withdrawn: set[SampleKey] = field(default_factory=set)


def instants_us(readings: Sequence[Reading]) -> list[int]:
    return [microseconds_of(reading.observed_at) for reading in readings]


def keys_to_look_up(readings: Sequence[Reading], observed_us: Sequence[int], state: ReefState) -> list[SampleKey]:
    """Return the readings that may be on record already: those that are no newer than the newest of their buoy."""
    newest = {buoy_id: buoy.newest_us for buoy_id, buoy in state.buoys.items()}
    return [
        (reading.buoy_id, at_us)
        for reading, at_us in zip(readings, observed_us, strict=True)
        if at_us <= newest.get(reading.buoy_id, NEVER_US)
    ]


def at_hand(keys: Sequence[SampleKey], state: ReefState) -> dict[SampleKey, Sample]:
    """Return those of the named readings that need no look at the table."""
    found: dict[SampleKey, Sample] = {}
    for buoy_id, at_us in keys:
        buoy = state.buoys[buoy_id]
        if at_us == buoy.newest_us and buoy.newest_sample is not None:
            found[buoy_id, at_us] = buoy.newest_sample
    return found


def count(  # noqa: PLR0912  # one loop that every reading runs through: calls cost more than they explain
    readings: Sequence[Reading], observed_us: Sequence[int], state: ReefState, on_record: Samples
) -> Counted:
    """Count readings into the state; ``on_record`` has what is known of ``keys_to_look_up``."""
    counted = Counted()
    samples, deltas, offset_us = counted.samples, counted.deltas, state.offset_us
    for reading, at_us in zip(readings, observed_us, strict=True):
        key = (reading.buoy_id, at_us)
        buoy = state.buoys.get(reading.buoy_id)
        if buoy is None:
            buoy = state.buoys[reading.buoy_id] = BuoyState(facts=BuoyFacts(buoy_id=reading.buoy_id))
        previous = None
        if at_us > buoy.newest_us:
            buoy.newest_us = at_us
        else:
            # What an earlier reading of this very message said is newer than what is on record.
            previous = samples.get(key) or on_record.get(key)
            if previous is not None and previous.revision >= reading.revision:
                state.ignored += 1
                continue
        if reading.withdrawn:
            samples[key] = Sample(reading.revision, {}, withdrawn=True)
            _withdraw(state, counted, key, previous)
            continue
        if at_us > buoy.last_seen_us:  # noqa: PLR1730  # a call of max() for every reading
            buoy.last_seen_us = at_us
        items = items_of(reading)
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
        samples[key] = Sample(reading.revision, items)
    if samples:
        state.as_of_us = state.newest_seen_us()
        _note_replaced(state, counted, on_record)
        _note_newest(state, samples, on_record)
        for buoy_id in {buoy_id for buoy_id, _ in samples}:
            buoy = state.buoys[buoy_id]
            newest = samples.get((buoy_id, buoy.newest_us))
            if newest is not None:
                buoy.newest_sample = kept(newest)
    return counted


def _withdraw(state: ReefState, counted: Counted, key: SampleKey, previous: Sample | None) -> None:
    """Take out what the earlier revision put in, if it came: without it (it is parked) there is nothing to take out."""
    state.revisions += 1
    if previous is None or previous.withdrawn:
        return
    state.readings -= 1
    day, night = split_solar(key[1], state.offset_us)
    add_to_totals(counted.deltas.setdefault(day, empty_totals()), previous.items, night=night, times=-1)
    counted.withdrawn.add(key)


def add_to_totals(totals: DayTotals, items: Mapping[str, Said], *, night: bool, times: int) -> None:
    """Put the scored values of one reading into the totals of its day (``times`` = 1), or take them out (-1)."""
    for name, said in items.items():
        at = COUNTED_AT.get(name)
        if at is None or said.flag not in SCORED or (value := said.value) is None:
            continue
        value_e4 = times * round(value * E4)
        totals[at] += value_e4
        totals[at + 1] += times
        if night and at == TEMPERATURE:
            totals[NIGHT_TEMPERATURE] += value_e4
            totals[NIGHT_TEMPERATURE + 1] += times


def newest_of(at_us: int, said: Said) -> Newest:
    return Newest(at_us, said.value, int(said.flag), said.fault)


def _note_replaced(state: ReefState, counted: Counted, on_record: Samples) -> None:
    """Note what must be looked up again because a revision says something else, or nothing, where its reading was newest."""
    for key, was in on_record.items():
        now = counted.samples.get(key)
        if now is None:
            continue  # what came was older
        buoy_id, at_us = key
        newest = state.buoys[buoy_id].items
        for name, said in was.items.items():
            revised = now.items.get(name)
            if revised is None and newest[name].observed_us == at_us:
                counted.dropped.add((buoy_id, name))
            value = scored_value(said)
            if value is None or (revised is not None and scored_value(revised) == value):
                continue
            scored = state.scored.get(name)
            if scored is not None and at_us >= scored.starts_us:
                counted.reopened.add(name)


def _note_newest(state: ReefState, samples: Samples, on_record: Samples) -> None:
    """Keep what is newest: of each buoy under every name, of the reef the scored values.

    From the newest reading back, because then most readings of a batch have nothing to add: all they name was said later, and
    they are older than every window.
    """
    said_later: dict[str, set[str]] = {}
    scored_later: set[str] = set()
    oldest_window_us = NEVER_US
    for key in sorted(samples, key=itemgetter(1), reverse=True):
        buoy_id, at_us = key
        items = samples[key].items
        names = items.keys()
        said = said_later.setdefault(buoy_id, set())
        if not names <= said:
            newest = state.buoys[buoy_id].items
            for name in names - said:
                known = newest.get(name)
                if known is None or at_us >= known.observed_us:
                    newest[name] = newest_of(at_us, items[name])
            said |= names
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
