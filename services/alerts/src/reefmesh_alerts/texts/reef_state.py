"""The state of a reef in one line of a digest, as it stands at the time of the digest."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from reefmesh.contracts.scores import Level, is_still_known
from reefmesh.figures import decisive
from reefmesh_alerts.domain.alert_text import age, plain
from reefmesh_alerts.texts.headline import words
from reefmesh_alerts.texts.measured import DHW_LIMITS

UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReefState:
    """``level_on`` is the newest day with a published level; ``dhw_celsius_weeks`` and ``status`` are of the newest day on
    record. ``verdict`` holds until ``verdict_until``; ``silent`` counts the reef's silent buoys."""

    reef_id: str
    name: str
    as_of: datetime | None
    level: int | None
    level_on: date | None
    dhw_celsius_weeks: float | None
    status: str | None
    verdict: str
    verdict_until: datetime | None
    silent: int = 0

    def heat(self, now: datetime) -> str:
        """Return today's published level, or what was last known of it."""
        if self.level is None or self.level_on is None or not 0 <= self.level < len(Level):
            return UNKNOWN
        title = Level(self.level).title
        if not is_still_known(self.level_on, now):
            return f"{UNKNOWN} (last {title}, {self.level_on.isoformat()})"
        return title

    def is_heat_known(self, now: datetime) -> bool:
        return self.level is not None and self.level_on is not None and is_still_known(self.level_on, now)

    def dhw(self, now: datetime) -> str:
        if self.dhw_celsius_weeks is None or not self.is_heat_known(now):
            return UNKNOWN
        return decisive(self.dhw_celsius_weeks, DHW_LIMITS, decimals=1)

    def diving(self, now: datetime) -> str:
        is_over = self.verdict_until is None or self.verdict_until < now
        return UNKNOWN if is_over else words(plain(self.verdict))

    def age(self, now: datetime) -> str:
        return UNKNOWN if self.as_of is None else age(max(0.0, (now - self.as_of).total_seconds()))


COLUMNS: Final = ("Reef", "Heat stress", "DHW", "Status", "Diving", "Data age")


def cells(state: ReefState, now: datetime) -> tuple[str, ...]:
    """Return the values of ``COLUMNS``."""
    status = (state.status or UNKNOWN) if state.is_heat_known(now) else UNKNOWN
    buoys = "buoy" if state.silent == 1 else "buoys"
    silent = "" if not state.silent else f", {state.silent} {buoys} silent"
    return (
        plain(state.name) or state.reef_id,
        state.heat(now),
        state.dhw(now),
        words(plain(status)),
        state.diving(now),
        state.age(now) + silent,
    )
