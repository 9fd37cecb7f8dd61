"""The last days of each reef's heat stress, for charts and digests: written in the unit of work of the score that sets them.

What the newest day is like changes with most scores of a night, and the reef's state holds it anyway. So its row is written
when the day begins and when the next one does, and whoever reads days gives the state's row (``ReefWatch.newest_day``).
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from reefmesh.contracts.scores import HeatStress
from reefmesh.store.port import Store, Write
from reefmesh_alerts.domain.day_row import DayRow, row_of
from reefmesh_alerts.domain.heat import HeatWatch
from reefmesh_alerts.domain.reef_watch import ReefWatch
from reefmesh_alerts.texts.heat_day import HeatDayRow

DAYS_KEPT: Final = 100
"""Before a reef's newest day: what a chart shows, and a few for days that are withdrawn."""
DAYS_SHOWN: Final = 90

# A parked score that is handled after later ones sets only the days that none of these has set.
UPSERT_DAY: Final = (
    "INSERT INTO heat_days (reef_id, day, seq, sst_celsius, hotspot_celsius, dhw_celsius_weeks, level_7day_max, status,"
    " day_status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (reef_id, day) DO UPDATE SET seq = excluded.seq,"
    " sst_celsius = excluded.sst_celsius, hotspot_celsius = excluded.hotspot_celsius,"
    " dhw_celsius_weeks = excluded.dhw_celsius_weeks, level_7day_max = excluded.level_7day_max, status = excluded.status,"
    " day_status = excluded.day_status WHERE excluded.seq >= heat_days.seq"
)
DELETE_OTHERS: Final = "DELETE FROM heat_days WHERE reef_id = ? AND (day < ? OR day > ?)"
SELECT_DAYS: Final = (
    "SELECT day, sst_celsius, hotspot_celsius, dhw_celsius_weeks, level_7day_max, status, day_status FROM heat_days"
    " WHERE reef_id = ? ORDER BY day DESC LIMIT ?"
)


def keep_days(reef_id: str, heat: HeatStress, before: ReefWatch, *, seq: int) -> list[Write]:
    """Return the rows to write for the score ``seq`` of a reef; ``before`` is the reef before it.

    The newest day's row gets what the last score said of it, and that score's number, once a later day begins; until then a
    score that is handled late does not set it. Once a day, what is too old goes, and so does what is later than the newest day:
    its readings were withdrawn.
    """
    latest, kept = heat.latest, before.newest_day
    if latest is None:
        return []
    newest = seq > before.seq
    known_on = latest.date if newest else None if kept is None else kept.date
    oldest = latest.date - timedelta(days=DAYS_KEPT)
    days = [row_of(day) for day in heat.changed if oldest <= day.date <= latest.date and day.date != known_on]
    writes = [_write(reef_id, day, seq) for day in days]
    if not newest:
        return writes
    if kept is None or kept.date != latest.date:
        if kept is not None and kept.date < latest.date:
            writes.append(_write(reef_id, kept, before.seq))
        writes.append(_write(reef_id, row_of(latest), seq))
    if latest.date != _newest_day(before.heat):
        writes.append(Write(DELETE_OTHERS, (reef_id, oldest.isoformat(), latest.date.isoformat())))
    return writes


async def read_days(store: Store, reef_id: str, newest: DayRow | None, *, limit: int = DAYS_SHOWN) -> Sequence[HeatDayRow]:
    """Return the last days of a reef, oldest first; ``newest`` is the row that its state holds."""
    rows = [DayRow(date.fromisoformat(day), *values) for day, *values in await store.fetch(SELECT_DAYS, (reef_id, limit))]
    if newest is not None:
        rows = [newest, *(row for row in rows if row.date != newest.date)]
        rows.sort(key=lambda row: row.date, reverse=True)
    return [HeatDayRow(**row._asdict()) for row in reversed(rows[:limit])]


def _newest_day(watch: HeatWatch) -> date | None:
    known = [day for day in (watch.judged_on, None if watch.waiting is None else watch.waiting.date) if day is not None]
    return max(known, default=None)


def _write(reef_id: str, day: DayRow, seq: int) -> Write:
    return Write(UPSERT_DAY, (reef_id, day.date.isoformat(), seq, *day[1:]))
