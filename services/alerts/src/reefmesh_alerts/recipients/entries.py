"""One ``[[subscription]]`` table of the subscriptions file, field by field, and the file as a whole."""

import re
from datetime import time
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from reefmesh.contracts.alerts import Kind
from reefmesh.contracts.contract import Contract
from reefmesh_alerts.domain.severity import KINDS, highest_severity, severity_of
from reefmesh_alerts.recipients.hours import DailyTime, QuietSpan
from reefmesh_alerts.targets.entries import EmailAddress, Name, TargetEntry

DATA_AGE_LIMIT_HOURS_DEFAULT: Final = 168.0

_CLOCK: Final = re.compile(r"^([01]\d|2[0-3]):[0-5]\d$")


def _wall_time(value: object) -> object:
    if isinstance(value, time) and value.tzinfo is None:
        return value  # TOML has local times of its own
    if isinstance(value, str) and _CLOCK.match(value):
        return time.fromisoformat(value)
    raise ValueError('write a time of the day as "hh:mm"')


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('write a time zone like "Asia/Makassar" or "UTC"') from None
    return value


def _severities(value: object) -> object:
    """Accept a severity as a number or as the name of a state."""
    if not isinstance(value, dict):
        raise ValueError('write a table like { heat = "Alert Level 1", dive = "no_go" }')  # noqa: TRY004 - pydantic's way
    severities = {}
    for kind, given in value.items():
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is not one of {', '.join(KINDS)}")
        severity = severity_of(kind, given) if isinstance(given, str) else given
        if not isinstance(severity, int) or isinstance(severity, bool) or not 0 <= severity <= highest_severity(kind):
            raise ValueError(f"{kind}: write the name of a state, or a number from 0 to {highest_severity(kind)}")
        severities[kind] = severity
    return severities


WallTime = Annotated[time, BeforeValidator(_wall_time)]
Zone = Annotated[str, AfterValidator(_zone)]
Severities = Annotated[dict[Kind, int], BeforeValidator(_severities)]


class QuietHours(Contract):
    """No message between ``begins`` and ``ends``, except for severities from ``break_through`` (by kind) upwards."""

    begins: WallTime
    ends: WallTime
    timezone: Zone
    break_through: Severities = Field(default_factory=dict)

    @property
    def span(self) -> QuietSpan:
        return QuietSpan(begins=self.begins, ends=self.ends, zone=ZoneInfo(self.timezone))

    def breaks(self, kind: Kind, severity: int) -> bool:
        return kind in self.break_through and severity >= self.break_through[kind]


class Digest(Contract):
    """One message a day with every alert since the last one; with ``always``, also on a day without an alert."""

    at: WallTime
    timezone: Zone
    always: bool = False

    @property
    def daily(self) -> DailyTime:
        return DailyTime(at=self.at, zone=ZoneInfo(self.timezone))


class RecipientEntry(Contract):
    """One recipient and the rule for what this recipient gets.

    ``reefs`` are patterns with ``*`` and ``?``. ``minimum`` (by kind) is the lowest severity that is sent; the end of an
    episode that was sent is sent too. An alert on data older than ``data_age_limit_hours`` stays in the ledger and is not
    sent; 0 sends alerts of any age (for replays).
    """

    name: Name
    who: str = Field(default="", max_length=200)
    to: list[EmailAddress] = Field(default_factory=list, max_length=50)
    reefs: list[Annotated[str, Field(pattern=r"^[a-z0-9._*?\[\]!-]{1,64}$")]] = Field(
        default_factory=lambda: ["*"], min_length=1, max_length=1000
    )
    kinds: list[Kind] = Field(default_factory=lambda: [*KINDS], min_length=1)
    minimum: Severities = Field(default_factory=dict)
    targets: list[Name] = Field(min_length=1, max_length=10)
    digest: Digest | None = None
    quiet_hours: QuietHours | None = None
    data_age_limit_hours: float = Field(default=DATA_AGE_LIMIT_HOURS_DEFAULT, ge=0, le=1_000_000)


class SubscriptionsFile(Contract):
    """All ``[[target]]`` and ``[[subscription]]`` tables of a file.

    ``subscription`` is the file's word for a recipient. In code a subscription is always a broker subscription.
    """

    target: list[TargetEntry] = Field(default_factory=list, max_length=100)
    subscription: list[RecipientEntry] = Field(default_factory=list, max_length=10_000)
