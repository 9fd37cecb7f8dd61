"""To isolate reefs: give them a dedicated subscription, so that the reefs beside them go on.

The broker gives a reef to one subscription, and one subscription owns many reefs. Once its window is full of a reef's
messages, its other reefs wait too. They can be taken away from it only by ending the subscription. Hence this sequence:

1. pause: no further message of the shared subscription is handed out; wait until each of its messages in hand is settled, or
   has been in hand for so long that it is stuck (its reef is isolated too then);
2. open dedicated subscriptions, with a selector for their reefs and a priority above the shared ones. The broker sends nothing
   through them while the shared subscription owns the reefs;
3. renew the shared subscription. In one write it ends and begins again: the broker takes its messages back in their order and
   delivers those of an isolated reef through the dedicated subscription, the others through any shared one;
4. go on. Messages that are still in hand are *carried over*: when the broker delivers them again, the lane's hold takes the new
   delivery, and the handler does not notice.

A stuck or hot reef gets a dedicated subscription of its own. Reefs that are held back are isolated *together*: in one pass over
all shared subscriptions, and with one dedicated subscription for all of them. The broker asks the selector of each subscription
that has room about each message that waits, so a subscription for each reef of a crowd would slow down all the others.

A dedicated subscription is as wide for each reef as the shared one, so it receives all that the shared one held of its reefs,
and returns it in order when it ends. One of several reefs is left when a further pass isolates some of these reefs anew. It
ends when it was of no use at two checks in a row, and with a clean stop. One of a single reef is of no use when it is empty,
one of several when none of them is held back.
"""

import asyncio
import contextlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Final

from reefmesh.broker.activemq.inbound_message import InboundMessage, MessageSource
from reefmesh.broker.activemq.ready_queue import ReadyQueue
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.subscription import BrokerSubscription
from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.hold import CARRY_OVER_SECONDS, Hold, HoldPhase

PRIORITY: Final = "10"
"""Above that of the shared subscriptions, which have the broker's default of 0."""
SELECTOR_BYTES_LIMIT: Final = 4096
"""Of the reefs' names in one selector; the broker closes a connection that sends it a header of more than 10 KiB."""


