"""Where one subscription's backlog meets the lanes that wait for work."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from reefmesh.broker.embedded.backlog import Backlog
from reefmesh.broker.embedded.fifo import Held
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope

_PAST_DEADLINE_SECONDS: Final = 0.001


class Hand(Protocol):
    """What a desk needs of a lane."""

    def give(self, held: Held[Envelope]) -> bool:
        """Take this message; False when the lane has stopped waiting."""
        ...

    def settled(self, held: Held[Envelope]) -> None:
        """It is settled durably."""
        ...

    def kept(self, held: Held[Envelope]) -> None:
        """Settling it failed; it is still in flight."""
        ...

    def lost(self, held: Held[Envelope]) -> None:
        """It timed out."""
        ...


class Desk:
    """Gives the oldest takeable message to the lane that has waited longest, whosever lane that is."""

    def __init__(self, number: int, backlog: Backlog, *, freed: Callable[[], None]) -> None:
        """``number`` is the subscription's in the journal; ``freed`` is called when there may be room to read on."""
        self.number = number
        self.backlog = backlog
        self.fifo = backlog.fifo
        self.lanes = 0
        self._idle: deque[Hand] = deque()
        self._freed = freed
        self._timer: asyncio.TimerHandle | None = None

    @property
    def subscription(self) -> Subscription:
        return self.backlog.subscription

    def wants_reading(self) -> bool:
        return self.lanes > 0 and self.backlog.wants_reading()

    def is_waited_at(self) -> bool:
        return bool(self._idle)

    def take(self, hand: Hand) -> Held[Envelope] | None:
        """Return a message at once, or None: then ``hand`` is given one later."""
        held = self.fifo.take()
        if held is None:
            self._idle.append(hand)
            self._freed()
            return None
        held.holder = hand
        self._watch()
        return held

    def leave(self, hand: Hand) -> None:
        """Forget that this lane waits."""
        if hand in self._idle:
            self._idle.remove(hand)

    def dispatch(self) -> None:
        """Hand out what can be handed out."""
        idle, fifo = self._idle, self.fifo
        while idle and fifo.ready_groups:
            held = fifo.take()
            if held is None:
                return
            hand = idle.popleft()
            held.holder = hand
            if not hand.give(held):
                fifo.release(held)
        self._watch()

    def acknowledge(self, held: Held[Envelope]) -> None:
        """The settlement is durable."""
        self.backlog.acknowledge(held)
        held.pinned = False
        held.holder.settled(held)

    def keep(self, held: Held[Envelope]) -> None:
        """The settlement failed; nothing of it happened."""
        held.pinned = False
        held.holder.kept(held)
        self._watch()

    def release(self, held: Held[Envelope]) -> bool:
        """The message goes back to its place; False when it was not in flight any more."""
        released = self.fifo.release(held)
        if released:
            self.dispatch()
        return released

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        """Look again when the next visibility time-out passes."""
        if self._timer is None and (deadline := self.fifo.next_deadline()) is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline + _PAST_DEADLINE_SECONDS, self._expire)

    def _expire(self) -> None:
        self._timer = None
        for held in self.fifo.expire():
            held.holder.lost(held)
        self.dispatch()
