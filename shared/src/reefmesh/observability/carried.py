"""What a lane has in hand, for its log lines."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.envelope import Envelope
from reefmesh.observability.traceparent import trace_id_of, traceparent_of


@dataclass(frozen=True, slots=True)
class Carried:
    """A message in the hands of a lane of a subscription. Its facts are spelt out only when something is logged: binding them
    for every message would cost ten times as much as noting the message. ``traceparent`` is the span that records its
    handling, where one does."""

    message: Envelope
    lane: int
    subscription: str
    traceparent: str | None = None

    def facts(self) -> dict[str, str | int | None]:
        return {
            "reef_id": self.message.reef_id,
            "event_id": self.message.event_id,
            "trace_id": trace_id_of(self.traceparent or traceparent_of(self.message)),
            "seq": self.message.seq,
            "lane": self.lane,
            "subscription": self.subscription,
        }


CARRIED: Final[ContextVar[Carried | None]] = ContextVar("carried", default=None)
"""Set by each lane, in its own task, for as long as it has the message."""
