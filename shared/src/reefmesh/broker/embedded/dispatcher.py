"""Gives the messages of one subscription's backlog to the lanes that wait for work."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from reefmesh.broker.embedded.backlog import Backlog
from reefmesh.broker.embedded.fifo import Held
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope

_PAST_DEADLINE_SECONDS: Final = 0.001


class Waiter(Protocol):
    """A lane that waits for a message, or holds one: the part that the dispatcher uses."""

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
        """Its visibility time-out has passed: another lane may get it."""
        ...


class Dispatcher:
    """Gives the oldest message that may be taken to the lane that has waited longest, of whichever client."""

    def __init__(self, number: int, backlog: Backlog, *, freed: Callable[[], None]) -> None:
        """``number`` is the subscription's in the journal; ``freed`` is called when there may be room to read on."""
        self.number = number
        self.backlog = backlog
        self.fifo = backlog.fifo
        self.lanes = 0
        self._idle: deque[Waiter] = deque()
        self._freed = freed
        self._timer: asyncio.TimerHandle | None = None
        self._later: dict[Held[Envelope], asyncio.TimerHandle] = {}

    @property
    def subscription(self) -> Subscription:
        return self.backlog.subscription

    def wants_reading(self) -> bool:
        return self.lanes > 0 and self.backlog.wants_reading()

    def has_waiters(self) -> bool:
        return bool(self._idle)

    def take(self, waiter: Waiter) -> Held[Envelope] | None:
        """Return a message at once, or None: then ``waiter`` is given one later."""
        held = self.fifo.take()
        if held is None:
            self._idle.append(waiter)
            self._freed()
            return None
        held.holder = waiter
        self._watch()
        return held

    def leave(self, waiter: Waiter) -> None:
        """Forget that this lane waits."""
        if waiter in self._idle:
            self._idle.remove(waiter)

    def dispatch(self) -> None:
        """Give messages to waiting lanes as long as there are both."""
        idle, fifo = self._idle, self.fifo
        while idle and fifo.ready_groups:
            held = fifo.take()
            if held is None:
                return
            waiter = idle.popleft()
            held.holder = waiter
            if not waiter.give(held):
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

    def release_later(self, held: Held[Envelope], seconds: float) -> None:
        """The message goes back to its place after this time; until then it is in flight, in no lane's hands, so that its group
        waits. No more messages wait so than there are groups with one in flight."""
        self._later[held] = asyncio.get_running_loop().call_later(seconds, self._release_held, held)

    def release_waiting(self, holder: Waiter) -> None:
        """What this lane has released for later goes back now: its consumer ends."""
        for held in [held for held in self._later if held.holder is holder]:
            self._later[held].cancel()
            self._release_held(held)

    def close(self) -> None:
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release_held(self, held: Held[Envelope]) -> None:
        del self._later[held]
        self.release(held)

    def _watch(self) -> None:
        """Set the timer for the next visibility time-out."""
        if self._timer is None and (deadline := self.fifo.next_deadline()) is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline + _PAST_DEADLINE_SECONDS, self._expire)

    def _expire(self) -> None:
        self._timer = None
        for held in self.fifo.expire():
            held.holder.lost(held)
        self.dispatch()
