"""The reefs whose state a worker has at hand."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from reefmesh.service.handler import Handler
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Store

S = TypeVar("S")


@dataclass(slots=True)
class Reef(Generic[S]):
    """One reef's state as of ``version`` of its row. ``has_outputs``: the row said that not all of its outputs are known to be
    out; ``unsent``: inputs applied here whose outputs the broker has not confirmed. ``lock`` keeps a lane that lost its
    delivery, and has not noticed yet, out of the state that the next lane works on."""

    reef_id: str
    version: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    state: S | None = None
    has_outputs: bool = False
    unsent: set[str] = field(default_factory=set)
    fresh: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Reefs(Generic[S]):
    """A bounded cache of reefs, least recently used out first. The version fence of the store makes it safe to be wrong:
    a unit that was made from an old version is refused, and the reef is loaded again."""

    def __init__(self, *, store: Store, handler: Handler[S], limit: int) -> None:
        self._store = store
        self._handler = handler
        self._limit = limit
        self._reefs: OrderedDict[str, Reef[S]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._reefs)

    def hold(self, reef_id: str) -> Reef[S]:
        """Return the reef's place in the cache, loaded or not; take its ``lock`` before touching it."""
        reef = self._reefs.get(reef_id)
        if reef is None:
            reef = self._reefs[reef_id] = Reef(reef_id)
            self._evict()
        else:
            self._reefs.move_to_end(reef_id)
        return reef

    async def load(self, reef: Reef[S]) -> S:
        """Return the state of a held and locked reef, from its row if it is not at hand."""
        if not reef.fresh or reef.state is None:
            row = await self._store.load(reef.reef_id)
            reef.state = await self._handler.load(reef.reef_id, row.state)
            reef.version, reef.cursor, reef.has_outputs, reef.fresh = row.version, row.cursor, row.has_outputs, True
        return reef.state

    def outputs_confirmed(self, reef_id: str, event_id: str) -> None:
        """The broker has the outputs of this input."""
        reef = self._reefs.get(reef_id)
        if reef is not None:
            reef.unsent.discard(event_id)

    def _evict(self) -> None:
        # A locked reef is in use: its lane still holds the object, and a second one beside it would defeat the lock.
        surplus = len(self._reefs) - self._limit
        if surplus > 0:
            idle = [reef_id for reef_id, reef in self._reefs.items() if not reef.lock.locked()][:surplus]
            for reef_id in idle:
                del self._reefs[reef_id]
