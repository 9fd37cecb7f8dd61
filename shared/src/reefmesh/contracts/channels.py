"""The durable fan-out names of the mesh and who listens to which."""

from dataclasses import dataclass
from typing import Final

TELEMETRY: Final = "reef.telemetry"
READINGS: Final = "reef.readings"
SCORES: Final = "reef.scores"
ALERTS: Final = "reef.alerts"
QUARANTINE: Final = "reef.quarantine"

ALL: Final = (TELEMETRY, READINGS, SCORES, ALERTS, QUARANTINE)

NUMBERED: Final = frozenset(ALL) - {TELEMETRY}

UNREGISTERED: Final = "unregistered"
"""In place of a reef: the message group of telemetry whose device the register does not know."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One service's durable queue on one channel; every subscription of a channel gets every message."""

    service: str
    channel: str

    @property
    def is_numbered(self) -> bool:
        """Whether each reef's messages are numbered here, so that whoever handles them sees when an earlier one is missing.
        Telemetry is not: many send it, and some do not even say which message theirs follows."""
        return self.channel in NUMBERED

    def __str__(self) -> str:
        return f"{self.service}@{self.channel}"


INGEST: Final = Subscription("ingest", TELEMETRY)
SCORING: Final = Subscription("scoring", READINGS)
ALERTING: Final = Subscription("alerts", SCORES)
