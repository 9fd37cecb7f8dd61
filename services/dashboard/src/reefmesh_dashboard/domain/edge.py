"""The newest hour and day of each buoy of a reef, so that the next reading of a live buoy needs no look at the tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reefmesh.contracts.readings import Reading
from reefmesh_dashboard.domain.aggregate import ByQuantity, of_parts, of_readings
from reefmesh_dashboard.domain.spans import day_of, hour_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Nothing of the buoy is kept after ``newest_us``; ``hour`` and ``day`` are the sums of that instant's hour and day."""

    newest_us: int
    hour: ByQuantity
    day: ByQuantity


@dataclass(slots=True, kw_only=True)
class Edges:
    """The state of a reef in memory: the edge of each buoy that is known. It is never stored: after a restart, and when another
    process wrote the reef, it begins empty."""

    of_buoy: dict[str, Edge] = field(default_factory=dict)


def beyond(edge: Edge | None, newer: Mapping[int, Reading]) -> tuple[dict[int, ByQuantity], dict[int, ByQuantity]] | None:
    """Return the hours and days that readings change, all of which lie after the edge; None: they do not, or there is none.

    They are new then, and sums can be added exactly, so what is kept in the tables need not be read.
    """
    if edge is None or min(newer) <= edge.newest_us:
        return None
    by_hour: dict[int, list[Reading]] = {}
    for at, reading in newer.items():
        by_hour.setdefault(hour_of(at), []).append(reading)
    added = {hour: of_readings(readings) for hour, readings in by_hour.items()}
    hours = dict(added)
    if (hour := hour_of(edge.newest_us)) in hours:
        hours[hour] = of_parts([edge.hour, hours[hour]])
    days = {day: of_parts(sums for at, sums in added.items() if day_of(at) == day) for day in set(map(day_of, added))}
    if (day := day_of(edge.newest_us)) in days:
        days[day] = of_parts([edge.day, days[day]])
    return hours, days


def moved(edge: Edge | None, newest_us: int, hours: Mapping[int, ByQuantity], days: Mapping[int, ByQuantity]) -> Edge | None:
    """Return the edge after these hours and days were written, of which ``newest_us`` is the newest reading. Without an edge
    there is none afterwards: something newer may be kept."""
    if edge is None:
        return None
    newest_us = max(newest_us, edge.newest_us)
    return Edge(
        newest_us=newest_us,
        hour=hours.get(hour_of(newest_us), edge.hour),
        day=days.get(day_of(newest_us), edge.day),
    )
