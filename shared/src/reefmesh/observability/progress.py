"""What the lanes of one service are doing, and since when: the ground that health stands on."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

STALL_AFTER_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Held:
    reef_id: str
    event_id: str
    since: float
    moved: float
    error: str | None = None
    waits: bool = False  # between two attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMessage:
    """A message in a lane's hands. ``still_seconds``: since anything was noted of it; ``error``: the latest attempt's
    failure; ``waits``: the lane waits to try again (that is no stall: the reef waits for something that is not there)."""

    subscription: str
    lane: int
    reef_id: str
    event_id: str
    held_seconds: float
    still_seconds: float
    error: str | None
    waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressStatistics:
    """A point in time. ``unmoved_seconds``: how long some lane has held a message while none was finished (0 when all
    hands are empty); ``idle_seconds``: since a message was finished, or since the start."""

    received: int
    finished: int
    held: Sequence[HeldMessage]
    unmoved_seconds: float
    idle_seconds: float
    draining: bool


class Progress:
    """Lanes note what they do; cheap enough for every message. Times are ``now()``'s, a monotonic clock in seconds."""

    def __init__(self, *, stall_after_seconds: float = STALL_AFTER_SECONDS, now: Callable[[], float] = time.monotonic) -> None:
        self.stall_after_seconds = stall_after_seconds
        self._now = now
        self._held: dict[tuple[str, int], _Held] = {}
        self._received = 0
        self._finished = 0
        self._finished_at = now()
        self._unmoved_since = 0.0  # means something only while a lane holds a message
        self._draining = False

    def received(self, subscription: str, lane: int, *, reef_id: str, event_id: str) -> None:
        """A lane took a message."""
        at = self._now()
        self._received += 1
        if not self._held:
            self._unmoved_since = at
        self._held[subscription, lane] = _Held(reef_id, event_id, at, at)

    def retrying(self, subscription: str, lane: int, error: str) -> None:
        """A lane's attempt failed for now; it waits and will try again."""
        held = self._held.get((subscription, lane))
        if held is not None:
            held.moved = self._now()
            held.error = error
            held.waits = True

    def attempting(self, subscription: str, lane: int) -> None:
        """A lane tries its message again."""
        held = self._held.get((subscription, lane))
        if held is not None:
            held.moved = self._now()
            held.waits = False

    def finished(self, subscription: str, lane: int) -> None:
        """A lane settled or parked its message: that is progress."""
        if self._held.pop((subscription, lane), None) is not None:
            self._finished += 1
            self._finished_at = self._unmoved_since = self._now()

    def released(self, subscription: str, lane: int) -> None:
        """A lane gave its message back or lost it: its hands are empty, but that is no progress."""
        self._held.pop((subscription, lane), None)

    def draining(self) -> None:
        """Nothing new is taken from now on, so waiting messages are no longer ours to move."""
        self._draining = True

    @property
    def is_draining(self) -> bool:
        return self._draining

    def busy_lanes(self, subscription: str) -> int:
        return sum(1 for name, _ in self._held if name == subscription)

    def stuck(self) -> Sequence[HeldMessage]:
        """Return messages of which nothing was noted for longer than the stall limit, longest first."""
        still = [held for held in self.statistics().held if held.still_seconds > self.stall_after_seconds and not held.waits]
        return sorted(still, key=lambda held: -held.still_seconds)

    def statistics(self) -> ProgressStatistics:
        at = self._now()
        return ProgressStatistics(
            received=self._received,
            finished=self._finished,
            held=tuple(
                HeldMessage(
                    subscription=subscription,
                    lane=lane,
                    reef_id=held.reef_id,
                    event_id=held.event_id,
                    held_seconds=at - held.since,
                    still_seconds=at - held.moved,
                    error=held.error,
                    waits=held.waits,
                )
                for (subscription, lane), held in self._held.items()
            ),
            unmoved_seconds=at - self._unmoved_since if self._held else 0.0,
            idle_seconds=at - self._finished_at,
            draining=self._draining,
        )
