"""A reef that is stuck or hot gets a slot of its own, so that the reefs with which it shared one go on.

The broker gives a reef to one subscription, and one subscription owns many reefs. A message that is not done holds up all of
them once the slot's window is full, and so does a reef with a long backlog; they cannot be taken away from it but by ending the
subscription. So that is what is done, when a lane has nothing to do: first there is a new subscription, the *siding*, which
takes this reef alone (a selector) and before all others (a priority); then the old one ends and begins again, and the other
reefs go to whichever slot is free.

A reef is stuck once a message has been in hand for a second (``IsolationLimits``) and none of its slot is in hand for less.
The broker gives the message back to the siding, in the hands of the same lane, which does not notice. Once it is settled the
siding ends.

A reef is hot when at two looks its messages were at least half of what came through its slot, and the slot was half full at one
of them. It moves at an instant at which nothing of the slot is in hand. The siding ends when nothing has come for two looks.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.broker.activemq.errors import BrokerRefusal, ConnectionLost
from reefmesh.broker.activemq.lane import MOVE_SECONDS, ActiveMQLane, Hold
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.subscription import BrokerSubscription, InboundMessage

LOOKS_PER_PATIENCE: Final = 4
PRIORITY: Final = "10"
"""Above that of every slot, which is the broker's default of 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationLimits:
    """When reefs get a slot of their own: ``patience_seconds`` after a message was taken in hand; and when at least
    ``hot_messages`` of one reef came between two looks."""

    patience_seconds: float = 1.0
    hot_messages: int = 8


