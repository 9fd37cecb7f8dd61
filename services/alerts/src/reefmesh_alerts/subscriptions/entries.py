"""What the file may hold, field by field."""

import ipaddress
import re
from datetime import time
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from reefmesh.contracts.alerts import Kind
from reefmesh.contracts.contract import Contract
from reefmesh_alerts.domain.severity import KINDS, highest_severity, severity_of
from reefmesh_alerts.subscriptions.hours import DailyTime, QuietSpan

DATA_AGE_LIMIT_HOURS_DEFAULT: Final = 168.0

_ADDRESS: Final = re.compile(r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+$")
_CLOCK: Final = re.compile(r"^([01]\d|2[0-3]):[0-5]\d$")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Timeout = Annotated[float, Field(gt=0, le=60)]
Concurrency = Annotated[int, Field(ge=1, le=32)]


def _address(value: str) -> str:
    if not _ADDRESS.match(value) or not value.isprintable():
        raise ValueError("write an e-mail address like name@example.org")
    return value


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
    """Take severities by number or by the state's name."""
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


Address = Annotated[str, Field(max_length=254), AfterValidator(_address)]
WallTime = Annotated[time, BeforeValidator(_wall_time)]
Zone = Annotated[str, AfterValidator(_zone)]
Severities = Annotated[dict[Kind, int], BeforeValidator(_severities)]


class ConsoleEntry(Contract):
    """One line an alert: ``log`` as a log event on standard error, ``stdout`` as plain text on standard output."""

    type: Literal["console"]
    name: Name
    output: Literal["log", "stdout"] = "log"
    timeout_seconds: Timeout = 5.0
    concurrency: Concurrency = 1


class EmailEntry(Contract):
    """A mail server. ``tls``: ``starttls``, ``implicit`` (TLS from the first byte) or ``none`` (then without a password,
    except to this machine). ``ca_file`` names certificate authorities besides the system's."""

    type: Literal["email"]
    name: Name
    host: str = Field(min_length=1, max_length=255)
    port: int = Field(default=587, ge=1, le=65_535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: str | None = None
    username: str | None = Field(default=None, max_length=255)
    password: SecretStr | None = None
    sender: Address
    sender_name: str = Field(default="reefmesh", max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")
    timeout_seconds: Timeout = 20.0
    concurrency: Concurrency = 2

    @model_validator(mode="after")
    def _keeps_its_password(self) -> "EmailEntry":
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.password is not None and self.tls == "none" and not is_loopback(self.host):
            raise ValueError('a password needs tls = "starttls" or "implicit"')
        return self


class WebhookEntry(Contract):
    """An HTTPS address that takes JSON. ``secret`` signs every request; plain HTTP is for this machine alone, or must be
    allowed. ``ca_file`` as for a mail server."""

    type: Literal["webhook"]
    name: Name
    url: str = Field(max_length=2000)
    secret: SecretStr
    allow_plain_http: bool = False
    ca_file: str | None = None
    timeout_seconds: Timeout = 10.0
    concurrency: Concurrency = 4

    @model_validator(mode="after")
    def _is_safe(self) -> "WebhookEntry":
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not self.url.isprintable() or " " in self.url:
            raise ValueError("url: write an address like https://example.org/hook")
        if parts.username or parts.password:
            raise ValueError("url: leave user name and password out of the address, requests are signed")
        if parts.scheme == "http" and not self.allow_plain_http and not is_loopback(parts.hostname):
            raise ValueError("url: must be https (or set allow_plain_http = true)")
        if len(self.secret.get_secret_value()) < 16:
            raise ValueError("secret: must have at least 16 characters")
        return self


ChannelEntry = Annotated[ConsoleEntry | EmailEntry | WebhookEntry, Field(discriminator="type")]


class QuietHours(Contract):
    """No message between ``begins`` and ``ends``, except of severities from ``break_through`` on, by kind."""

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
    """One message a day with everything since the last."""

    at: WallTime
    timezone: Zone

    @property
    def daily(self) -> DailyTime:
        return DailyTime(at=self.at, zone=ZoneInfo(self.timezone))


class SubscriptionEntry(Contract):
    """Who is told of what. ``reefs`` are patterns with ``*`` and ``?``; ``minimum`` is the severity by kind from which on an
    alert is told (its end is then told too). Alerts on data older than ``data_age_limit_hours`` are in the ledger alone;
    0 tells them whatever their age (for replays)."""

    name: Name
    who: str = Field(default="", max_length=200)
    to: list[Address] = Field(default_factory=list, max_length=50)
    reefs: list[Annotated[str, Field(pattern=r"^[a-z0-9._*?\[\]!-]{1,64}$")]] = Field(
        default_factory=lambda: ["*"], min_length=1, max_length=1000
    )
    kinds: list[Kind] = Field(default_factory=lambda: [*KINDS], min_length=1)
    minimum: Severities = Field(default_factory=dict)
    channels: list[Name] = Field(min_length=1, max_length=10)
    digest: Digest | None = None
    quiet_hours: QuietHours | None = None
    data_age_limit_hours: float = Field(default=DATA_AGE_LIMIT_HOURS_DEFAULT, ge=0, le=1_000_000)


class SubscriptionsFile(Contract):
    """All ``[[channel]]`` and ``[[subscription]]`` tables of a file."""

    channel: list[ChannelEntry] = Field(default_factory=list, max_length=100)
    subscription: list[SubscriptionEntry] = Field(default_factory=list, max_length=10_000)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine itself."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
