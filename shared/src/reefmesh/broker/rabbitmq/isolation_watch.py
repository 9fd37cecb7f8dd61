"""Which reef is isolated, and when: the one that clogs its shard, while a lane is idle.

Messages of a shard are acknowledged one by one, so a stuck reef takes up one place of its window. Only the messages that wait
behind it may fill the rest, or those of a hot reef, or of one that waits for a missing message. A shard is *clogged* when its
window is full and nothing of it can be handed out. If it is so at two checks in a row, the reef that has the most messages
there is isolated: the window moves on to the other reefs behind.

The watch also finds out whether this consumer has hands for more: where every lane has been stuck for the patience, its shards
are better with others.
"""

import asyncio
import contextlib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from reefmesh.broker.hold import Hold
from reefmesh.broker.port import BrokerUnavailable
from reefmesh.broker.rabbitmq.inbound_message import InboundMessage
from reefmesh.broker.rabbitmq.ready_queue import ReadyQueue
from reefmesh.broker.rabbitmq.shard import Shard

CHECKS_PER_PATIENCE: Final = 4
HANDS_AGAIN_PATIENCES: Final = 5
"""For so long no check may have found every lane stuck until this consumer says that it takes more: shards that went to and fro
with each slow second would cost more than they bring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationLimits:
    """``patience_seconds``: how long a message is in hand before its lane counts as stuck. ``reefs_per_lane``: how many reefs
    are isolated at most."""

    patience_seconds: float = 1.0
    reefs_per_lane: int = 8


class IsolationWatch:
    """Of one consumer. ``say_takes`` is called at each check with whether a lane could take more."""

    def __init__(
        self,
        shards: Sequence[Shard],
        in_hand: Mapping[str, Hold[InboundMessage]],
        held_back: Container[str],
        ready: ReadyQueue,
        limits: IsolationLimits,
        *,
        lanes: int,
        has_idle_lane: Callable[[], bool],
        on_isolated: Callable[[str], None],
        say_takes: Callable[[bool], None],
    ) -> None:
        self._shards = shards
        self._in_hand = in_hand
        self._held_back = held_back
        self._ready = ready
        self._limits = limits
        self._lanes = lanes
        self._has_idle_lane = has_idle_lane
        self._on_isolated = on_isolated
        self._say_takes = say_takes
        self._clogged: dict[int, str] = {}
        self._was_stuck_at_seconds = -inf
        self._loop = asyncio.get_running_loop()
        self._awake = asyncio.Event()
        self._checking: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._checking is None:
            self._checking = asyncio.create_task(self._check(), name="isolation watch")

    def notice(self) -> None:
        """There is something to watch: a message in hand."""
        self._awake.set()

    async def stop(self) -> None:
        """Idempotent, safe before ``start``."""
        checking, self._checking = self._checking, None
        if checking is not None:
            checking.cancel()
            await asyncio.gather(checking, return_exceptions=True)

    async def _check(self) -> None:
        while True:
            if not self._in_hand and not self._ready:
                self._say_takes(True)
                self._awake.clear()
                await self._awake.wait()
            await asyncio.sleep(self._limits.patience_seconds / CHECKS_PER_PATIENCE)
            if self._is_stuck():
                self._was_stuck_at_seconds = self._loop.time()
            self._say_takes(
                self._loop.time() - self._was_stuck_at_seconds >= HANDS_AGAIN_PATIENCES * self._limits.patience_seconds
            )
            before, self._clogged = self._clogged, self._find_clogged() if self._has_idle_lane() else {}
            for index, reef_id in self._clogged.items():
                if index in before:
                    await self._isolate(self._shards[index], reef_id)

    def _is_stuck(self) -> bool:
        """Whether every lane has had its message for the patience, and more are waiting."""
        if len(self._in_hand) < self._lanes or not self._ready:
            return False
        before = self._loop.time() - self._limits.patience_seconds
        return all(hold.taken_at_seconds <= before for hold in self._in_hand.values())

    def _find_clogged(self) -> dict[int, str]:
        """Return the clogged shards, each with the reef that has the most messages there."""
        clogged = {}
        isolated = sum(len(shard.isolated) for shard in self._shards)
        if isolated >= self._limits.reefs_per_lane * self._lanes:
            return {}
        for shard in self._shards:
            tenure = shard.tenure
            if tenure is None or tenure.is_paused or not tenure.is_full:
                continue
            waiting = self._ready.counts_of(tenure)
            if waiting and all(reef_id in self._in_hand or reef_id in self._held_back for reef_id in waiting):
                clogged[shard.index] = max(waiting, key=waiting.__getitem__)
        return clogged

    async def _isolate(self, shard: Shard, reef_id: str) -> None:
        if shard.overflow is not None:
            self._on_isolated(reef_id)
            with contextlib.suppress(BrokerUnavailable, TimeoutError):  # it goes on; other shards must not wait for it
                async with asyncio.timeout(self._limits.patience_seconds):
                    await shard.overflow.isolate(reef_id)
