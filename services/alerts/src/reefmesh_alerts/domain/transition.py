"""One change of one episode, before it becomes an alert with an id and a text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from reefmesh.contracts.alerts import Change, Kind

Evidence = Mapping[str, str | float | int | None]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)

SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """From one state to another.

    ``occurred_at`` is event time and ``evidence_at`` the event time of the newest evidence. ``worst_severity`` is the worse of
    the last alert's severity and the current one, so recipients who got the bad news also get its end.
    ``stands`` is True when the episode is open afterwards.
    """

    kind: Kind
    change: Change
    from_state: str
    to_state: str
    severity: int
    worst_severity: int
    occurred_at: datetime
    evidence_at: datetime
    stands: bool
    subject: str = ""
    buoy_id: str | None = None
    evidence: Evidence = field(default_factory=dict)

    @property
    def episode(self) -> str:
        """The changed episode's name inside its reef."""
        return f"{self.kind}/{self.subject}"


def microseconds(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def utc_microseconds(instant: datetime) -> int:
    """As ``microseconds``, of an instant in UTC, as every one inside a message is. It does not ask the time zone: that of a
    validated instant costs more to ask, or to compare with another, than all the rest."""
    minutes = ((instant.toordinal() - _EPOCH_DAY) * 24 + instant.hour) * 60 + instant.minute
    return (minutes * 60 + instant.second) * SECOND_US + instant.microsecond


def instant_of(us: int) -> datetime:
    return _EPOCH + us * _MICROSECOND
