"""The reefs whose state a worker keeps in memory."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from reefmesh.store.cursor import Cursor

S = TypeVar("S")

LOOKS_PER_MISS_LIMIT: Final = 2
"""Reefs that one miss looks at to drop one. Two, so that a cache that locked reefs have made too large shrinks again."""


@dataclass(slots=True)
class Reef(Generic[S]):
    """One reef's state as of ``version`` of its row, to be read and changed under ``lock``.

    ``fresh``: the state is the row's, as far as this process knows; otherwise it is loaded before it is used.
    ``has_outputs``: when the row was loaded, some of the reef's outputs were in the outbox. ``unconfirmed``: inputs that were
    applied here whose outputs the broker has not confirmed. A lane that has lost its delivery without knowing it yet may still
    be at work: the lock keeps it from the state that the reef's next lane changes.
    """

    reef_id: str
    version: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    state: S | None = None
    has_outputs: bool = False
    unconfirmed: set[str] = field(default_factory=set)
    fresh: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ReefCache(Generic[S]):
    """At most ``limit`` reefs, the least recently used dropped first; beyond it only reefs that are locked.

    A cached state may be outdated at any time: the store's version fence refuses a unit of work that is based on it.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._reefs: OrderedDict[str, Reef[S]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._reefs)

    def get(self, reef_id: str) -> Reef[S]:
        """Return the reef, loaded or not; take its ``lock`` before you touch it."""
        reef = self._reefs.get(reef_id)
        if reef is None:
            self._make_room()
            reef = self._reefs[reef_id] = Reef(reef_id)
        else:
            self._reefs.move_to_end(reef_id)
        return reef

    def outputs_confirmed(self, reef_id: str, event_id: str) -> None:
        """Note that the broker has the outputs of this input."""
        reef = self._reefs.get(reef_id)
        if reef is not None:
            reef.unconfirmed.discard(event_id)

    def _make_room(self) -> None:
        """Drop the least recently used reefs until one more fits, after ``LOOKS_PER_MISS_LIMIT`` looks at most.

        A locked reef is in use: its lane has the object, and a second object of the same reef would defeat the lock. So it
        becomes the most recently used, and is not looked at again before all others.
        """
        for _ in range(LOOKS_PER_MISS_LIMIT):
            if len(self._reefs) < self._limit:
                return
            reef_id, reef = self._reefs.popitem(last=False)
            if reef.lock.locked():
                self._reefs[reef_id] = reef
