"""The gap waiter: how long a message waits for an earlier message of its reef that is missing.

A broker that is shutting down may dispatch a reef's next message to another consumer before it has requeued the previous
message, whose consumer's connection it has closed. Applying the next message then would invert the reef's order. Released, it
is redelivered behind the missing one. If the missing message does not come in time (it was never in this subscription), the
gap is accepted.

A message that waits holds no lane, but a place among those that the broker sends ahead, and its reef a subscription of its own
at the broker. So few reefs may wait for long: a purged queue leaves holes in all reefs at once, and senders of telemetry may
claim whatever they like. But a consumer that ends leaves as many gaps as it has lanes, and those close in a moment: so a crowd
of reefs waits too, all until the same instant, which is near; then no crowd does for a while.

All gaps of a purge cost one patience together: when one has waited for the whole of it in vain, and there was a crowd
meanwhile, whatever a broker still owed has come by then. So for as long again the gaps of other reefs are accepted at once.
Only gaps in the mesh's own numbers count there: no claim makes another's gap accepted.
"""

from dataclasses import dataclass
from typing import Final, Literal

from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import TransientError

LANES_PER_WAIT: Final = 4
"""One reef in so many lanes may wait for its whole patience, at least one."""

CROWD_PATIENCE_SECONDS: Final = 2.0
"""How long the reefs beyond those wait, together; as many wait as there are lanes."""

REEFS_LIMIT: Final = 10_000
"""Reefs that have waited in vain and are remembered."""

REST_PATIENCES: Final = 9
"""A reef that has waited in vain does not wait again for this many times the patience: wrong numbers, or hostile ones, delay
their reef for a tenth of the time at most."""

CLAIM_PATIENCE_SECONDS: Final = 5.0
"""The patience with a gap that a sender of telemetry claims (``follows``), at most. The named message is in the subscription
or never will be, and a broker that shuts down closes its connections within a second or two; whereas a gap in the mesh's own
numbers may have to wait for the publisher's relay."""

Accepted = Literal["waited", "rests", "crowded", "purged"]
"""Why a gap is accepted: its message has waited in vain, its reef has of late, too many reefs wait, or too many did of late,
and in vain: somebody has deleted messages."""


class EarlierMissing(TransientError):
    """Earlier messages of the reef are missing. ``times``: how often the message was released for that, this time included.
    ``left_seconds``: then the wait is over. A message that came later than that would leave its place to another reef, which
    does not know that this one has waited in vain."""

    def __init__(self, missing: int, *, times: int, left_seconds: float) -> None:
        super().__init__(f"{missing} earlier messages of the reef have not come")
        self.times = times
        self.left_seconds = left_seconds


@dataclass(frozen=True, slots=True)
class GapWaits:
    """The reefs that wait for missing numbers now; since when the first of them has, and until when the last one may.
    ``accepted``: gaps in numbers that were accepted since ``accepted_since_seconds``; 0 after one patience without any."""

    reefs: int
    since_seconds: float
    until_seconds: float
    accepted: int
    accepted_since_seconds: float


@dataclass(slots=True)
class _Wait:
    event_id: str
    is_claim: bool
    is_whole: bool
    since_seconds: float
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
        self._numbers_crowded_at_seconds = self._purge_until_seconds = float("-inf")
        self._accepted = 0
        self._accepted_since_seconds = self._accepted_at_seconds = float("-inf")
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
        why = self._judge(message, missing, is_claim=is_claim, now_seconds=now_seconds, user_id=user_id)
        if not is_claim:
            if not self._is_recent(now_seconds):
                self._accepted, self._accepted_since_seconds = 0, now_seconds
            self._accepted += 1
            self._accepted_at_seconds = now_seconds
        return why

    def _judge(self, message: Envelope, missing: int, *, is_claim: bool, now_seconds: float, user_id: str | None) -> Accepted:
        reef_id = message.reef_id
        wait = self._waiting.get(reef_id)
        if wait is None:
            rest = self._resting.get(reef_id)
            if rest is not None and now_seconds < rest.rests_until_seconds:
                return "waited" if rest.event_id == message.event_id else "rests"
            if is_claim and now_seconds < self._claims_rest_until_seconds.get(user_id, now_seconds):
                return "rests"
            if not is_claim and now_seconds < self._purge_until_seconds:
                return "purged"
            patience_seconds = min(self._patience_seconds, CLAIM_PATIENCE_SECONDS) if is_claim else self._patience_seconds
            until_seconds = whole_until_seconds = now_seconds + patience_seconds
            if len(self._waiting) >= self._waiting_limit:
                self._end_waits(now_seconds)
            if len(self._waiting) >= self._waiting_limit:
                if not is_claim:
                    self._numbers_crowded_at_seconds = now_seconds
                until_seconds = min(until_seconds, self._end_of_crowd(now_seconds))
                if now_seconds >= until_seconds or len(self._waiting) >= self._lanes:
                    return "crowded"
            rest_seconds = REST_PATIENCES * (until_seconds - now_seconds)
            wait = _Wait(
                message.event_id,
                is_claim,
                until_seconds == whole_until_seconds,
                now_seconds,
                until_seconds,
                until_seconds + rest_seconds,
            )
            self._waiting[reef_id] = wait
        if now_seconds >= wait.until_seconds:
            if is_claim and wait.event_id == message.event_id:
                self._claims_rest_until_seconds[user_id] = wait.rests_until_seconds
            if self._is_of_purge(wait):
                self._purge_until_seconds = wait.until_seconds + self._patience_seconds
            self._end_waits(now_seconds)
            return "waited"
        wait.times += 1
        raise EarlierMissing(missing, times=wait.times, left_seconds=wait.until_seconds - now_seconds)

    def applied(self, message: Envelope) -> None:
        """Note that a message was applied: the missing one came, or the one that waited. A claim's wait ends with its own
        message alone: whoever claims may name any reef, and would wait anew after each message of that reef."""
        wait = self._waiting.get(message.reef_id)
        if wait is not None and (not wait.is_claim or wait.event_id == message.event_id):
            del self._waiting[message.reef_id]

    def waits(self, now_seconds: float) -> GapWaits:
        """Return which reefs wait for numbers; a sender's claims are left out."""
        waiting = [wait for wait in self._waiting.values() if not wait.is_claim and now_seconds < wait.until_seconds]
        return GapWaits(
            reefs=len(waiting),
            since_seconds=min((wait.since_seconds for wait in waiting), default=now_seconds),
            until_seconds=max((wait.until_seconds for wait in waiting), default=now_seconds),
            accepted=self._accepted if self._is_recent(now_seconds) else 0,
            accepted_since_seconds=self._accepted_since_seconds,
        )

    def _is_of_purge(self, wait: _Wait) -> bool:
        """Return whether a wait that was in vain lasted for the whole patience, while other reefs had no place to wait."""
        return wait.is_whole and not wait.is_claim and self._numbers_crowded_at_seconds >= wait.since_seconds

    def _is_recent(self, now_seconds: float) -> bool:
        return now_seconds <= self._accepted_at_seconds + self._patience_seconds

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
