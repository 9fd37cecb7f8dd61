"""Which reef is isolated, and when: a reef is isolated while a lane is idle and the reef is stuck, hot or held back.

Without an idle lane the reefs beside it would gain nothing. At each check:

- *stuck*: its message has been in hand for the patience, and so has all that is in hand of the same shared subscription;
  nobody is disturbed when that is renewed;
- *hot*: at this check and the one before, at least half of the messages through its shared subscription were its own, and the
  subscription was half full at one of the two. A reef that is alone in its subscription holds nobody up;
- *held back*: its message waits for an earlier one, and what comes behind that in its shared subscription can be settled but
  not acknowledged: soon the window is full of that. All such reefs are isolated together; and anew when some of them go on
  and have filled the dedicated subscription that they share with those that wait.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.inbound_message import InboundMessage, MessageSource
from reefmesh.broker.activemq.isolation import Isolation
from reefmesh.broker.activemq.subscription import BrokerSubscription
from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.held_back import HeldBackReefs
from reefmesh.broker.hold import Hold

CHECKS_PER_PATIENCE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationLimits:
    """``patience_seconds``: how long a message is in hand before its reef counts as stuck. ``hot_messages``: how many messages
    between two checks make a reef hot, at least."""

    patience_seconds: float = 1.0
    hot_messages: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReefToIsolate:
    source: BrokerSubscription
    reef_id: str


class StuckReefs:
    """Finds, of each subscription of several reefs that is blocked by stuck ones, the first of them."""

    def __init__(
        self,
        sources: Callable[[], Sequence[BrokerSubscription]],
        in_hand: Mapping[str, Hold[InboundMessage]],
        limits: IsolationLimits,
    ) -> None:
        self._sources = sources
        self._in_hand = in_hand
        self._limits = limits

    def find(self, now_seconds: float) -> Sequence[ReefToIsolate]:
        before = now_seconds - self._limits.patience_seconds
        found = []
        for source in self._sources():
            holds = [hold for hold in self._in_hand.values() if hold.message.is_open and hold.message.source is source]
            if holds and all(hold.may_move and hold.taken_at_seconds <= before for hold in holds):
                found.append(ReefToIsolate(source=source, reef_id=holds[0].message.reef_id))
        return found


class HotReefs:
    """Finds, of each shared subscription, the reef that was hot at two checks in a row; each ``find`` is a check."""

    def __init__(self, shared: Sequence[BrokerSubscription], limits: IsolationLimits) -> None:
        self._shared = shared
        self._limits = limits
        self._hot: dict[BrokerSubscription, str] = {}
        self._half_full: set[BrokerSubscription] = set()

    def find(self) -> Sequence[ReefToIsolate]:
        hot_before, half_full_before = self._hot, self._half_full
        self._hot = {shared: reef_id for shared in self._shared if (reef_id := self._busiest(shared)) is not None}
        self._half_full = {shared for shared in self._shared if 2 * shared.unacknowledged_messages >= shared.prefetch}
        return [
            ReefToIsolate(source=shared, reef_id=reef_id)
            for shared, reef_id in self._hot.items()
            if hot_before.get(shared) == reef_id and shared in self._half_full | half_full_before
        ]

    def forget(self) -> None:
        """The session is lost: the next check is the first."""
        self._hot.clear()
        self._half_full.clear()

    def _busiest(self, shared: BrokerSubscription) -> str | None:
        arrivals = shared.count_arrivals()
        if len(arrivals) < 2:
            return None
        reef_id = max(arrivals, key=arrivals.__getitem__)
        is_hot = arrivals[reef_id] >= max(self._limits.hot_messages, sum(arrivals.values()) / 2)
        return reef_id if is_hot else None


class IsolationWatch:
    """Of one consumer: finds stuck, hot and held back reefs while there are messages here, and isolates them.

    ``hot_limit``: with so many dedicated subscriptions no hot reef gets one; stuck reefs need what is left.
    """

    def __init__(
        self,
        shared: Sequence[BrokerSubscription],
        in_hand: Mapping[str, Hold[InboundMessage]],
        held_back: HeldBackReefs[InboundMessage],
        isolation: Isolation,
        limits: IsolationLimits,
        *,
        has_idle_lane: Callable[[], bool],
        hot_limit: int,
    ) -> None:
        self._shared = shared
        self._in_hand = in_hand
        self._held_back = held_back
        self._isolation = isolation
        self._limits = limits
        self._has_idle_lane = has_idle_lane
        self._hot_limit = hot_limit
        self._stuck = StuckReefs(lambda: [*shared, *isolation.of_several_reefs], in_hand, limits)
        self._hot = HotReefs(shared, limits)
        self._loop = asyncio.get_running_loop()
        self._awake = asyncio.Event()
        self._hurried = asyncio.Event()
        self._checking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._checking = asyncio.create_task(self._check(), name="isolation watch")

    def notice(self) -> None:
        """There is something to watch: a message in hand, or a dedicated subscription."""
        self._awake.set()

    def hurry(self) -> None:
        """A reef is held back: check soon, once what came with it was looked at too."""
        self._hurried.set()
        self._awake.set()

    def lost(self) -> None:
        self._hot.forget()

    async def stop(self) -> None:
        """Idempotent, safe before ``start``."""
        checking, self._checking = self._checking, None
        if checking is not None:
            checking.cancel()
            await asyncio.gather(checking, return_exceptions=True)

    async def _check(self) -> None:
        while True:
            if not (self._in_hand or self._held_back or self._isolation.dedicated):
                self._awake.clear()
                await self._awake.wait()
            await self._until_next_check()
            with contextlib.suppress(BrokerRefusal, ConnectionLost):  # the next check finds the reef again
                self._isolation.end_unused(self._held_back)
                for stuck in self._stuck.find(self._loop.time()):
                    if self._has_idle_lane():
                        await self._isolation.isolate(stuck.source, [stuck.reef_id])
                await self._isolate_held_back()
                for hot in self._hot.find():
                    if self._has_idle_lane() and len(self._isolation.dedicated) < self._hot_limit:
                        await self._isolation.isolate(hot.source, [hot.reef_id])

    async def _isolate_held_back(self) -> None:
        if not self._has_idle_lane():
            return
        held_back = {shared: reef_ids for shared in self._shared if (reef_ids := self._held_back_in(shared))}
        if held_back:
            await self._isolation.isolate_together(held_back)
        for dedicated in self._isolation.of_several_reefs:
            reef_ids = self._held_back_in(dedicated)
            if dedicated.is_full and 0 < len(reef_ids) < len(dedicated.arrivals):
                await self._isolation.isolate_together({dedicated: reef_ids})

    def _held_back_in(self, source: MessageSource) -> Sequence[str]:
        """Return the reefs whose waiting message is open in this subscription."""
        return [each.reef_id for each in self._held_back.messages if each.is_open and each.source is source]

    async def _until_next_check(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds_to_next_check()):
                await self._hurried.wait()
                await asyncio.sleep(self._soonest_seconds)
        self._hurried.clear()

    @property
    def _soonest_seconds(self) -> float:
        return self._limits.patience_seconds / CHECKS_PER_PATIENCE

    def _seconds_to_next_check(self) -> float:
        patience_seconds = self._limits.patience_seconds
        soonest_seconds = self._soonest_seconds
        taken = [hold.taken_at_seconds for hold in self._in_hand.values() if hold.may_move]
        if taken:  # when the first of them may be stuck
            return max(soonest_seconds, min(taken) + patience_seconds - self._loop.time())
        return soonest_seconds if self._isolation.dedicated else patience_seconds
