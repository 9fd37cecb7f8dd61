"""A device as the gateway knows it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

REPORT_INTERVAL_SECONDS: Final = 1800
"""Of a device whose interval nobody stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledDevice:
    """``reef_id``: the message group of its reports, ``channels.UNREGISTERED`` while the register does not know it.
    ``names``: every name of the buoy in the register, this one among them."""

    device: str
    reef_id: str
    names: frozenset[str]
    report_interval_seconds: int = REPORT_INTERVAL_SECONDS

    def may_send_as(self, named: str | None) -> bool:
        """Return whether a report that names this device may come from it; a report that names none may."""
        return named is None or named in self.names


def us_of(instant: datetime) -> int:
    """Return an instant as the tables have it: UTC microseconds since 1970."""
    return int(instant.timestamp() * 1_000_000)


def instant_of(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1_000_000, UTC)
