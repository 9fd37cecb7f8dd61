"""The gap waiter: how long a message waits for an earlier message of its reef that is missing.

A broker that is shutting down may dispatch a reef's next message to another consumer before it has requeued the previous
message, whose consumer's connection it has closed. Applying the next message then would invert the reef's order. Released, it
is redelivered behind the missing one. If the missing message does not come in time (it was never in this subscription), the
gap is accepted.
"""

from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import TransientError

REEFS_LIMIT: Final = 10_000
"""Reefs that wait at a time; a gap of any further reef is accepted at once."""

REST_PATIENCES: Final = 9
"""A reef that has waited in vain does not wait again for this many times the patience: wrong numbers, or hostile ones, delay
their reef for a tenth of the time at most."""


class EarlierMissing(TransientError):
    """Earlier messages of the reef are missing. ``times``: how often the message was released for that, this time included."""

    def __init__(self, missing: int, *, times: int) -> None:
        super().__init__(f"{missing} earlier messages of the reef have not come")
        self.times = times


@dataclass(slots=True)
class _Wait:
    event_id: str
    until_seconds: float
    rests_until_seconds: float
    times: int = 0


class GapWaiter:
    """The reefs of one inbox that wait for a missing message, and the reefs that have waited in vain.

    ``now_seconds`` is the event loop's time. A message waits ``patience_seconds`` at most.
    """

    def __init__(self, *, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._waits: dict[str, _Wait] = {}

    def accept(self, message: Envelope, missing: int, *, now_seconds: float) -> None:
        """Return if the gap of ``missing`` messages before this one is to be accepted.

        Raises:
            EarlierMissing: the message is to wait.
        """
        wait = self._waits.get(message.reef_id)
        if wait is not None and now_seconds >= wait.rests_until_seconds and wait.event_id != message.event_id:
            wait = None
        if wait is None:
            if len(self._waits) >= REEFS_LIMIT:
                self._waits = {reef: each for reef, each in self._waits.items() if now_seconds < each.rests_until_seconds}
            if len(self._waits) >= REEFS_LIMIT:
                return
            until_seconds = now_seconds + self._patience_seconds
            rests_until_seconds = until_seconds + REST_PATIENCES * self._patience_seconds
            wait = self._waits[message.reef_id] = _Wait(message.event_id, until_seconds, rests_until_seconds)
        if now_seconds >= wait.until_seconds:
            return
        wait.times += 1
        raise EarlierMissing(missing, times=wait.times)

    def applied(self, reef_id: str, *, now_seconds: float) -> None:
        """Note that a message of the reef was applied: the missing one came, unless the reef has waited in vain."""
        wait = self._waits.get(reef_id)
        if wait is not None and now_seconds < wait.until_seconds:
            del self._waits[reef_id]
