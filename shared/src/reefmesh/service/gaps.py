"""Messages before which an earlier one of their reef is missing: how long they wait for it.

A broker that is being stopped may hand a reef's next message to another consumer before it takes the one before it back from
a consumer whose connection it has closed. Whoever applied it then would invert the reef's order; given back, it comes again
behind the missing one. When that does not come in time (it never got into this subscription), the gap is accepted.
"""

from dataclasses import dataclass
from typing import Final

from reefmesh.errors import TransientError

REEFS_LIMIT: Final = 10_000
"""Reefs whose messages wait at a time; a gap of any further one is accepted at once."""


class EarlierMissing(TransientError):
    """``times``: how often the message was given back for it, this time included."""

    def __init__(self, gap: int, *, times: int) -> None:
        super().__init__(f"{gap} earlier messages of the reef have not come")
        self.times = times


@dataclass(slots=True)
class _Waiting:
    seq: int
    until_seconds: float
    times: int = 0


class Gaps:
    def __init__(self, *, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._waiting: dict[str, _Waiting] = {}

    def refuse(self, reef_id: str, seq: int, gap: int, *, now_seconds: float) -> None:
        """Raise EarlierMissing unless this message has waited long enough for the ``gap`` numbers before it."""
        waiting = self._waiting.get(reef_id)
        if waiting is None or waiting.seq != seq:
            if len(self._waiting) >= REEFS_LIMIT:
                return
            waiting = self._waiting[reef_id] = _Waiting(seq, now_seconds + self._patience_seconds)
        if now_seconds >= waiting.until_seconds:
            return
        waiting.times += 1
        raise EarlierMissing(gap, times=waiting.times)

    def closed(self, reef_id: str) -> None:
        """A message of the reef was applied."""
        self._waiting.pop(reef_id, None)