class Isolation:
    """Of one consumer, for its ``shared`` slots. ``on_moved`` hears the reef; ``has_idle_lane``: without one, the other reefs
    would gain nothing; ``on_still``: a slot hands out again."""

    def __init__(
        self,
        queue: str,
        lanes: Sequence[ActiveMQLane],
        shared: Sequence[BrokerSubscription],
        *,
        on_mail: Callable[[InboundMessage], None],
        on_moved: Callable[[str], None],
        has_idle_lane: Callable[[], bool],
        on_still: Callable[[], None],
        isolation: IsolationLimits,
    ) -> None:
        self._queue = queue
        self._lanes = lanes
        self._shared = shared
        self._on_mail = on_mail
        self._on_moved = on_moved
        self._has_idle_lane = has_idle_lane
        self._on_still = on_still
        self._relief = isolation
        self._loop = asyncio.get_running_loop()
        self._slots: list[BrokerSubscription] = []
        self._empty: set[BrokerSubscription] = set()
        self._hot: dict[BrokerSubscription, str] = {}
        self._full: set[BrokerSubscription] = set()
        self._in_hand = asyncio.Event()
        self._let_go = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._leaving = False

    @property
    def slots(self) -> Sequence[BrokerSubscription]:
        """Those that are subscribed now: at most one for each lane of stuck reefs, and of hot ones as many."""
        return [slot for slot in self._slots if slot.is_subscribed]

    def notice(self) -> None:
        """A lane has taken a message in hand."""
        self._in_hand.set()

    def notice_let_go(self) -> None:
        """A lane's hands are empty."""
        self._let_go.set()

    def start(self) -> None:
        self._looking = asyncio.create_task(self._look(), name=f"sidings {self._queue}")

    def leave_once_free(self) -> None:
        """Open none for hot reefs any more, and end those as soon as what came through them is settled; others do anyway."""
        self._leaving = True
        for siding in self.slots:
            if not siding.leave_when_free:
                siding.leave_once_free()

    async def stop(self) -> None:
        """Move nothing more. Idempotent, safe before ``start``."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def until_still(self) -> None:
        """Wait for what is moving, ``MOVE_SECONDS`` at most."""
        moving = [ticket.moving for lane in self._lanes if (ticket := lane.ticket) is not None and ticket.moving is not None]
        if moving:
            await asyncio.wait(moving, timeout=MOVE_SECONDS)

    def lost(self) -> None:
        """The session is gone, or everything was given up: nothing that is moving arrives."""
        for slot in self._slots:
            slot.lost()
        self._slots.clear()
        self._empty.clear()
        self._hot.clear()
        self._full.clear()
        for lane in self._lanes:
            if (ticket := lane.ticket) is not None:
                ticket.lost()

    async def _look(self) -> None:
        while True:
            if not (self._slots or self._tickets()):
                self._in_hand.clear()
                await self._in_hand.wait()
            await asyncio.sleep(self._seconds_to_wait())
            with contextlib.suppress(BrokerRefusal, ConnectionLost):  # what was not moved is looked at again
                await self._end_unused()
                for slot, tickets in self.due():
                    if self._has_idle_lane():
                        await self._move(slot, tickets)
                for slot, reef_id in self.hot_again():
                    if self._has_idle_lane() and len(self.slots) < len(self._lanes):
                        await self.relieve(slot, reef_id)

    def due(self) -> list[tuple[BrokerSubscription, list[Hold]]]:
        """The shared slots with nothing in hand but what has been for long: nobody is disturbed when they begin again."""
        in_hand: dict[BrokerSubscription, list[Hold]] = {}
        for ticket in self._tickets():
            if ticket.mail.slot not in self._slots:
                in_hand.setdefault(ticket.mail.slot, []).append(ticket)
        before = self._loop.time() - self._relief.patience_seconds
        return [
            (slot, tickets)
            for slot, tickets in in_hand.items()
            if all(ticket.may_move and ticket.taken_at_seconds <= before for ticket in tickets)
        ]

    def _tickets(self) -> list[Hold]:
        """Of what is in hand and ours."""
        tickets = [lane.ticket for lane in self._lanes]
        return [ticket for ticket in tickets if ticket is not None and ticket.mail.is_current]

    def hot_again(self) -> list[tuple[BrokerSubscription, str]]:
        """Return the slots that one of their reefs keeps busy, and did so at the look before."""
        before, self._hot = self._hot, {}
        full_before, self._full = self._full, {slot for slot in self._shared if slot.is_half_full}
        for slot in self._shared:
            heard, slot.heard = slot.heard, dict.fromkeys(slot.heard, 0)
            if len(heard) > 1:  # a reef that is alone in its slot holds nobody up
                reef_id = max(heard, key=heard.__getitem__)
                if heard[reef_id] >= max(self._relief.hot_messages, sum(heard.values()) / 2):
                    self._hot[slot] = reef_id
        return [
            (slot, reef_id)
            for slot, reef_id in self._hot.items()
            if before.get(slot) == reef_id and slot in self._full | full_before
        ]

    def _seconds_to_wait(self) -> float:
        """Until the next message may be due to move."""
        soonest = self._relief.patience_seconds / LOOKS_PER_PATIENCE
        taken = [ticket.taken_at_seconds for ticket in self._tickets() if ticket.may_move]
        if not taken:
            return soonest if self._slots else self._relief.patience_seconds
        return max(soonest, min(taken) + self._relief.patience_seconds - self._loop.time())

    async def _end_unused(self) -> None:
        """Give up those through which nothing came since the look before last: a hot reef's backlog is gone, or a message
        came through another slot, because it is in no group."""
        self._slots = list(self.slots)
        empty = {slot for slot in self._slots if slot.is_free and not any(slot.heard.values())}
        for slot in self._slots:
            slot.heard = {}
        for slot in empty & self._empty:
            await slot.leave()
        self._empty = empty - self._empty

    async def _move(self, slot: BrokerSubscription, tickets: Sequence[Hold]) -> None:
        slot.hands_out = False  # what would be taken in hand now would be given back at once
        try:
            sidings = [
                await self._open(ticket.session, ticket.mail.reef_id, slot.prefetch, leave_when_free=True) for ticket in tickets
            ]
            if all(ticket.may_move for ticket in tickets):
                for ticket in tickets:
                    ticket.moving = self._loop.create_future()
                    self._on_moved(ticket.mail.reef_id)
                await slot.renew()
            else:  # something was settled meanwhile, or lost
                for siding in sidings:
                    await siding.leave()
        finally:
            slot.hands_out = True
            self._on_still()

    async def relieve(self, slot: BrokerSubscription, reef_id: str) -> None:
        """Move a hot reef, once nothing of its slot is in hand; not now, when that takes long."""
        slot.hands_out = False
        try:
            async with asyncio.timeout(self._relief.patience_seconds):
                while any(ticket.mail.slot is slot for ticket in self._tickets()):
                    self._let_go.clear()
                    await self._let_go.wait()
            if slot.session is None or self._leaving:
                return
            await self._open(slot.session, reef_id, slot.prefetch, leave_when_free=False)
            if not self._leaving:
                await slot.renew()
                self._on_moved(reef_id)
        except TimeoutError:
            return
        finally:
            slot.hands_out = True
            self._on_still()

    async def _open(self, session: Session, reef_id: str, prefetch: int, *, leave_when_free: bool) -> BrokerSubscription:
        """As wide as the slot: what it held of the reef comes at once, and leaves in its order when it is given back."""
        selector = "JMSXGroupID = '{}'".format(reef_id.replace("'", "''"))
        headers = (("selector", selector), ("activemq.priority", PRIORITY))
        siding = BrokerSubscription(self._queue, self._on_mail, prefetch=prefetch, headers=headers)
        siding.leave_when_free = leave_when_free
        self._slots.append(siding)
        await siding.subscribe(session)
        return siding
