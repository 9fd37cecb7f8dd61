"""Scores days of a reef again: those that a message touched and those they influence, or all when the yardstick changed."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.store.port import Store, Write
from reefmesh_scoring.counting import Counted, add_to_totals
from reefmesh_scoring.days import (
    delete_all,
    delete_scores_outside,
    fetch_highest,
    fetch_scores,
    fetch_totals,
    fetch_totals_between,
    put_totals,
    upsert_score,
)
from reefmesh_scoring.domain.heat_revision import Days, days_needed, record_after, revise, spans_to_revise
from reefmesh_scoring.domain.heat_span import NewValue, Stretch, score_span
from reefmesh_scoring.domain.heat_stress import DayHeat, highest
from reefmesh_scoring.domain.recent_days import NONE, RECENT_DAYS_LIMIT, RecentDays, value_of
from reefmesh_scoring.domain.solar_day import OF_TEMPERATURE, DayTotals, empty_totals, split_solar
from reefmesh_scoring.kept_readings import KeptReading, all_readings, oldest_us
from reefmesh_scoring.scored_reef import NEVER_US, TOTALS_KEPT_DAYS, ScoredReef

YIELD_AFTER_DAYS: Final = 512

_NO_DAYS: Final = Days(0, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """Days whose score is new or different, oldest first, and the rows to write."""

    changed: Sequence[DayHeat]
    writes: Sequence[Write]


async def rescore(store: Store, state: ScoredReef, counted: Counted) -> Rescored:
    """Update the totals and scores of the reef, and its state, by what was counted."""
    if state.offset_us != state.wanted_offset_us() or state.is_outdated:
        return await _recount_all(store, state, counted)
    if not counted.deltas:
        return await _rescore_all(store, state, {}) if _yardstick_changed(state) else Rescored(changed=(), writes=())
    totals = await _add_deltas(store, state, counted)
    writes = [put_totals(state.reef_id, day, totals[day]) for day in totals]
    touched = {
        day: value_of(totals[day]) for day in totals if _is_new(day, state.record) or any(counted.deltas[day][OF_TEMPERATURE])
    }
    shorter = await _shorter_record(store, state, counted, touched) if counted.withdrawn else None
    if shorter is not None:
        rescored = await _rescore_shorter(store, state, totals, touched, shorter)
    elif _yardstick_changed(state):
        rescored = await _rescore_all(store, state, touched)
    elif touched:
        rescored = await _rescore_touched(store, state, touched)
    else:
        rescored = Rescored(changed=(), writes=())
    return Rescored(changed=rescored.changed, writes=[*writes, *rescored.writes])


def _is_new(day: int, record: Days | None) -> bool:
    return record is None or not record.first <= day <= record.last


def _yardstick_changed(state: ScoredReef) -> bool:
    """Tell whether all days must be scored again. The first days of a reef are scored by the current yardstick anyway."""
    wanted = state.wanted_yardstick()
    if wanted == state.yardstick:
        return False
    if state.record is None:
        state.yardstick = wanted
        return False
    return True


async def _add_deltas(store: Store, state: ScoredReef, counted: Counted) -> dict[int, DayTotals]:
    """Return the totals of the touched days with the deltas added."""
    record = state.record
    if record is not None:
        older = [day for day in counted.deltas if record.first <= day <= record.last - TOTALS_KEPT_DAYS]
        if older:
            state.totals.update(await fetch_totals(store, state.reef_id, older))
    totals: dict[int, DayTotals] = {}
    for day, delta in counted.deltas.items():
        before = state.totals.get(day)
        totals[day] = state.totals[day] = delta if before is None else [a + b for a, b in zip(before, delta, strict=True)]
    oldest_kept = record_after(record, counted.deltas).last - TOTALS_KEPT_DAYS
    for day in [day for day in state.totals if day <= oldest_kept]:
        del state.totals[day]
    return totals


async def _rescore_touched(store: Store, state: ScoredReef, touched: Mapping[int, NewValue]) -> Rescored:
    record, yardstick = state.record, state.yardstick
    now = record_after(record, touched)
    changed: list[DayHeat] = []
    for span in spans_to_revise(record, touched):
        stretch = await _stretch(store, state, days_needed(span, now))
        changed += revise(stretch, span, touched, record=record, now=now, yardstick=yardstick)
        await let_others_run(span.last - span.first)
    if record is None:
        state.recent = RecentDays(now.first)
    for day in sorted(touched):
        state.recent.put(day, touched[day])
    state.record = now
    await _note_highest(store, state, changed, record)
    if changed and changed[-1].day == now.last:
        state.latest = changed[-1]
    return Rescored(changed=changed, writes=[upsert_score(state.reef_id, row) for row in changed])


async def let_others_run(days: int) -> None:
    """Yield to the other lanes and pages after the work of many days. A message may touch every day since 1970, which takes a
    tenth of a second in all; the work of one report is not worth a turn of the loop."""
    if days >= YIELD_AFTER_DAYS:
        await asyncio.sleep(0)


async def _stretch(store: Store, state: ScoredReef, days: Days) -> Stretch:
    """Return days of the record as they were, from memory where possible."""
    older: Mapping[int, DayTotals] = {}
    if state.record is not None and days.first < state.recent.base and state.record.first < state.recent.base:
        older = await fetch_totals_between(store, state.reef_id, Days(days.first, min(days.last, state.recent.base - 1)))
    return state.recent.stretch(days, {day: value_of(totals) for day, totals in older.items()})


async def _note_highest(store: Store, state: ScoredReef, changed: Sequence[DayHeat], record: Days | None) -> None:
    """Keep the highest DHW of the days before the last one. A query is needed only when the day that had it changed."""
    if state.record is None:
        return
    last = state.record.last
    best = state.highest_before
    closed = [row for row in changed if row.day < last]
    was_last = None if record is None or record.last == last else state.latest
    if was_last is not None and not any(row.day == was_last.day for row in closed):
        closed.insert(0, was_last)  # it is one of the days before the last now
    if best is not None:
        now = next((row for row in closed if row.day == best[1]), None)
        if now is not None and (now.dhw_e4_days is None or now.dhw_e4_days < best[0]):
            best = await fetch_highest(store, state.reef_id, before=last, apart_from=[row.day for row in closed])
    candidates = [each for each in (best, highest(closed)) if each is not None]
    state.highest_before = max(candidates, key=lambda each: (each[0], -each[1]), default=None)


async def _rescore_all(store: Store, state: ScoredReef, touched: Mapping[int, NewValue]) -> Rescored:
    """Score every day by a changed yardstick: by far the most expensive operation here, and rare."""
    state.yardstick = state.wanted_yardstick()
    record = state.record
    if record is None:
        return Rescored(changed=(), writes=())
    now = record_after(record, [record.first, record.last, *touched])
    stretch = await _stretch(store, state, now)
    for day, value in touched.items():
        stretch.put(day, value)
    rows = _score_whole(state, stretch, now)
    await let_others_run(len(rows))
    return Rescored(changed=rows, writes=[upsert_score(state.reef_id, row) for row in rows])


async def _shorter_record(store: Store, state: ScoredReef, counted: Counted, touched: Collection[int]) -> Days | None:
    """Return the days of the record, if a withdrawn reading was the only one of its first or last day (``_NO_DAYS``: if it was
    the only one of all); None if the record only grows, as it does but for that."""
    if state.as_of_us is None:
        return _NO_DAYS
    offset_us, record = state.offset_us, state.record
    heard_us = [at_us for (_, at_us), reading in counted.kept.items() if not reading.withdrawn]
    heard = [split_solar(at_us, offset_us)[0] for at_us in heard_us]
    first = min(heard if record is None else [*heard, record.first])
    if min(split_solar(at_us, offset_us)[0] for _, at_us in counted.withdrawn) <= first:
        for buoy_id in state.buoys:
            at_us = await oldest_us(store, state.reef_id, buoy_id, from_us=NEVER_US, apart_from=counted.kept)
            if at_us is not None:
                heard_us.append(at_us)
        first = split_solar(min(heard_us), offset_us)[0]
    now = Days(first, split_solar(state.as_of_us, offset_us)[0])
    grown = [*touched] if record is None else [*touched, *record]
    return None if now == Days(min(grown), max(grown)) else now


async def _rescore_shorter(
    store: Store, state: ScoredReef, totals: Mapping[int, DayTotals], touched: Mapping[int, NewValue], now: Days
) -> Rescored:
    """Score a record that lost days at an end. It reads all of it, and is very rare: a copy of a report came before its
    original, and midnight lay between them."""
    if now == _NO_DAYS:
        return _forget_all(state)
    record = state.record
    before = {} if record is None else {row.day: row for row in await fetch_scores(store, state.reef_id, record)}
    known = {} if record is None else await fetch_totals_between(store, state.reef_id, record)
    values = {day: value_of(each) for day, each in known.items()} | dict(touched)
    state.yardstick = state.wanted_yardstick()
    rows = _score_whole(state, _stretch_of(values, now), now)
    changed = [row for row in rows if row != before.get(row.day)]
    kept = range(now.last - TOTALS_KEPT_DAYS + 1, now.last + 1)
    state.totals = await fetch_totals(store, state.reef_id, kept) | {day: totals[day] for day in kept if day in totals}
    writes = [delete_scores_outside(state.reef_id, now), *(upsert_score(state.reef_id, row) for row in changed)]
    return Rescored(changed=changed, writes=writes)


def _forget_all(state: ScoredReef) -> Rescored:
    """Reset the reef to one without readings."""
    state.record = state.latest = state.highest_before = None
    state.recent, state.totals = RecentDays(0), {}
    return Rescored(changed=(), writes=delete_all(state.reef_id))


def _stretch_of(values: Mapping[int, NewValue], days: Days) -> Stretch:
    each = [values.get(day, NONE) for day in range(days.first, days.last + 1)]
    return Stretch(
        base=days.first,
        sst_e4=[value.sst_e4 for value in each],
        readings=[value.readings for value in each],
        suspect_e4=[value.suspect_e4 for value in each],
    )


def _score_whole(state: ScoredReef, stretch: Stretch, now: Days) -> list[DayHeat]:
    rows = score_span(stretch, first=now.first, last=now.last, first_day=now.first, **state.yardstick._asdict())
    base = max(now.first, now.last - RECENT_DAYS_LIMIT + 1)
    state.recent = RecentDays(base, stretch.values_from(base))
    state.record, state.latest, state.highest_before = now, rows[-1], highest(rows[:-1])
    return rows


async def _recount_all(store: Store, state: ScoredReef, counted: Counted) -> Rescored:
    """Count every reading again: the reef's longitude was corrected, so that its solar date may be another, or the state is one
    of an older version, which counted less."""
    state.offset_us, state.is_outdated = state.wanted_offset_us(), False
    state.yardstick = state.wanted_yardstick()
    totals: dict[int, DayTotals] = {}

    def count(at_us: int, reading: KeptReading) -> None:
        day, night = split_solar(at_us, state.offset_us)
        add_to_totals(totals.setdefault(day, empty_totals()), reading.items, night=night, times=1)

    async for (buoy_id, at_us), reading in all_readings(store, state.reef_id):
        if (buoy_id, at_us) not in counted.kept:
            count(at_us, reading)
    for (_, at_us), reading in counted.kept.items():
        if not reading.withdrawn:
            count(at_us, reading)
    if not totals:
        return _forget_all(state)
    now = Days(min(totals), max(totals))
    values = {day: value_of(totals[day]) for day in totals}
    rows = _score_whole(state, _stretch_of(values, now), now)
    state.totals = {day: totals[day] for day in totals if day > now.last - TOTALS_KEPT_DAYS}
    writes = [
        *delete_all(state.reef_id),
        *(put_totals(state.reef_id, day, totals[day]) for day in sorted(totals)),
        *(upsert_score(state.reef_id, row) for row in rows),
    ]
    return Rescored(changed=rows, writes=writes)
