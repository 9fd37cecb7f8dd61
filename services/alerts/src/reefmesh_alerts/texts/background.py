"""What is known of the sites of a notice beside its alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reefmesh.contracts.alerts import Alert
from reefmesh_alerts.texts.heat_day import HeatDayRow
from reefmesh_alerts.texts.links import filled
from reefmesh_alerts.texts.reef_state import ReefState
from reefmesh_alerts.texts.site_clock import SiteClock
from reefmesh_alerts.texts.unsubscribing import Unsubscribing


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatChart:
    """One picture twice, as PNG: for light pages and for dark ones."""

    light: bytes
    dark: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """``states`` are the reefs of a digest at ``at``, ``unlisted`` how many more there are; ``heat_days`` are the days of the
    reef of a heat alert, oldest first, and ``chart`` shows them. ``link`` is a template."""

    at: datetime | None = None
    clocks: Mapping[str, SiteClock] = field(default_factory=dict)
    states: Sequence[ReefState] = ()
    unlisted: int = 0
    heat_days: Sequence[HeatDayRow] = ()
    chart: HeatChart | None = None
    link: str | None = None
    unsubscribing: Unsubscribing = field(default_factory=Unsubscribing)

    def clock_of(self, alert: Alert) -> SiteClock:
        return self.clocks.get(alert.reef_id) or SiteClock()

    def link_of(self, reef_id: str) -> str | None:
        return None if self.link is None else filled(self.link, reef_id=reef_id)
