"""Messages before which an earlier one of their reef is missing: how long they wait for it.

A broker that is being stopped may hand a reef's next message to another consumer before it takes the one before it back from
a consumer whose connection it has closed. Whoever applied it then would invert the reef's order; given back, it comes again
behind the missing one. When that does not come in time (it never got into this subscription), the gap is accepted.
"""

from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import TransientError

REEFS_LIMIT: Final = 10_000
"""Reefs whose messages wait at a time; a gap of any further one is accepted at once."""

REST_PATIENCES: Final = 9
"""A reef that has waited in vain waits for nothing for so many times its patience: wrong numbers cannot hold it up for ever."""


class EarlierMissing(TransientError):
    """``times``: how often the message was given back for it, this time included."""

    def __init__(self, missing: int, *, times: int) -> None:
        super().__init__(f"{missing} earlier messages of the reef have not come")
        self.times = times


@dataclass(slots=True)
class _Waiting:
    event_id: str
    until_seconds: float
    rests_until_seconds: float
    times: int = 0


class Gaps:
    """Of one subscription: which reefs wait for a message that has not come, since when, and which have waited in vain."""

    def __init__(self, *, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._waiting: dict[str, _Waiting] = {}

    def refuse(self, message: Envelope, missing: int, *, now_seconds: float) -> None:
        """Raise EarlierMissing unless this message has waited long enough for those ``missing`` before it, or its reef has."""
        waiting = self._waiting.get(message.reef_id)
        if waiting is not None and now_seconds >= waiting.rests_until_seconds and waiting.event_id != message.event_id:
            waiting = None
        if waiting is None:
            if len(self._waiting) >= REEFS_LIMIT:
                self._waiting = {reef: each for reef, each in self._waiting.items() if now_seconds < each.rests_until_seconds}
            if len(self._waiting) >= REEFS_LIMIT:
                return
            until_seconds = now_seconds + self._patience_seconds
            rests_until_seconds = until_seconds + REST_PATIENCES * self._patience_seconds
            waiting = self._waiting[message.reef_id] = _Waiting(message.event_id, until_seconds, rests_until_seconds)
        if now_seconds >= waiting.until_seconds:
            return
        waiting.times += 1
        raise EarlierMissing(missing, times=waiting.times)

    def closed(self, reef_id: str, *, now_seconds: float) -> None:
        """A message of the reef was applied; what it waited for has come, unless it has waited in vain."""
        waiting = self._waiting.get(reef_id)
        if waiting is not None and now_seconds < waiting.until_seconds:
            del self._waiting[reef_id]
