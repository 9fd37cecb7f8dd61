"""The first and the last instant of a table, from the ends of its indexes.

The maximum over a table of many reefs would read all of it. Each reef's own is one step in its index.
"""

from collections.abc import Sequence
from typing import Final

from reefmesh_dashboard.queries.reading import Reader

_MONTHS: Final = "SELECT from_us, before_us FROM months ORDER BY from_us"
_READINGS_OF_MONTH: Final = (
    "SELECT MIN(low), MAX(high) FROM (SELECT"
    " (SELECT MIN(observed_us) FROM readings WHERE readings.reef_id = reefs.reef_id AND observed_us >= ? AND observed_us < ?"
    " AND withdrawn = 0) AS low,"
    " (SELECT MAX(observed_us) FROM readings WHERE readings.reef_id = reefs.reef_id AND observed_us >= ? AND observed_us < ?"
    " AND withdrawn = 0) AS high FROM reefs) AS ends"
)
_HEAT: Final = (
    "SELECT MIN(low), MAX(high) FROM (SELECT"
    " (SELECT MIN(day) FROM heat_days WHERE heat_days.reef_id = reefs.reef_id) AS low,"
    " (SELECT MAX(day) FROM heat_days WHERE heat_days.reef_id = reefs.reef_id) AS high FROM reefs) AS ends"
)
_ALERTS: Final = "SELECT MIN(occurred_us), MAX(occurred_us) FROM alerts"

Ends = tuple[int, int] | None


async def readings_ends(reader: Reader) -> Ends:
    """Return the first and the last ``observed_us``; None: there is no reading."""
    months = await reader.fetch(_MONTHS, ())
    first = await _first_known(reader, months)
    if first is None:
        return None
    last = await _first_known(reader, months[::-1])
    return None if last is None else (first[0], last[1])


async def _first_known(reader: Reader, months: Sequence[Sequence[int]]) -> Ends:
    """Return the ends of the first of these months that has readings: one that was noted may have none that counts."""
    for from_us, before_us in months:
        ((low, high),) = await reader.fetch(_READINGS_OF_MONTH, (from_us, before_us, from_us, before_us))
        if low is not None:
            return int(low), int(high)
    return None


async def heat_ends(reader: Reader) -> Ends:
    """Return the first and the last solar date, in days since 1970."""
    return await _ends(reader, _HEAT)


async def alerts_ends(reader: Reader) -> Ends:
    """Return the first and the last ``occurred_us``."""
    return await _ends(reader, _ALERTS)


async def _ends(reader: Reader, sql: str) -> Ends:
    ((low, high),) = await reader.fetch(sql, ())
    return None if low is None else (int(low), int(high))
