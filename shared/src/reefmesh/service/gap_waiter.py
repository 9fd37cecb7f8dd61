"""The gap waiter: how long a message waits for an earlier message of its reef that is missing.

A broker that is shutting down may dispatch a reef's next message to another consumer before it has requeued the previous
message, whose consumer's connection it has closed. Applying the next message then would invert the reef's order. Released, it
is redelivered behind the missing one. If the missing message does not come in time (it was never in this subscription), the
gap is accepted.

A message that waits keeps a lane busy, so few reefs may wait for long: a purged queue leaves holes in all reefs at once, and
senders of telemetry may claim whatever they like. But a consumer that ends leaves as many gaps as it has lanes, and those
close in a moment: so a crowd of reefs waits too, all until the same instant, which is near; then no crowd does for a while.
"""

from dataclasses import dataclass
from typing import Final, Literal

from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import TransientError

LANES_PER_WAIT: Final = 4
"""One reef in so many lanes may wait for its whole patience, at least one."""

CROWD_PATIENCE_SECONDS: Final = 2.0
"""How long the reefs beyond those wait, together; as many wait as there are lanes. All lanes may be busy with that."""

REEFS_LIMIT: Final = 10_000
"""Reefs that have waited in vain and are remembered."""

REST_PATIENCES: Final = 9
"""A reef that has waited in vain does not wait again for this many times the patience: wrong numbers, or hostile ones, delay
their reef for a tenth of the time at most."""

CLAIM_PATIENCE_SECONDS: Final = 5.0
"""The patience with a gap that a sender of telemetry claims (``follows``), at most. The named message is in the subscription
or never will be, and a broker that shuts down closes its connections within a second or two; whereas a gap in the mesh's own
numbers may have to wait for the publisher's relay."""

Accepted = Literal["waited", "rests", "crowded"]
"""Why a gap is accepted: its message has waited in vain, its reef has of late, or too many reefs wait."""


class EarlierMissing(TransientError):
    """Earlier messages of the reef are missing. ``times``: how often the message was released for that, this time included."""

    def __init__(self, missing: int, *, times: int) -> None:
        super().__init__(f"{missing} earlier messages of the reef have not come")
        self.times = times


@dataclass(slots=True)
class _Wait:
    event_id: str
    is_claim: bool
    until_seconds: float
    rests_until_seconds: float
    times: int = 0


class GapWaiter:
    """The reefs of one inbox that wait for a missing message, and the reefs that have waited in vain.

    A user whose claim was in vain rests with all its claims: the broker orders by group, a claim may come in any group, and it
    would delay that group's reef once for each reef that it names.

    ``now_seconds`` is the event loop's time. A message waits ``patience_seconds`` at most, from when its gap was first seen
    here, wherever the message is meanwhile.
    """

    def __init__(self, *, patience_seconds: float, lanes: int) -> None:
        self._patience_seconds = patience_seconds
        self._lanes = lanes
        self._waiting_limit = max(1, lanes // LANES_PER_WAIT)
        self._crowd_until_seconds = self._crowd_rests_until_seconds = float("-inf")
        self._waiting: dict[str, _Wait] = {}
        self._resting: dict[str, _Wait] = {}
        self._claims_rest_until_seconds: dict[str | None, float] = {}

    def accept(
        self, message: Envelope, missing: int, *, is_claim: bool, now_seconds: float, user_id: str | None = None
    ) -> Accepted:
        """Return if the gap of ``missing`` messages before this one is to be accepted. ``is_claim``: only the message says that
        there is one. ``user_id``: who sent it, as the broker states.

        Raises:
            EarlierMissing: the message is to wait.
        """
        reef_id = message.reef_id
        wait = self._waiting.get(reef_id)
        if wait is None:
            rest = self._resting.get(reef_id)
            if rest is not None and now_seconds < rest.rests_until_seconds:
                return "waited" if rest.event_id == message.event_id else "rests"
            if is_claim and now_seconds < self._claims_rest_until_seconds.get(user_id, now_seconds):
                return "rests"
            patience_seconds = min(self._patience_seconds, CLAIM_PATIENCE_SECONDS) if is_claim else self._patience_seconds
            until_seconds = now_seconds + patience_seconds
            if len(self._waiting) >= self._waiting_limit:
                self._end_waits(now_seconds)
            if len(self._waiting) >= self._waiting_limit:
                until_seconds = min(until_seconds, self._end_of_crowd(now_seconds))
                if now_seconds >= until_seconds or len(self._waiting) >= self._lanes:
                    return "crowded"
            rest_seconds = REST_PATIENCES * (until_seconds - now_seconds)
            wait = _Wait(message.event_id, is_claim, until_seconds, until_seconds + rest_seconds)
            self._waiting[reef_id] = wait
        if now_seconds >= wait.until_seconds:
            if is_claim and wait.event_id == message.event_id:
                self._claims_rest_until_seconds[user_id] = wait.rests_until_seconds
            self._end_waits(now_seconds)
            return "waited"
        wait.times += 1
        raise EarlierMissing(missing, times=wait.times)

    def applied(self, message: Envelope) -> None:
        """Note that a message was applied: the missing one came, or the one that waited. A claim's wait ends with its own
        message alone: whoever claims may name any reef, and would wait anew after each message of that reef."""
        wait = self._waiting.get(message.reef_id)
        if wait is not None and (not wait.is_claim or wait.event_id == message.event_id):
            del self._waiting[message.reef_id]

    def _end_of_crowd(self, now_seconds: float) -> float:
        """Return until when the crowd may wait; a new one begins only when the last one has rested as any reef does."""
        if now_seconds >= self._crowd_rests_until_seconds:
            self._crowd_until_seconds = now_seconds + CROWD_PATIENCE_SECONDS
            self._crowd_rests_until_seconds = self._crowd_until_seconds + REST_PATIENCES * CROWD_PATIENCE_SECONDS
        return self._crowd_until_seconds

    def _end_waits(self, now_seconds: float) -> None:
        """Let those rest whose patience is over; messages that another process has got never tell this one."""
        for reef_id in [reef_id for reef_id, wait in self._waiting.items() if now_seconds >= wait.until_seconds]:
            if len(self._resting) >= REEFS_LIMIT:
                del self._resting[next(iter(self._resting))]
            self._resting[reef_id] = self._waiting.pop(reef_id)
