"""The port: what the dispatcher needs of a way to people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reefmesh.contracts.alerts import Alert
from reefmesh_alerts.domain.alert_text import describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to one subscription: one alert, or the alerts of a digest, oldest first.

    ``idempotency_key`` is the same on every attempt, in every process: receivers drop what they have seen.
    """

    idempotency_key: str
    subscription: str
    who: str
    to: Sequence[str]
    digest: bool
    alerts: Sequence[Alert]
    subject: str

    @property
    def text(self) -> str:
        """All of it in several lines, for channels that carry more than a line."""
        described = "\n".join(describe(alert) for alert in self.alerts)
        if not self.digest:
            return described
        listed = "".join(f"- {alert.summary}\n" for alert in self.alerts)
        return f"{self.subject}\n\n{listed}\n{described}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The other side took it; ``note`` says what it did not take of it."""

    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """It failed for now; ``after_seconds`` is what the other side asked for, if it did."""

    reason: str
    after_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No repeat will mend it: a wrong address, a wrong password, a request the other side does not understand."""

    reason: str


SendResult = Sent | TryAgain | Refused


class Channel(Protocol):
    """One configured way to people; ``send`` may be called concurrently, and is bounded in time by its caller too."""

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:
        """Hand the notice over; ``at`` is the clock's instant. Failures of the other side are values, not errors."""
        ...

    async def close(self) -> None: ...
