"""What the load process is told to do, and what it reports: JSON on its command line and on its standard output."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict

from load import Load
from reefmesh.contracts import channels

TELEMETRY_ENTRY: Final = f"/topic/VirtualTopic.{channels.TELEMETRY}"


class Order(BaseModel):
    """``entry``: where telemetry goes (a STOMP destination, or an exchange of RabbitMQ), in its reef's message group if
    ``grouped``; ``exit``: where its effects are heard, if at all.

    ``messages_per_second`` None: as fast as it goes, with at most ``outstanding_limit`` alerts not heard yet when the exit is
    watched, and, ``on_allowance``, no more messages than standard input allows: on each line how many in all.
    ``patience_seconds``: for everything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    broker_url: str
    entry: str = TELEMETRY_ENTRY
    exit: str | None = None
    grouped: bool = True
    reefs: int
    messages: int
    batch: int
    channels: int
    first_turn: int = 0
    begins_at: datetime
    alert_every: int = 0
    messages_per_second: float | None = None
    outstanding_limit: int = 1000
    on_allowance: bool = False
    patience_seconds: float = 300.0

    @classmethod
    def of(cls, load: Load, *, broker_url: str, **more: Any) -> Self:
        """Return the order to send this load; ``more`` are the other fields."""
        return cls(
            broker_url=broker_url,
            reefs=load.reefs,
            messages=load.messages,
            batch=load.batch,
            channels=load.channels,
            first_turn=load.first_turn,
            begins_at=load.begins_at,
            alert_every=load.alert_every,
            **more,
        )

    def load(self) -> Load:
        return Load(
            reefs=self.reefs,
            messages=self.messages,
            batch=self.batch,
            channels=self.channels,
            first_turn=self.first_turn,
            begins_at=self.begins_at,
            alert_every=self.alert_every,
        )


class Report(BaseModel):
    """Instants are of the machine's monotonic clock, which all processes share; ``published_at`` is None when the patience
    ended before all messages were published. ``effects``: of each message whose effect was heard, when its publish was called
    and how many seconds later the effect came; ``effects_expected``: how many should have been."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    began_at: float
    effects_expected: int
    published_at: float | None
    ended_at: float
    cpu_seconds: float
    effects: Sequence[tuple[float, float]]

    @property
    def latencies(self) -> list[float]:
        return [seconds for _, seconds in self.effects]

    @property
    def is_complete(self) -> bool:
        return len(self.effects) == self.effects_expected

    @property
    def effects_per_second(self) -> float:
        """From the first publish to the last effect."""
        return len(self.effects) / (max(at + seconds for at, seconds in self.effects) - self.began_at)
