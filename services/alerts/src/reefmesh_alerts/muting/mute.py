"""A mute: for a while, nobody gets messages about a reef, or about one kind of alert at it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reefmesh.contracts.alerts import Alert
from reefmesh_alerts.domain.severity import severity_of

HEAT_BREAKS_THROUGH: Final = severity_of("heat", "Alert Level 1")
"""Heat alerts of this severity and above are held back only by a mute that names the kind ``heat``: whoever mutes a whole reef
because a sensor flaps does not mean the bleaching of its corals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """``kind`` is empty for every kind. ``until`` is when it was to end, ``ends_at`` when it ends or was lifted."""

    mute_id: str
    reef_id: str
    kind: str
    begins_at: datetime
    until: datetime
    ends_at: datetime
    reason: str
    made_by: str
    lifted_by: str = ""

    @property
    def what(self) -> str:
        """What it holds back, for people."""
        kinds = self.kind.replace("_", " ") or "every kind but heat from Alert Level 1"
        return f"{self.reef_id}, {kinds}"

    def is_in_force(self, at: datetime) -> bool:
        return self.begins_at <= at < self.ends_at

    def concerns(self, alert: Alert) -> bool:
        """Tell whether it is about alerts like this one, whatever their time."""
        return alert.reef_id == self.reef_id and self.holds_back(alert.kind, alert.severity)

    def holds_back(self, kind: str, severity: int) -> bool:
        """Tell whether it holds alerts of this kind and severity back."""
        if self.kind:
            return kind == self.kind
        return kind != "heat" or severity < HEAT_BREAKS_THROUGH


def muted_by(alert: Alert, mutes: Sequence[Mute], *, raised_at: datetime, now: datetime) -> Mute | None:
    """Return the mute that holds an alert back: one that is in force, or was when the alert was raised. Of several the one that
    ends last: at its end the alert is told."""
    concerned = [mute for mute in mutes if mute.concerns(alert) and (mute.is_in_force(now) or mute.is_in_force(raised_at))]
    return max(concerned, key=lambda mute: (mute.ends_at, mute.mute_id), default=None)
