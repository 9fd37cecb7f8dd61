"""What a lane has in hand, for its log lines."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Carried:
    """A message in the hands of a lane of a subscription. Its facts are spelt out only when something is logged: binding them
    for every message would cost ten times as much as noting the message."""

    message: Envelope
    lane: int
    subscription: str

    def facts(self) -> dict[str, str | int | None]:
        return {
            "reef_id": self.message.reef_id,
            "event_id": self.message.event_id,
            "seq": self.message.seq,
            "lane": self.lane,
            "subscription": self.subscription,
        }


CARRIED: Final[ContextVar[Carried | None]] = ContextVar("carried", default=None)
"""Set by each lane, in its own task, for as long as it has the message."""
