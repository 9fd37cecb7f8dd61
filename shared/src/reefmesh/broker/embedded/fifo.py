"""A queue that is first-in-first-out per group: pure rules in memory, no I/O and no clock of its own.

A receive of at most N messages takes the oldest message whose group has nothing in flight, then as many more of that
group, in order, as fit, and repeats while there is room. In flight lasts until acknowledgement, release, or the
visibility time-out. A message published under an event id that was published within the window before is a duplicate.
"""

import heapq
from bisect import insort
from collections import deque
from collections.abc import Callable
from itertools import count
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

P = TypeVar("P")

DEDUP_WINDOW_SECONDS: Final = 300.0
DEDUP_IDS_LIMIT: Final = 100_000
"""Ids remembered at most; under a flood the window is shorter, never the memory larger."""

_position = attrgetter("position")


class QueuedMessage(Generic[P]):
    """A message in the queue. ``position`` orders; an empty ``event_id`` exempts from deduplication (replays).

    Plain and slotted instead of a dataclass: one is made per message and subscription.
    """

    __slots__ = ("event_id", "group", "payload", "position", "published_us", "redelivered", "slots")

    def __init__(  # noqa: PLR0917 - keywords would double the cost of the call that is made most
        self,
        position: int,
        group: str,
        event_id: str,
        published_us: int,
        payload: P,
        redelivered: bool = False,
        slots: int = 1,
    ) -> None:
        self.position = position
        self.group = group
        self.event_id = event_id
        self.published_us = published_us
        self.payload = payload
        self.redelivered = redelivered
        self.slots = slots


class Held(Generic[P]):
    """One message in flight, as long as ``live``. ``pinned``: it does not time out, because its settlement is being written.
    ``holder`` belongs to the caller."""

    __slots__ = ("entry", "holder", "live", "pinned")

    def __init__(self, entry: QueuedMessage[P]) -> None:
        self.entry = entry
        self.holder: Any = None
        self.live = True
        self.pinned = False


class _GroupQueue(Generic[P]):
    __slots__ = ("entries", "in_flight", "taken_us")

    def __init__(self) -> None:
        self.entries: deque[QueuedMessage[P]] = deque()
        self.in_flight = 0
        self.taken_us = 0  # when the first of those in flight was published


class Fifo(Generic[P]):
    """One subscription's messages, in memory."""

    def __init__(
        self,
        *,
        now: Callable[[], float],
        visibility_timeout_seconds: float | None = None,
        dedup_window_seconds: float = DEDUP_WINDOW_SECONDS,
    ) -> None:
        """``now`` counts seconds, monotonic; it is asked only when there is a visibility time-out."""
        self._now = now
        self._visibility_timeout_seconds = visibility_timeout_seconds
        self._window_us = int(dedup_window_seconds * 1_000_000)
        self._groups: dict[str, _GroupQueue[P]] = {}
        self._ready: list[tuple[int, str]] = []  # heap of (position of the head, group): nothing in flight, not empty
        self._published: dict[str, int] = {}  # event id -> when; in the order of publishing
        self._deadlines: list[tuple[float, int, Held[P]]] = []
        self._ticket = count()
        self.waiting_messages = 0
        self.in_flight_messages = 0
        self.duplicates = 0

    @property
    def ready_groups(self) -> int:
        """How many groups a receive could take from."""
        return len(self._ready)

    def put(self, entry: QueuedMessage[P]) -> bool:
        """Append a message, positions rising within its group; False for a duplicate, which is not taken."""
        event_id = entry.event_id
        if event_id and self._is_duplicate(event_id, entry.published_us):
            self.duplicates += 1
            return False
        group = self._groups.get(entry.group)
        if group is None:
            group = self._groups[entry.group] = _GroupQueue()
        if not group.entries and not group.in_flight:
            heapq.heappush(self._ready, (entry.position, entry.group))
        group.entries.append(entry)
        self.waiting_messages += 1
        return True

    def receive(self, limit: int) -> list[Held[P]]:
        """Take at most ``limit`` messages by the rules above."""
        taken: list[Held[P]] = []
        while self._ready and len(taken) < limit:
            group = self._groups[heapq.heappop(self._ready)[1]]
            batch = min(limit - len(taken), len(group.entries))
            group.taken_us = group.entries[0].published_us
            taken.extend([Held(group.entries.popleft()) for _ in range(batch)])
            group.in_flight += batch
        self.waiting_messages -= len(taken)
        self.in_flight_messages += len(taken)
        if self._visibility_timeout_seconds is not None and taken:
            deadline = self._now() + self._visibility_timeout_seconds
            for held in taken:
                heapq.heappush(self._deadlines, (deadline, next(self._ticket), held))
        return taken

    def take(self) -> Held[P] | None:
        """``receive`` of one message."""
        if not self._ready:
            return None
        if self._visibility_timeout_seconds is not None:
            return self.receive(1)[0]
        group = self._groups[heapq.heappop(self._ready)[1]]
        group.in_flight += 1
        self.waiting_messages -= 1
        self.in_flight_messages += 1
        entry = group.entries.popleft()
        group.taken_us = entry.published_us
        return Held(entry)

    def acknowledge(self, held: Held[P]) -> bool:
        """Forget a message in flight; False when it is no longer in flight under this receipt."""
        if not held.live:
            return False
        self._end(held)
        return True

    def release(self, held: Held[P]) -> bool:
        """Put a message in flight back to its place, to be delivered again before any later one of its group."""
        if not held.live:
            return False
        entry = held.entry
        entry.redelivered = True
        entries = self._groups[entry.group].entries
        if not entries or entry.position < entries[0].position:
            entries.appendleft(entry)
        else:
            insort(entries, entry, key=_position)
        self.waiting_messages += 1
        self._end(held)
        return True

    def expire(self) -> list[Held[P]]:
        """Release everything whose visibility time-out has passed; returns the receipts that are void now."""
        expired = []
        now = self._now()
        pinned = []
        while self._deadlines and self._deadlines[0][0] <= now:
            due = heapq.heappop(self._deadlines)
            if due[2].live and due[2].pinned:
                pinned.append(due)
            elif self.release(due[2]):
                expired.append(due[2])
        for due in pinned:
            heapq.heappush(self._deadlines, due)
        return expired

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do next, in seconds of ``now``."""
        while self._deadlines and not self._deadlines[0][2].live:
            heapq.heappop(self._deadlines)
        return next((deadline for deadline, _, held in self._deadlines if not held.pinned), None)

    def oldest_us(self) -> int | None:
        """When the oldest message in memory was published; looks at every group."""
        waiting = [group.entries[0].published_us for group in self._groups.values() if group.entries]
        return min(waiting + [group.taken_us for group in self._groups.values() if group.in_flight], default=None)

    def _end(self, held: Held[P]) -> None:
        held.live = False
        self.in_flight_messages -= 1
        name = held.entry.group
        group = self._groups[name]
        group.in_flight -= 1
        if not group.in_flight:
            if group.entries:
                heapq.heappush(self._ready, (group.entries[0].position, name))
            else:
                del self._groups[name]

    def _is_duplicate(self, event_id: str, published_us: int) -> bool:
        known = self._published
        horizon_us = published_us - self._window_us
        first_us = known.get(event_id)
        if first_us is not None and first_us >= horizon_us:
            return True
        known.pop(event_id, None)  # so that it is remembered at the end, in order
        known[event_id] = published_us
        while known:
            oldest = next(iter(known))
            if known[oldest] >= horizon_us and len(known) <= DEDUP_IDS_LIMIT:
                break
            del known[oldest]
        return False
