"""Finds out what a notice says beside its alerts: sites, the states of a digest, the chart of a heat alert."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog
from pydantic import ValidationError

from reefmesh.contracts.alerts import Alert
from reefmesh.store.port import Store
from reefmesh_alerts.charts.studio import Studio
from reefmesh_alerts.heat_days import read_days
from reefmesh_alerts.recipients.entries import RecipientEntry
from reefmesh_alerts.reef_states import read_heat_days, read_state, read_time_zone, watched_reefs
from reefmesh_alerts.targets.entries import ConsoleEntry, EmailEntry, TargetEntry, WebhookEntry
from reefmesh_alerts.texts.background import Background
from reefmesh_alerts.texts.heat_day import HeatDayRow
from reefmesh_alerts.texts.reef_state import ReefState
from reefmesh_alerts.texts.site_clock import SiteClock
from reefmesh_alerts.texts.unsubscribing import Unsubscribing

log = structlog.get_logger()

STATES_LIMIT: Final = 200
"""Reefs in the table of a digest; more are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The operator's addresses; see ``AlertsSettings``."""

    link: str | None = None
    unsubscribing: Unsubscribing = field(default_factory=Unsubscribing)


class Surveyor:
    """Reads the service's own tables; the lanes of all targets share one."""

    def __init__(self, store: Store, addresses: Addresses | None = None, studio: Studio | None = None) -> None:
        self._store = store
        self._addresses = addresses or Addresses()
        self._studio = studio or Studio()

    async def background(
        self, alerts: Sequence[Alert], recipient: RecipientEntry, entry: TargetEntry, *, digest: bool, now: datetime
    ) -> Background:
        """Return what a notice over this target says beside its alerts.

        Raises:
            StoreUnavailable: try again later.
        """
        states: Sequence[ReefState] = ()
        days: Sequence[HeatDayRow] = ()
        unlisted, chart = 0, None
        if digest and not isinstance(entry, ConsoleEntry | WebhookEntry):
            reefs = await watched_reefs(self._store, recipient.reefs)
            states, unlisted = await self._states(reefs[:STATES_LIMIT]), len(reefs[STATES_LIMIT:])
        elif len(alerts) == 1 and alerts[0].kind == "heat" and isinstance(entry, EmailEntry):
            days = await self._heat_days(alerts[0].reef_id)
            chart = await self._studio.chart_of(days)
        return Background(
            clocks=await self._clocks(list(dict.fromkeys(alert.reef_id for alert in alerts))[:STATES_LIMIT]),
            at=now if digest else None,
            states=states,
            unlisted=unlisted,
            heat_days=days,
            chart=chart,
            link=self._addresses.link,
            unsubscribing=self._addresses.unsubscribing,
        )

    def close(self) -> None:
        self._studio.close()

    async def _heat_days(self, reef_id: str) -> Sequence[HeatDayRow]:
        try:
            return await read_heat_days(self._store, reef_id)
        except ValidationError as error:
            log.warning("newest day of a reef left out of a chart", reef_id=reef_id, error=str(error))
            return await read_days(self._store, reef_id, None)

    async def _clocks(self, reefs: Sequence[str]) -> dict[str, SiteClock]:
        clocks = {}
        for reef_id in reefs:
            try:
                clocks[reef_id] = SiteClock(time_zone=await read_time_zone(self._store, reef_id))
            except ValidationError as error:
                log.warning("time zone of a reef left out of a notice", reef_id=reef_id, error=str(error))
        return clocks

    async def _states(self, reefs: Sequence[str]) -> list[ReefState]:
        states = []
        for reef_id in reefs:
            try:
                state = await read_state(self._store, reef_id)
            except ValidationError as error:  # a newer version wrote it; the others are told all the same
                log.warning("state of a reef left out of a digest", reef_id=reef_id, error=str(error))
                continue
            if state is not None:
                states.append(state)
        return sorted(states, key=_worst_first)


def _worst_first(state: ReefState) -> tuple[int, str]:
    return (-(state.level or 0), state.name or state.reef_id)
