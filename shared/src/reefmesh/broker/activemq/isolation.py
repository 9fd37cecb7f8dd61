"""To isolate a reef: give it a dedicated subscription, so that the reefs beside it go on.

The broker gives a reef to one subscription, and one subscription owns many reefs. Once its window is full of a reef's
messages, its other reefs wait too. They can be taken away from it only by ending the subscription. Hence this sequence:

1. pause: no further message of the shared subscription is handed out; wait until each of its messages in hand is settled, or
   has been in hand for so long that it is stuck (its reef is isolated too then);
2. open a dedicated subscription for each of these reefs, with a selector for the reef and a priority above the shared ones. The
   broker sends nothing through it while the shared subscription owns the reef;
3. renew the shared subscription. In one write it ends and begins again: the broker takes its messages back in their order and
   delivers those of an isolated reef through the dedicated subscription, the others through any shared one;
4. go on. Messages that are still in hand are *carried over*: when the broker delivers them again, the lane's hold takes the new
   delivery, and the handler does not notice.

A dedicated subscription is as wide as the shared one, so it receives all that the shared one held of the reef, and returns it
in order when it ends. It ends when it was empty at two checks in a row, and with a clean stop.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from reefmesh.broker.activemq.errors import ConnectionLost
from reefmesh.broker.activemq.hold import CARRY_OVER_SECONDS, Hold, HoldPhase
from reefmesh.broker.activemq.inbound_message import InboundMessage
from reefmesh.broker.activemq.ready_queue import ReadyQueue
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.subscription import BrokerSubscription

PRIORITY: Final = "10"
"""Above that of the shared subscriptions, which have the broker's default of 0."""


