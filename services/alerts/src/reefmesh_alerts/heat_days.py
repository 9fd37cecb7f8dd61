"""The last days of each reef's heat stress, for charts and digests: written in the unit of work of the score that sets them."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from reefmesh.contracts.scores import DayScore, HeatStress
from reefmesh.store.port import Store, Write
from reefmesh_alerts.domain.heat import HeatWatch
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


def keep_days(reef_id: str, heat: HeatStress, watch: HeatWatch, *, seq: int, newest: bool) -> list[Write]:
    """Return the rows to write for a score: nothing, unless it sets or withdraws days.

    ``watch`` is the reef before the score; ``newest`` is False when a later score was handled before. Once a day, what is too
    old goes, and so does what is later than the newest day: its readings were withdrawn.
    """
    latest = heat.latest
    if latest is None:
        return []
    oldest = latest.date - timedelta(days=DAYS_KEPT)
    writes = [_row(reef_id, day, seq) for day in heat.changed if oldest <= day.date <= latest.date]
    if newest and latest.date != _newest_day(watch):
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


def _row(reef_id: str, day: DayScore, seq: int) -> Write:
    return Write(
        UPSERT_DAY,
        (
            reef_id,
            day.date.isoformat(),
            seq,
            day.sst_celsius,
            day.hotspot_celsius,
            day.dhw_celsius_weeks,
            None if day.level_7day_max is None else int(day.level_7day_max),
            day.status.value,
            day.day_status,
        ),
    )
