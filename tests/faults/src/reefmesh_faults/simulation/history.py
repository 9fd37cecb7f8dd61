"""What happened, in order: the only thing the laws are judged by, besides the databases when everything is at rest."""

from collections.abc import Callable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Telemetry whose publishing begins; it may be tried several times."""

    event_id: str
    reef_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The broker confirmed it to the sender."""

    event_id: str
    reef_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A message got its place in a queue; places count up."""

    queue: str
    place: int
    event_id: str
    reef_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReturned:
    """The broker took a message back unacknowledged; ``how``: unsubscribe, farewell, connection, or move (to another
    subscription of the same process, from which it was taken). ``subscriber``: the number of the subscription that ended, whose
    messages are told in the order in which they were sent."""

    queue: str
    place: int
    process: str
    subscriber: int
    event_id: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlingBegan:
    process: str
    inbox: str
    reef_id: str
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitWritten:
    """A unit of work was committed; it was made from the row's version ``based_on``, and the row was at ``found``."""

    process: str
    service: str
    inbox: str
    reef_id: str
    event_id: str
    seq: int | None
    based_on: int
    found: int
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """People were told under this key."""

    process: str
    idempotency_key: str
    alert_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultInjected:
    """``process`` is the one it befell, or the service whose store failed; empty: all."""

    process: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStarted:
    process: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainBegan:
    process: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEnded:
    """``how``: clean, time-out, or the error that ended it."""

    process: str
    how: str


Event = (
    Sent
    | Confirmed
    | Queued
    | MessageReturned
    | HandlingBegan
    | UnitWritten
    | Told
    | FaultInjected
    | ProcessStarted
    | DrainBegan
    | ProcessEnded
)


class History:
    """``now`` counts virtual seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.events: list[Event] = []
        self._now = now
        self._at: list[float] = []

    def add(self, event: Event) -> None:
        self.events.append(event)
        self._at.append(self._now())

    def lines(self) -> list[str]:
        """Return the trace as text, a line an event."""
        return [f"{at:12.6f}  {_text(event)}" for at, event in zip(self._at, self.events, strict=True)]


def _text(event: Event) -> str:
    name = type(event).__name__
    facts = (f"{each.name}={_short(getattr(event, each.name))}" for each in fields(event))
    return f"{name:15} {' '.join(facts)}"


def _short(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
