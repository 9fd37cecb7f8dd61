"""The port between the dispatcher and a target."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from reefmesh.contracts.alerts import Alert
from reefmesh_alerts.texts.background import Background
from reefmesh_alerts.texts.letter import describe, digest_letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message for one recipient: one alert, or the alerts of a digest, oldest first.

    ``idempotency_key`` is the same in every attempt and every process, so a receiver can drop repeats. ``subject`` has at most
    77 characters; ``lead`` says why several alerts come together, where that is no daily digest. ``background`` is what is
    known of the sites beside the alerts; a digest may have no alert.
    """

    idempotency_key: str
    recipient: str
    who: str
    to: Sequence[str]
    digest: bool
    alerts: Sequence[Alert]
    subject: str
    lead: str = ""
    background: Background = field(default_factory=Background)

    @property
    def text(self) -> str:
        """The whole notice in several lines, for targets that carry more than one line."""
        if self.digest:
            return digest_letter(self.subject, self.alerts, self.background, lead=self.lead)
        return "\n".join(describe(alert, self.background) for alert in self.alerts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The other side accepted it; ``note`` names the addresses that it refused."""

    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """It failed for now; ``after_seconds`` is the pause that the other side asked for, if any."""

    reason: str
    after_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A repeat would fail too: a wrong address, or a request that the other side does not accept."""

    reason: str


SendResult = Sent | TryAgain | Rejected


class Target(Protocol):
    """One configured way to notify people; callers may call ``send`` concurrently and limit its time."""

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:
        """Send the notice; ``at`` is the time now. A failure of the other side is a returned value, not an exception."""
        ...

    async def close(self) -> None: ...
