"""A reef's readings, days and alerts, a page at a time: each page begins after the key of the last row before.

No cursor of the database stays open between pages, so a slow listener holds no connection (ADR 0043).
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.scores import DayScore
from reefmesh_dashboard.queries.alerts import AlertPlace
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.queries.reefs import ListedReef, reefs_by_id
from reefmesh_dashboard.queries.series import BEFORE_ALL, Asked, ShownReading, heat_of, readings_of
from reefmesh_dashboard.taken_score import day_number

PAGE_ROWS: Final = 1000
PAGE_REEFS: Final = 200
"""A reef's score is long."""
_BEFORE_ALERTS: Final = AlertPlace(-(1 << 62), "")
_SELECT_ALERTS: Final = (
    "SELECT occurred_us, alert_id, body_json FROM alerts WHERE reef_id = ? AND occurred_us >= ? AND occurred_us < ?"
    " AND (occurred_us, alert_id) > (?, ?) ORDER BY occurred_us, alert_id LIMIT ?"
)


async def readings_pages(reader: Reader, reef_id: str, first_us: int, end_us: int) -> AsyncIterator[Sequence[ShownReading]]:
    after = BEFORE_ALL
    while True:
        page = await readings_of(reader, Asked(reef_id=reef_id, first=first_us, end=end_us, after=after, limit=PAGE_ROWS))
        if page:
            yield page
        if len(page) < PAGE_ROWS:
            return
        after = page[-1].place


async def heat_pages(reader: Reader, reef_id: str, first_day: int, end_day: int) -> AsyncIterator[Sequence[DayScore]]:
    """Asked in days since 1970-01-01."""
    first = first_day
    while True:
        page = await heat_of(reader, reef_id, first=first, end=end_day, limit=PAGE_ROWS)
        if page:
            yield page
        if len(page) < PAGE_ROWS:
            return
        first = day_number(page[-1].date) + 1


async def alerts_pages(reader: Reader, reef_id: str, first_us: int, end_us: int) -> AsyncIterator[Sequence[Alert]]:
    """Oldest first."""
    after = _BEFORE_ALERTS
    while True:
        rows = await reader.fetch(_SELECT_ALERTS, (reef_id, first_us, end_us, *after, PAGE_ROWS))
        if rows:
            yield [Alert.model_validate_json(body) for _, _, body in rows]
        if len(rows) < PAGE_ROWS:
            return
        after = AlertPlace(rows[-1][0], rows[-1][1])


async def scored_pages(reader: Reader) -> AsyncIterator[Sequence[ListedReef]]:
    """All reefs by id, with their scores."""
    after = ""
    while True:
        page = await reefs_by_id(reader, after=after, limit=PAGE_REEFS)
        if page:
            yield page
        if len(page) < PAGE_REEFS:
            return
        after = page[-1].reef_id
