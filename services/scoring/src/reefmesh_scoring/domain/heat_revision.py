"""Finds the days to score again when days of a record get new values, and returns those whose score changed."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from reefmesh_scoring.domain.heat_span import (
    NEED_AFTER_DAYS,
    NEED_BEFORE_DAYS,
    NO_VALUE,
    REACH_AHEAD_DAYS,
    NewValue,
    Stretch,
    affected,
    score_span,
)
from reefmesh_scoring.domain.heat_stress import DHW_DAYS, FILL_DAYS_LIMIT, DayHeat


class Days(NamedTuple):
    """A first and a last day, both included."""

    first: int
    last: int


class Yardstick(NamedTuple):
    """The reference of a record: MMM, and the accuracy that makes the band."""

    mmm_e4: int | None
    accuracy_e4: int


def record_after(record: Days | None, touched: Collection[int]) -> Days:
    """Return the record's days once ``touched`` (not empty) are on it; a record only grows."""
    first, last = min(touched), max(touched)
    return Days(first, last) if record is None else Days(min(first, record.first), max(last, record.last))


def spans_to_revise(record: Days | None, touched: Collection[int]) -> list[Days]:
    """Return the days whose score may change when ``touched`` (not empty) change, in order, as spans that do not overlap.

    ``record`` holds the days on record before, None for none.
    """
    now = record_after(record, touched)
    if record is None:
        return [now]
    spans = [Days(day - FILL_DAYS_LIMIT, day + REACH_AHEAD_DAYS) for day in touched]
    if now.last > record.last:
        spans.append(Days(record.last + 1, now.last))
    if now.first < record.first:
        # An earlier beginning makes the days after the old one older, and they are no longer warming up.
        spans.append(Days(now.first, record.first + DHW_DAYS - 1))
    merged: list[Days] = []
    for first, last in sorted(spans):
        clipped = Days(max(first, now.first), min(last, now.last))
        # Spans that would read the same days of the record are scored as one.
        if merged and clipped.first - NEED_BEFORE_DAYS <= merged[-1].last + NEED_AFTER_DAYS:
            merged[-1] = Days(merged[-1].first, max(merged[-1].last, clipped.last))
        else:
            merged.append(clipped)
    return merged


def days_needed(span: Days, record: Days) -> Days:
    """Return the days of the record that are needed to score a span of it."""
    return Days(max(record.first, span.first - NEED_BEFORE_DAYS), min(record.last, span.last + NEED_AFTER_DAYS))


def revise(
    before: Stretch, span: Days, touched: Mapping[int, NewValue], *, record: Days | None, now: Days, yardstick: Yardstick
) -> list[DayHeat]:
    """Set new values in a stretch (in place) and return the new or changed rows of ``span``, oldest first.

    ``before`` holds the days of ``days_needed(span, now)`` as they were, with ``NO_VALUE`` where nothing was on record;
    ``record`` and ``now`` are the record's days before and after.
    """
    inside = {day: value for day, value in touched.items() if span.first <= day <= span.last}
    first, last = _narrowed(before, span, inside, record=record, now=now)
    was: dict[int, DayHeat] = {}
    if record is not None and not all(day in inside or day > record.last for day in range(first, last + 1)):
        old = Days(max(first, record.first), min(last, record.last))
        if old.first <= old.last:
            rows = score_span(before, first=old.first, last=old.last, first_day=record.first, **yardstick._asdict())
            was = {row.day: row for row in rows}
    for day, value in inside.items():
        before.put(day, value)
    rows = score_span(before, first=first, last=last, first_day=now.first, **yardstick._asdict())
    return [row for row in rows if row.day in inside or row != was.get(row.day)]


def _narrowed(before: Stretch, span: Days, inside: Mapping[int, NewValue], *, record: Days | None, now: Days) -> Days:
    """Return the part of a span that can really change, given the record around it."""
    if record is None or now.first < record.first:
        return span
    first, last = span.last + 1, span.first - 1
    if now.last > record.last and span.last == now.last:
        first, last = max(span.first, record.last + 1), now.last
    for day, value in inside.items():
        if value.counts_as(before.value_of(day)) or (value.sst_e4 == NO_VALUE and day > record.last):
            low = high = day
        else:
            low, high = affected(before, day, first_day=now.first, last_day=now.last)
        first, last = min(first, low), max(last, high)
    return Days(first, last)
