"""Who listens to changes: one listener for each open stream, in bounds."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from reefmesh_dashboard.queries.reefs import ListedReef, ReefVersion

Refusal = Literal["all", "address"]
"""Which bound was reached; a value of the metric's label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """How many streams may be open, and how many changed reefs one of them may have ahead of it."""

    in_all: int = 1000
    for_each_address: int = 10
    ahead: int = 256


@dataclass(slots=True, kw_only=True)
class Changed:
    """A reef that changed. ``texts`` keeps what was written of it, by what it was written for: once for all listeners."""

    reef: ListedReef
    texts: dict[object, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a listener is to be sent. ``ready``: from here on it misses nothing; it is so once, at first. ``reload``: what it
    has not been sent is not known, or more than it could hold, and it has to read everything anew."""

    changed: Collection[Changed] = ()
    ready: bool = False
    reload: bool = False


class Listener:
    """One stream's part: which reefs it asked for, and what it has not been sent yet.

    ``has``: the reefs that it asked for, with the version that it has of each, as text (empty: it does not say); None: all
    reefs. ``reload``: it comes back, and does not say what it has.

    What waits is bounded: a reef that changes again takes the place of its older change, and beyond ``ahead`` reefs all of it
    becomes one ``reload``.
    """

    def __init__(self, has: Mapping[str, str] | None, *, ahead: int, reload: bool = False) -> None:
        self._has = has
        self._ahead = ahead
        self._waiting: dict[str, Changed] = {}
        self._reload = reload
        self._some = asyncio.Event()
        self._ended = False
        self._is_new = True
        self._ready = False

    def missing(self, versions: Mapping[str, ReefVersion], changed: Collection[str]) -> Collection[str]:
        """Return which reefs it has to be sent, where ``changed`` are those that differ from the last look. At first these are
        those of which it has another version than there is now."""
        if self._is_new:
            has = self._has or {}
            return [each for each, version in has.items() if version and each in versions and version != str(versions[each])]
        if self._has is None:
            return changed
        return [each for each in changed if each in self._has]

    def send(self, changed: Collection[Changed]) -> None:
        """Note what it has to be sent."""
        if self._is_new:
            self._is_new, self._ready = False, True
        elif not changed:
            return
        for each in changed:
            self._waiting[each.reef.reef_id] = each
        if len(self._waiting) > self._ahead:
            self._waiting.clear()
            self._reload = True
        self._some.set()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._some.set()

    @property
    def ended(self) -> bool:
        return self._ended

    async def next(self, *, within_seconds: float) -> News | None:
        """Return what waits, as soon as something does; None: nothing came in that time, or nothing more will come."""
        try:
            async with asyncio.timeout(within_seconds):
                await self._some.wait()
        except TimeoutError:
            return None
        if self._ended:
            return None
        self._some.clear()
        news = News(changed=tuple(self._waiting.values()), ready=self._ready, reload=self._reload)
        self._waiting.clear()
        self._ready = self._reload = False
        return news


class Listeners:
    """All open streams of this process."""

    def __init__(self, limits: ListenerLimits) -> None:
        self.limits = limits
        self.arrived = asyncio.Event()
        """Set while somebody listens."""
        self._open: set[Listener] = set()
        self._by_address: Counter[str] = Counter()
        self._ended = False

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Listener]:
        return iter(tuple(self._open))

    def refusal(self, address: str) -> Refusal | None:
        """Return why one more stream from this address may not be opened; None: it may."""
        if self._by_address[address] >= self.limits.for_each_address:
            return "address"
        if len(self._open) >= self.limits.in_all:
            return "all"
        return None

    @contextmanager
    def listening(self, address: str, has: Mapping[str, str] | None, *, reload: bool = False) -> Iterator[Listener]:
        """Give a listener for the time of the context."""
        listener = Listener(has, ahead=self.limits.ahead, reload=reload)
        self._open.add(listener)
        self._by_address[address] += 1
        self.arrived.set()
        if self._ended:
            listener.end()
        try:
            yield listener
        finally:
            self._open.discard(listener)
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
            if not self._open:
                self.arrived.clear()

    def end(self) -> None:
        """End every stream, and each that is opened from now on: the process stops."""
        self._ended = True
        for listener in self:
            listener.end()
