"""The last days of each reef's heat stress, for charts and digests: written in the unit of work of the score that sets them."""

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


def keep_days(reef_id: str, heat: HeatStress, before: ReefWatch, watch: ReefWatch, *, seq: int) -> list[Write]:
    """Return the rows to write for the score ``seq``, by which the reef ``before`` became ``watch``.

    Every score says what its newest day is like, and most leave that as it is: then there is nothing to write. The row gets the
    number of the last score that said so once a later day begins; until then a score that is handled late does not set it. Once
    a day, what is too old goes, and so does what is later than the newest day: its readings were withdrawn.
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
    row = watch.newest_day
    if row is not None and row != kept:
        writes.append(_write(reef_id, row, seq))
        if kept is not None and kept.date < row.date:
            writes.insert(0, _write(reef_id, kept, before.seq))
    if latest.date != _newest_day(before.heat):
        writes.append(Write(DELETE_OTHERS, (reef_id, oldest.isoformat(), latest.date.isoformat())))
    return writes


async def read_days(store: Store, reef_id: str, *, limit: int = DAYS_SHOWN) -> Sequence[HeatDayRow]:
    """Return the last days of a reef, oldest first."""
    return [
        HeatDayRow(
            date=date.fromisoformat(day),
            sst_celsius=sst,
            hotspot_celsius=hotspot,
            dhw_celsius_weeks=dhw,
            level_7day_max=level,
            status=status,
            day_status=day_status,
        )
        for day, sst, hotspot, dhw, level, status, day_status in reversed(await store.fetch(SELECT_DAYS, (reef_id, limit)))
    ]


def _newest_day(watch: HeatWatch) -> date | None:
    known = [day for day in (watch.judged_on, None if watch.waiting is None else watch.waiting.date) if day is not None]
    return max(known, default=None)


def _write(reef_id: str, day: DayRow, seq: int) -> Write:
    return Write(UPSERT_DAY, (reef_id, day.date.isoformat(), seq, *day[1:]))
