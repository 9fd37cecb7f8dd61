"""The newest hour and day of each buoy of a reef, and its newest readings, so that a live message needs no look at the tables.

A live message has a new reading, and the one before it in a new revision: the spike test of that one has ended, which seldom
changes a flag.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from reefmesh.contracts.readings import Reading
from reefmesh_dashboard.domain.aggregate import Counted, Sums, add, counted
from reefmesh_dashboard.domain.spans import day_of, hour_of

RECENT_READINGS: Final = 4
"""Newest readings of a buoy that are remembered."""


class RecentReading(NamedTuple):
    """A reading as the tables have it."""

    revision: int
    counted: Counted


@dataclass(slots=True, kw_only=True)
class Edge:
    """Nothing of the buoy is kept after ``newest_us``; ``hour`` and ``day`` are the sums of that instant's hour and day.
    ``recent`` has the newest readings by ``observed_us``, or some of them."""

    newest_us: int
    hour: Sums
    day: Sums
    recent: dict[int, RecentReading]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What readings change: themselves (``taken``, by ``observed_us``), the sums of hours and of days."""

    taken: Mapping[int, Reading]
    hours: Mapping[int, Sums]
    days: Mapping[int, Sums]


def step_beyond(edge: Edge, newest: Mapping[int, Reading]) -> Step | None:
    """Return what readings of the edge's buoy change, and move the edge; None: the tables have to be asked, nothing was moved.

    They need not be if each reading is newer than the edge, so that it can be added, or revises a remembered one and counts for
    the same.
    """
    taken: dict[int, tuple[Reading, Counted]] = {}
    for at, reading in newest.items():
        if at > edge.newest_us:
            taken[at] = reading, counted(reading)
            continue
        was = edge.recent.get(at)
        if was is None:
            return None
        if reading.revision > was.revision:
            if was.counted != (counts := counted(reading)):
                return None
            taken[at] = reading, counts
    hours: dict[int, Sums] = {}
    days: dict[int, Sums] = {}
    for at in sorted(taken):
        reading, counts = taken[at]
        if at > edge.newest_us:
            hour, day = hour_of(at), day_of(at)
            if hour != hour_of(edge.newest_us):
                edge.hour = {}
            if day != day_of(edge.newest_us):
                edge.day = {}
            add(edge.hour, counts)
            add(edge.day, counts)
            hours[hour], days[day] = edge.hour, edge.day
            edge.newest_us = at
        _remember(edge, at, RecentReading(reading.revision, counts))
    return Step(taken={at: reading for at, (reading, _) in taken.items()}, hours=hours, days=days)


def move(edge: Edge, step: Step) -> None:
    """Move an edge by a step that was made from the tables."""
    edge.newest_us = max(edge.newest_us, *step.taken)
    edge.hour = step.hours.get(hour_of(edge.newest_us), edge.hour)
    edge.day = step.days.get(day_of(edge.newest_us), edge.day)
    for at, reading in step.taken.items():
        _remember(edge, at, RecentReading(reading.revision, counted(reading)))


def _remember(edge: Edge, at: int, reading: RecentReading) -> None:
    edge.recent[at] = reading
    if len(edge.recent) > RECENT_READINGS:
        del edge.recent[min(edge.recent)]
