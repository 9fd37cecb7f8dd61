"""The channels of the mesh, each declared once, and the subscriptions of its services."""

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Channel:
    """A durable fan-out name: every subscription of a channel gets every message.

    ``numbered``: the producing service gives each reef's messages numbers (``seq``, from 1), so a consumer sees when an
    earlier one is missing. A plain channel has many senders; a number that one of them sets means nothing here.
    Two declarations of one name are one channel.
    """

    name: str
    numbered: bool = field(compare=False)

    def __str__(self) -> str:
        return self.name


TELEMETRY: Final = Channel("reef.telemetry", numbered=False)
READINGS: Final = Channel("reef.readings", numbered=True)
SCORES: Final = Channel("reef.scores", numbered=True)
ALERTS: Final = Channel("reef.alerts", numbered=True)
QUARANTINE: Final = Channel("reef.quarantine", numbered=True)

ALL: Final = (TELEMETRY, READINGS, SCORES, ALERTS, QUARANTINE)

UNREGISTERED: Final = "unregistered"
"""In place of a reef: the message group of telemetry whose device the register does not know."""


def channel_named(name: str) -> Channel:
    """Return the mesh's channel of this name; any other name is a plain channel."""
    return next((channel for channel in ALL if channel.name == name), Channel(name, numbered=False))


@dataclass(frozen=True, slots=True)
class Subscription:
    """One service's durable queue on one channel."""

    service: str
    channel: Channel

    @property
    def is_numbered(self) -> bool:
        return self.channel.numbered

    def __str__(self) -> str:
        return f"{self.service}@{self.channel}"


INGEST: Final = Subscription("ingest", TELEMETRY)
SCORING: Final = Subscription("scoring", READINGS)
ALERTING: Final = Subscription("alerts", SCORES)
