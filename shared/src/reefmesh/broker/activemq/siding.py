"""A message that takes long gets a slot of its own, so that the reefs with which it shared one go on.

The broker gives a reef to one subscription, and one subscription owns many reefs. A message that is not done holds up all of
them once the slot's window is full, and they cannot be taken away from it but by ending the subscription. So that is what is
done, once a message has been in hand for a second (``PATIENCE_SECONDS``), none of its slot is in hand for less, and a lane has
nothing to do: first there is a new subscription, the *siding*, which takes this reef alone (a selector) and before all others
(a priority); then the old one ends and begins again. The broker gives the message back to the siding, in the hands of the same
lane, which does not notice; the other reefs go to whichever slot is free. Once the message is settled the siding ends.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from reefmesh.broker.activemq.errors import BrokerRefusal, ConnectionLost
from reefmesh.broker.activemq.lane import MOVE_SECONDS, ActiveMQLane, Ticket
from reefmesh.broker.activemq.mailbox import reef_of
from reefmesh.broker.activemq.slot import Mail, Slot

PATIENCE_SECONDS: Final = 1.0
LOOKS_PER_PATIENCE: Final = 4
PRIORITY: Final = "10"
"""Above that of every slot, which is the broker's default of 0."""


class Sidings:
    """Of one consumer. ``on_moved`` hears the reef; ``has_idle_lane``: without one, the other reefs would gain nothing;
    ``on_still``: a slot hands out again."""

    def __init__(
        self,
        queue: str,
        lanes: Sequence[ActiveMQLane],
        *,
        on_mail: Callable[[Mail], None],
        on_moved: Callable[[str], None],
        has_idle_lane: Callable[[], bool],
        on_still: Callable[[], None],
        patience_seconds: float,
    ) -> None:
        self._queue = queue
        self._lanes = lanes
        self._on_mail = on_mail
        self._on_moved = on_moved
        self._has_idle_lane = has_idle_lane
        self._on_still = on_still
        self._patience_seconds = patience_seconds
        self._loop = asyncio.get_running_loop()
        self._slots: list[Slot] = []
        self._empty: set[Slot] = set()
        self._in_hand = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    @property
    def slots(self) -> Sequence[Slot]:
        """Those that are subscribed now; never more than there are lanes."""
        return [slot for slot in self._slots if slot.is_subscribed]

    def notice(self) -> None:
        """A lane has taken a message in hand."""
        self._in_hand.set()

    def start(self) -> None:
        self._looking = asyncio.create_task(self._look(), name=f"sidings {self._queue}")

    async def stop(self) -> None:
        """Move nothing more; sidings in use end when their message is settled. Idempotent, safe before ``start``."""
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
        for lane in self._lanes:
            if (ticket := lane.ticket) is not None:
                ticket.lost()

    async def _look(self) -> None:
        while True:
            while (seconds := self._seconds_to_wait()) is None:
                self._in_hand.clear()
                await self._in_hand.wait()
            await asyncio.sleep(seconds)
            with contextlib.suppress(BrokerRefusal, ConnectionLost):  # what was not moved is looked at again
                await self._end_unused()
                for slot, tickets in self.due():
                    if self._has_idle_lane():
                        await self._move(slot, tickets)

    def due(self) -> list[tuple[Slot, list[Ticket]]]:
        """The slots in which nothing is in hand but what has been for long: nobody is disturbed when they begin again."""
        in_hand: dict[Slot, list[Ticket]] = {}
        for lane in self._lanes:
            if (ticket := lane.ticket) is not None and ticket.mail.is_current:
                in_hand.setdefault(ticket.mail.slot, []).append(ticket)
        before = self._loop.time() - self._patience_seconds
        return [
            (slot, tickets)
            for slot, tickets in in_hand.items()
            if all(ticket.may_move and ticket.taken_at_seconds <= before for ticket in tickets)
        ]

    def _seconds_to_wait(self) -> float | None:
        """Until the next message is due to move; None: none is in hand, and there is no siding."""
        soonest = self._patience_seconds / LOOKS_PER_PATIENCE
        taken = [lane.ticket.taken_at_seconds for lane in self._lanes if lane.ticket is not None and lane.ticket.may_move]
        if not taken:
            return soonest if self._slots else None
        return max(soonest, min(taken) + self._patience_seconds - self._loop.time())

    async def _end_unused(self) -> None:
        """Give up what was empty at two looks: its message came through another slot, because it is in no group."""
        self._slots = list(self.slots)
        empty = {slot for slot in self._slots if slot.is_free}
        for slot in empty & self._empty:
            await slot.leave()
        self._empty = empty - self._empty

    async def _move(self, slot: Slot, tickets: Sequence[Ticket]) -> None:
        slot.hands_out = False  # what would be taken in hand now would be given back at once
        try:
            sidings = [await self._open(ticket, slot.prefetch) for ticket in tickets]
            if all(ticket.may_move for ticket in tickets):
                for ticket in tickets:
                    ticket.moving = self._loop.create_future()
                    self._on_moved(reef_of(ticket.mail))
                await slot.renew()
            else:  # something was settled meanwhile, or lost
                for siding in sidings:
                    await siding.leave()
        finally:
            slot.hands_out = True
            self._on_still()

    async def _open(self, ticket: Ticket, prefetch: int) -> Slot:
        """As wide as the slot: what it held of the reef comes at once, and leaves in its order when it is given back."""
        reef_id = reef_of(ticket.mail).replace("'", "''")
        headers = (("selector", f"JMSXGroupID = '{reef_id}'"), ("activemq.priority", PRIORITY))
        siding = Slot(self._queue, self._on_mail, prefetch=prefetch, headers=headers)
        siding.leave_when_free = True
        self._slots.append(siding)
        await siding.subscribe(ticket.session)
        return siding