class Isolation:
    """Of one consumer. ``in_hand``: the hold of each reef; ``on_isolated`` is called with each reef; ``on_resumed``: a paused
    subscription hands out again; ``dedicated_limit``: at most so many reefs have a dedicated subscription."""

    def __init__(
        self,
        queue: str,
        in_hand: Mapping[str, Hold[InboundMessage]],
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
        self._reefs_of: dict[BrokerSubscription, Sequence[str]] = {}  # of each dedicated subscription, the newest last
        self._unused: set[BrokerSubscription] = set()
        self._ending = False

    @property
    def subscriptions(self) -> Sequence[BrokerSubscription]:
        """The dedicated subscriptions that are subscribed now."""
        return [each for each in self._reefs_of if each.is_subscribed]

    @property
    def of_several_reefs(self) -> Sequence[BrokerSubscription]:
        return [each for each in self.subscriptions if len(self._reefs_of[each]) > 1]

    @property
    def dedicated(self) -> Mapping[str, BrokerSubscription]:
        """The dedicated subscriptions that are subscribed now, by reef."""
        return {reef_id: each for each in self.subscriptions for reef_id in self._reefs_of[each]}

    def is_of_one_reef(self, source: MessageSource) -> bool:
        """Return whether this is a dedicated subscription through which the messages of one reef alone come."""
        return any(each is source and len(reef_ids) == 1 for each, reef_ids in self._reefs_of.items())

    def notice_let_go(self) -> None:
        """A lane has let its message go."""
        self._let_go.set()

    async def isolate(self, source: BrokerSubscription, reef_ids: Sequence[str]) -> None:
        """Isolate reefs that belong to this subscription, a shared one or a dedicated one of several reefs, each for itself.
        Nothing happens when they are isolated already, at the limit, and when a settlement takes longer than the patience.

        Raises:
            BrokerRefusal: the dedicated subscription is not allowed.
            ConnectionLost: the session is gone.
        """
        await self._isolate({source: reef_ids}, is_together=False)

    async def isolate_together(self, reef_ids: Mapping[BrokerSubscription, Sequence[str]]) -> None:
        """Isolate reefs of several such subscriptions in one pass, and for all of them open one dedicated subscription. A
        subscription in which a settlement takes longer than the patience is left as it is. Raises as ``isolate``."""
        await self._isolate(reef_ids, is_together=True)

    def end_unused(self, held_back: Container[str] = ()) -> None:
        """Leave the dedicated subscriptions that were of no use at this check and the one before: the reef's backlog is gone,
        or its messages came through another subscription because they are in no group, or no reef is held back any more."""
        self._reefs_of = {each: self._reefs_of[each] for each in self.subscriptions}
        unused = {each for each in self._reefs_of if self._is_unused(each, held_back)}
        for dedicated in self._reefs_of:
            if dedicated in unused and dedicated in self._unused:
                dedicated.leave_once_settled()
        self._unused = unused

    def end(self) -> None:
        """Isolate nothing more, and leave each dedicated subscription once its messages are settled. One that waits for a
        message that is being carried over must not leave before it has come."""
        self._ending = True
        self._ready.resume_all()
        for dedicated in self.subscriptions:
            holds = [self._in_hand[reef_id] for reef_id in self._reefs_of[dedicated] if reef_id in self._in_hand]
            is_awaited = any(hold.phase is HoldPhase.CARRYING_OVER for hold in holds)
            with contextlib.suppress(ConnectionLost):
                dedicated.leave_once_settled(even_if_empty=not is_awaited)

    async def until_carried_over(self) -> None:
        """Wait for the messages that are being carried over, ``CARRY_OVER_SECONDS`` at most."""
        waiting = [hold.came_over for hold in self._in_hand.values() if hold.came_over is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=CARRY_OVER_SECONDS)

    def lost(self) -> None:
        """The session is gone, or the consumer is closed: no message that is being carried over comes."""
        for dedicated in self._reefs_of:
            dedicated.lost()
        self._reefs_of.clear()
        self._unused.clear()
        for hold in self._in_hand.values():
            hold.stay()

    async def _isolate(self, reef_ids: Mapping[BrokerSubscription, Sequence[str]], *, is_together: bool) -> None:
        async with self._one_at_a_time:
            elsewhere = {reef_id for reef_id, each in self.dedicated.items() if each not in reef_ids}
            room = max(0, self._dedicated_limit - len(elsewhere))
            wanted = dict[BrokerSubscription, Sequence[str]]()
            for source, reefs in reef_ids.items():
                wanted[source] = [reef_id for reef_id in reefs if reef_id not in elsewhere][:room]
                room -= len(wanted[source])
            wanted = {source: reefs for source, reefs in wanted.items() if reefs and source.is_subscribed}
            if self._ending or not wanted:
                return
            for source in wanted:
                self._ready.pause(source)
            try:
                await self._isolate_paused(wanted, is_together=is_together)
            finally:
                for source in wanted:
                    self._ready.resume(source)
                self._on_resumed()

    async def _isolate_paused(self, wanted: Mapping[BrokerSubscription, Sequence[str]], *, is_together: bool) -> None:
        sources = await self._settled_or_stuck(list(wanted))
        sessions = {source.session for source in sources}
        session = sessions.pop() if len(sessions) == 1 else None
        if session is None or self._ending:
            return
        reef_ids = dict.fromkeys(reef_id for source in sources for reef_id in wanted[source])
        reef_ids |= dict.fromkeys(hold.message.reef_id for hold in self._holds_of(sources))
        opened = await self._open(session, self._plan(sources, reef_ids, is_together=is_together))
        settled = await self._settled_or_stuck(sources)
        if len(settled) < len(sources) or any(source.session is not session for source in sources) or self._ending:
            for dedicated in opened:  # a message of a reef without an owner may have come through it, and be in hand
                dedicated.leave_once_settled()
            return
        for hold in self._holds_of(sources):
            hold.carry_over()
        for each in reef_ids:
            self._on_isolated(each)
        await asyncio.gather(*(self._give_up(source) for source in sources))

    def _plan(
        self, sources: Sequence[BrokerSubscription], reef_ids: Iterable[str], *, is_together: bool
    ) -> Sequence[tuple[Sequence[str], int]]:
        """Return which dedicated subscriptions to open: the reefs of each, and its prefetch.

        What is in hand is stuck, so its reef is not put together with others. Nor is anything where the prefetch is one: that
        keeps the order of reefs without numbers. What else a dedicated subscription holds, which is about to be left, moves to
        another one as wide: shared ones might have no room for all of it.
        """
        isolated = {reef_id for reef_id, each in self.dedicated.items() if each not in sources}
        wanted = [reef_id for reef_id in reef_ids if reef_id not in isolated]
        in_hand = {hold.message.reef_id for hold in self._holds_of(sources)}
        widest = max(source.prefetch for source in sources)
        width = max(source.prefetch // len(self._reefs_of.get(source, ("",))) for source in sources)  # for each reef
        movable = [reef_id for reef_id in wanted if reef_id not in in_hand]
        others = [each for source in sources for each in self._reefs_of.get(source, ()) if each not in reef_ids]
        together = [*_groups(movable), *_groups(others)] if is_together and widest > 1 else _each([*movable, *others])
        alone = _each([reef_id for reef_id in wanted if reef_id in in_hand])
        return [(group, max(widest, width * len(group))) for group in (*together, *alone)]

    async def _settled_or_stuck(self, sources: Sequence[BrokerSubscription]) -> Sequence[BrokerSubscription]:
        """Wait, for the patience at most, until each message in hand of these subscriptions is settled or stuck. Return those
        of which that is true; of the others one is still being settled, or was carried over before."""
        deadline = self._loop.time() + self._patience_seconds
        while not all(self._is_stuck(hold) for hold in self._holds_of(sources)):
            if self._loop.time() >= deadline:
                return [source for source in sources if all(self._is_stuck(hold) for hold in self._holds_of([source]))]
            self._let_go.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._let_go.wait()
        return sources

    async def _give_up(self, source: BrokerSubscription) -> None:
        if source in self._reefs_of:
            await source.leave()
        else:
            await source.renew()

    def _is_unused(self, dedicated: BrokerSubscription, held_back: Container[str]) -> bool:
        if len(reef_ids := self._reefs_of[dedicated]) > 1:
            return not any(reef_id in held_back for reef_id in reef_ids)
        return not any(dedicated.count_arrivals().values()) and not dedicated.unacknowledged_messages

    def _is_stuck(self, hold: Hold[InboundMessage]) -> bool:
        return hold.may_move and hold.taken_at_seconds <= self._loop.time() - self._patience_seconds

    def _holds_of(self, sources: Sequence[BrokerSubscription]) -> Sequence[Hold[InboundMessage]]:
        return [hold for hold in self._in_hand.values() if hold.message.is_open and hold.message.source in sources]

    async def _open(self, session: Session, plan: Sequence[tuple[Sequence[str], int]]) -> Sequence[BrokerSubscription]:
        """Subscribe for the reefs of each group, all in one write."""
        opening = {
            BrokerSubscription(self._queue, self._on_message, prefetch=prefetch, headers=_headers_for(reef_ids)): reef_ids
            for reef_ids, prefetch in plan
        }
        self._reefs_of |= opening
        results = await asyncio.gather(*(each.subscribe(session) for each in opening), return_exceptions=True)
        failed = {each: result for each, result in zip(opening, results, strict=True) if result is not None}
        for each in failed:
            del self._reefs_of[each]
            each.lost()
        for failure in failed.values():
            raise failure
        return list(opening)


def _each(reef_ids: Sequence[str]) -> Sequence[Sequence[str]]:
    return [[reef_id] for reef_id in reef_ids]


def _groups(reef_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the reefs in groups whose names fit into one selector."""
    group, size_bytes = list[str](), 0
    for reef_id in reef_ids:
        size_bytes += len(_quoted(reef_id).encode())
        if group and size_bytes > SELECTOR_BYTES_LIMIT:
            yield group
            group, size_bytes = [], len(_quoted(reef_id).encode())
        group.append(reef_id)
    if group:
        yield group


def _headers_for(reef_ids: Sequence[str]) -> Sequence[tuple[str, str]]:
    names = ", ".join(_quoted(reef_id) for reef_id in reef_ids)
    selector = f"JMSXGroupID = {names}" if len(reef_ids) == 1 else f"JMSXGroupID IN ({names})"
    return (("selector", selector), ("activemq.priority", PRIORITY))


def _quoted(reef_id: str) -> str:
    return "'{}'".format(reef_id.replace("'", "''"))