class Isolation:
    """Of one consumer. ``in_hand``: the hold of each reef; ``on_isolated`` is called with each reef; ``on_resumed``: a paused
    subscription hands out again; ``dedicated_limit``: at most so many dedicated subscriptions."""

    def __init__(
        self,
        queue: str,
        in_hand: Mapping[str, Hold],
        ready: ReadyQueue,
        *,
        patience_seconds: float,
        dedicated_limit: int,
        on_message: Callable[[InboundMessage], None],
        on_isolated: Callable[[str], None],
        on_resumed: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._in_hand = in_hand
        self._ready = ready
        self._patience_seconds = patience_seconds
        self._dedicated_limit = dedicated_limit
        self._on_message = on_message
        self._on_isolated = on_isolated
        self._on_resumed = on_resumed
        self._loop = asyncio.get_running_loop()
        self._one_at_a_time = asyncio.Lock()
        self._let_go = asyncio.Event()
        self._dedicated: dict[str, BrokerSubscription] = {}
        self._empty: set[str] = set()
        self._ending = False

    @property
    def dedicated(self) -> Mapping[str, BrokerSubscription]:
        """The dedicated subscriptions that are subscribed now, by reef."""
        return {reef_id: each for reef_id, each in self._dedicated.items() if each.is_subscribed}

    def notice_let_go(self) -> None:
        """A lane has let its message go."""
        self._let_go.set()

    async def isolate(self, shared: BrokerSubscription, reef_ids: Sequence[str]) -> None:
        """Isolate reefs that belong to this shared subscription. Nothing happens when they are isolated already, at the limit,
        and when a settlement takes longer than the patience.

        Raises:
            BrokerRefusal: the dedicated subscription is not allowed.
            ConnectionLost: the session is gone.
        """
        async with self._one_at_a_time:
            dedicated = self.dedicated
            room = max(0, self._dedicated_limit - len(dedicated))
            wanted = [reef_id for reef_id in reef_ids if reef_id not in dedicated][:room]
            if self._ending or not wanted:
                return
            self._ready.pause(shared)
            try:
                await self._isolate_paused(shared, wanted)
            finally:
                self._ready.resume(shared)
                self._on_resumed()

    def end_unused(self) -> None:
        """Leave the dedicated subscriptions that were empty at this check and the one before: the reef's backlog is gone, or
        its messages came through another subscription because they are in no group."""
        self._dedicated = dict(self.dedicated)
        empty = set()
        for reef_id, dedicated in self._dedicated.items():
            if not any(dedicated.count_arrivals().values()) and not dedicated.unacknowledged_messages:
                empty.add(reef_id)
        unused, self._empty = empty & self._empty, empty - self._empty
        for reef_id in sorted(unused):
            self._dedicated[reef_id].leave_once_settled()

    def end(self) -> None:
        """Isolate nothing more, and leave each dedicated subscription once its messages are settled. One that waits for a
        message that is being carried over must not leave before it has come."""
        self._ending = True
        self._ready.resume_all()
        for reef_id, dedicated in self.dedicated.items():
            hold = self._in_hand.get(reef_id)
            is_awaited = hold is not None and hold.phase is HoldPhase.CARRYING_OVER
            with contextlib.suppress(ConnectionLost):
                dedicated.leave_once_settled(even_if_empty=not is_awaited)

    async def until_carried_over(self) -> None:
        """Wait for the messages that are being carried over, ``CARRY_OVER_SECONDS`` at most."""
        waiting = [hold.came_over for hold in self._in_hand.values() if hold.came_over is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=CARRY_OVER_SECONDS)

    def lost(self) -> None:
        """The session is gone, or the consumer is closed: no message that is being carried over comes."""
        for dedicated in self._dedicated.values():
            dedicated.lost()
        self._dedicated.clear()
        self._empty.clear()
        for hold in self._in_hand.values():
            hold.lost()

    async def _isolate_paused(self, shared: BrokerSubscription, wanted: Sequence[str]) -> None:
        if not await self._all_settled_or_stuck(shared):
            return
        session = shared.session
        if session is None or self._ending:
            return
        reef_ids = dict.fromkeys([*wanted, *(hold.message.reef_id for hold in self._holds_of(shared))])
        isolated = self.dedicated
        opened = await self._open(session, [each for each in reef_ids if each not in isolated], shared.prefetch)
        if not await self._all_settled_or_stuck(shared) or shared.session is not session or self._ending:
            for dedicated in opened:  # a message of a reef without an owner may have come through it, and be in hand
                dedicated.leave_once_settled()
            return
        for hold in self._holds_of(shared):
            hold.carry_over()
        for each in reef_ids:
            self._on_isolated(each)
        await shared.renew()

    async def _all_settled_or_stuck(self, shared: BrokerSubscription) -> bool:
        """Wait until each message in hand of this subscription is settled, or has been in hand for the patience; False: one is
        still being settled, or was carried over before."""
        deadline = self._loop.time() + self._patience_seconds
        while not all(self._is_stuck(hold) for hold in self._holds_of(shared)):
            if self._loop.time() >= deadline:
                return False
            self._let_go.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._let_go.wait()
        return True

    def _is_stuck(self, hold: Hold) -> bool:
        return hold.may_move and hold.taken_at_seconds <= self._loop.time() - self._patience_seconds

    def _holds_of(self, shared: BrokerSubscription) -> Sequence[Hold]:
        return [hold for hold in self._in_hand.values() if hold.message.is_open and hold.message.source is shared]

    async def _open(self, session: Session, reef_ids: Sequence[str], prefetch: int) -> Sequence[BrokerSubscription]:
        """Subscribe for each of these reefs, all in one write."""
        opening = {
            reef_id: BrokerSubscription(self._queue, self._on_message, prefetch=prefetch, headers=_headers_for(reef_id))
            for reef_id in reef_ids
        }
        self._dedicated |= opening
        results = await asyncio.gather(*(each.subscribe(session) for each in opening.values()), return_exceptions=True)
        failed = {reef_id: result for reef_id, result in zip(opening, results, strict=True) if result is not None}
        for reef_id in failed:
            self._dedicated.pop(reef_id).lost()
        for failure in failed.values():
            raise failure
        return list(opening.values())


def _headers_for(reef_id: str) -> Sequence[tuple[str, str]]:
    selector = "JMSXGroupID = '{}'".format(reef_id.replace("'", "''"))
    return (("selector", selector), ("activemq.priority", PRIORITY))
