"""The state of every reef that a recipient watches, for digests: read from the reefs' states and their last days of heat."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from pydantic import TypeAdapter

from reefmesh.store.port import Store
from reefmesh_alerts.domain.reef_watch import ReefWatch
from reefmesh_alerts.domain.transition import instant_of
from reefmesh_alerts.heat_days import DAYS_SHOWN, read_days
from reefmesh_alerts.texts.heat_day import HeatDayRow
from reefmesh_alerts.texts.reef_state import ReefState

REEFS_LIMIT: Final = 10_000
STATE: Final = TypeAdapter(ReefWatch)

# Every reef that was ever heard has a deadline, an episode or a day of heat.
SELECT_REEFS: Final = (
    "SELECT reef_id FROM deadlines UNION SELECT reef_id FROM episodes UNION SELECT reef_id FROM heat_days"
    " ORDER BY reef_id LIMIT ?"
)


async def watched_reefs(store: Store, patterns: Sequence[str]) -> list[str]:
    """Return the known reefs that match one of the patterns, by id."""
    known = [str(reef_id) for (reef_id,) in await store.fetch(SELECT_REEFS, (REEFS_LIMIT,))]
    return [reef_id for reef_id in known if any(fnmatchcase(reef_id, pattern) for pattern in patterns)]


async def read_time_zone(store: Store, reef_id: str) -> str | None:
    """Return the time zone that the register states for a reef. Raises ValidationError: a newer version wrote its state."""
    row = await store.load(reef_id)
    return None if row.state is None else STATE.validate_json(row.state).time_zone


async def read_heat_days(store: Store, reef_id: str, *, limit: int = DAYS_SHOWN) -> Sequence[HeatDayRow]:
    """Return the last days of a reef's heat stress, oldest first. Raises ValidationError: a newer version wrote its state."""
    row = await store.load(reef_id)
    newest = None if row.state is None else STATE.validate_json(row.state).newest_day
    return await read_days(store, reef_id, newest, limit=limit)


async def read_state(store: Store, reef_id: str) -> ReefState | None:
    """Return the state of one reef; None if there is none, or none that this version can read."""
    row = await store.load(reef_id)
    if row.state is None:
        return None
    watch = STATE.validate_json(row.state)
    days = await read_days(store, reef_id, watch.newest_day, limit=1)
    return ReefState(
        reef_id=reef_id,
        name=watch.reef_name,
        as_of=watch.as_of,
        level=None if watch.heat.known_on is None else watch.heat.level,
        level_on=watch.heat.known_on,
        dhw_celsius_weeks=days[-1].dhw_celsius_weeks if days else None,
        status=days[-1].status if days else None,
        verdict=watch.dive.verdict,
        verdict_until=None if watch.dive.valid_until_us is None else instant_of(watch.dive.valid_until_us),
        silent=sum(buoy.silent for buoy in watch.buoys.values()),
    )
