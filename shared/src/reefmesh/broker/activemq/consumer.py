"""K lanes over a few slots: what arrives through any slot goes to whichever lane is waiting.

The slots together have as many messages in our hands as there are lanes. Where a reef's messages are numbered they are few with
wide windows, because for each message the broker looks through all of them; elsewhere each has a window of one, which keeps a
reef's order by construction.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from reefmesh.broker.activemq.destinations import consumer_advisories, subscription_queue
from reefmesh.broker.activemq.errors import BrokerRefusal, ConnectionLost
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.handover import Membership
from reefmesh.broker.activemq.isolation import Isolation, IsolationLimits
from reefmesh.broker.activemq.lane import ActiveMQLane, Hold
from reefmesh.broker.activemq.ready_queue import ReadyQueue
from reefmesh.broker.activemq.reconnecting_session import ReconnectingSession
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.shared_transactions import SharedTransactions
from reefmesh.broker.activemq.subscription import BrokerSubscription, InboundMessage
from reefmesh.broker.port import BrokerEvent, SubscriptionStatistics
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription

JOIN_JITTER_SECONDS: Final = 0.3
"""How long members wait, at most, before they hand reefs over to one that joined: not all at the same instant."""
SLOT_JITTER_SECONDS: Final = 0.02
"""Between two slots that are given up."""
COME_BACK_SECONDS: Final = 0.1
"""How long a consumer that drains waits for a lane to come back, while there is something for it."""


class ActiveMQConsumer:
    """Of one subscription, on the broker's link for consuming; attached to every session of it while it is started."""

    def __init__(
        self,
        link: ReconnectingSession,
        subscription: Subscription,
        *,
        lanes: int,
        slots_limit: int,
        clock: Clock,
        transactions: Callable[[Session], SharedTransactions],
        on_event: Callable[[BrokerEvent], None],
        random: Random,
        isolation: IsolationLimits,
    ) -> None:
        self.subscription = subscription
        self.transactions = transactions
        self.clock = clock
        self._link = link
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._random = random
        self._lanes = tuple(ActiveMQLane(self, index) for index in range(lanes))
        queue = subscription_queue(subscription)
        slots = min(lanes, slots_limit) if subscription.is_numbered else lanes
        self._slots = tuple(BrokerSubscription(queue, self._on_mail, prefetch=-(-lanes // slots)) for _ in range(slots))
        self._sidings = Isolation(
            queue,
            self._lanes,
            self._slots,
            on_mail=self._on_mail,
            on_moved=self._tell_moved,
            has_idle_lane=lambda: bool(self._waiters),
            on_still=self._wake_all,
            isolation=isolation,
        )
        self._mailbox = ReadyQueue(by_number=subscription.is_numbered)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._in_hand: dict[str, Hold] = {}  # of each reef that a lane works on
        self._idle = asyncio.Event()
        self._idle.set()
        self._started = self._draining = self._closed = False
        self._membership = Membership("")
        self._handing_over: asyncio.Task[None] | None = None
        self._advisories: tuple[Session, str] | None = None

    # the port's face

    @property
    def lanes(self) -> Sequence[ActiveMQLane]:
        return self._lanes

    @property
    def is_closed(self) -> bool:
        return self._closed

    async def start(self) -> None:
        if self._started or self._closed:
            return
        session = self._link.session()
        try:
            await self.attach(session)
        except BaseException:
            await self._leave(self._slots)
            self._stop_listening()
            raise
        self._started = True
        self._sidings.start()
        self._link.add(self)

    async def drain(self) -> None:
        if self._closed:
            return  # what was in hand then is in nobody's hands: waiting for it would never end
        self._draining = True
        with contextlib.suppress(ConnectionLost):
            for slot in self._slots:
                slot.leave_once_free()
            self._sidings.leave_once_free()
        self._wake_all()
        self._idle.clear()
        self._look_for_idleness()
        await self._stop_handing_over()
        await self._sidings.stop()
        await self._sidings.until_still()
        await self._idle.wait()
        await self._leave([*self._slots, *self._sidings.slots])
        self._finish()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._stop_handing_over()
        await self._sidings.stop()
        self._mailbox.clear()
        await self._leave([*self._slots, *self._sidings.slots])
        self._sidings.lost()  # whoever settles what was moving hears at once that it is not ours any more
        self._finish()

    def statistics(self) -> SubscriptionStatistics:
        busy = sum(lane.is_busy for lane in self._lanes)
        return SubscriptionStatistics(
            waiting_messages=None,
            in_flight_messages=busy + self._mailbox.open_messages,
            oldest_age_seconds=self._oldest_age_seconds(),
            lanes=len(self._lanes),
            lanes_busy=busy,
        )

    def _oldest_age_seconds(self) -> float | None:
        arrived = [arrived_at for lane in self._lanes if (arrived_at := lane.arrived_at) is not None]
        return max(0.0, (self.clock.now() - min(arrived)).total_seconds()) if arrived else None

    # what the link calls

    async def attach(self, session: Session) -> None:
        """Subscribe all slots. Raises ConfigurationError without permission, BrokerUnavailable otherwise."""
        self._membership = Membership(session.name)
        try:
            self._advisories = session, session.new_name("a")
            advisories = session.subscribe(
                self._advisories[1],
                consumer_advisories(self.subscription),
                (("ack", "auto"), ("transformation", "jms-advisory-json")),
                self._on_advisory,
            )
            await asyncio.gather(advisories, *(slot.subscribe(session) for slot in self._slots))
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal

    def detach(self) -> None:
        self._mailbox.clear()
        for slot in self._slots:
            slot.lost()
        self._sidings.lost()

    # what lanes call

    async def next_mail(self) -> InboundMessage | None:
        """Wait for a message whose reef is in nobody's hands here; None once the consumer stops, and when it drains as soon as
        there is none: whoever has a reef in hand comes back for its next."""
        while not self._closed:
            if (mail := self._mailbox.take(self._in_hand)) is not None:
                return mail
            if self._draining:
                return None
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif not waiter.cancelled():
                    self._wake()  # it was our turn: somebody else's now
                raise
        return None

    def take_in_hand(self, reef_id: str, ticket: Hold) -> None:
        self._in_hand[reef_id] = ticket
        self._idle.clear()
        self._sidings.notice()

    def let_go(self, reef_id: str) -> None:
        """The lane has no more to do with this reef: whoever got its next message may have it."""
        self._in_hand.pop(reef_id, None)
        self._sidings.notice_let_go()
        self._wake()
        if self._draining:
            self._look_for_idleness()

    def keep(self, mail: InboundMessage) -> bool:
        """Have a message that a lane gave up wait here: behind those here that belong before it, or at the head while the
        broker may still send such. False: only without this one in its slot does the broker go on."""
        mail.came_back = True
        if self._mailbox.put_behind_earlier(mail):
            return True
        if self._draining or mail.slot.is_full:
            return False
        self._mailbox.put_first(mail)
        return True

    async def give_back(self, slot: BrokerSubscription) -> None:
        """Return what is open in the slot to the broker."""
        with contextlib.suppress(BrokerRefusal, ConnectionLost):
            if slot.leave_when_free:
                await slot.leave()
            else:
                await slot.renew()

    # inside

    def _look_for_idleness(self) -> None:
        """Soon: lanes may come back for what has arrived. What none of them takes is given back."""
        delay_seconds = COME_BACK_SECONDS if self._mailbox.open_messages else 0.0
        self._loop.call_later(delay_seconds, self._note_idle)

    def _note_idle(self) -> None:
        if not any(lane.is_busy for lane in self._lanes):
            self._idle.set()

    def _on_mail(self, mail: InboundMessage) -> None:
        ticket = self._in_hand.get(mail.reef_id)
        if ticket is not None and ticket.arrived(mail):
            return
        if self._closed:
            return  # its slot is being given up: the broker takes it back
        self._mailbox.add(mail)
        self._wake()

    def _tell_moved(self, reef_id: str) -> None:
        facts: dict[str, str | int | float] = {"subscription": str(self.subscription), "reef_id": reef_id}
        self._on_event(BrokerEvent(name="reef_isolated", facts=facts))

    def _wake(self) -> None:
        while self._waiters and self._mailbox:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def _leave(self, slots: Sequence[BrokerSubscription]) -> None:
        results = await asyncio.gather(*(slot.leave() for slot in slots), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, BrokerRefusal | ConnectionLost):
                raise result

    def _finish(self) -> None:
        self._closed = True
        self._idle.set()
        self._link.remove(self)
        self._stop_listening()
        self._wake_all()

    def _stop_listening(self) -> None:
        """To advisories; nobody need wait for that."""
        if self._advisories is not None and not self._advisories[0].is_lost:
            self._advisories[0].unsubscribe(self._advisories[1])
        self._advisories = None

    def _on_advisory(self, frame: Frame) -> None:
        change = self._membership.hear(frame.headers, frame.body, now_seconds=self._loop.time())
        if not (change.joined or change.left):
            return
        facts: dict[str, str | int | float] = {
            "subscription": str(self.subscription),
            "other_members": self._membership.others,
            "consumers": change.consumers,
        }
        self._on_event(BrokerEvent(name="consumers_changed", facts=facts))
        if change.joined and not (self._draining or self._closed):
            if self._handing_over is not None:
                self._handing_over.cancel()  # one that joined meanwhile: begin anew, for all of them
            self._handing_over = asyncio.create_task(self._hand_over(), name=f"hand-over {self.subscription}")

    async def _hand_over(self) -> None:
        await asyncio.sleep(JOIN_JITTER_SECONDS * self._random.random())
        slots = list(self._slots)
        self._random.shuffle(slots)
        for slot in slots:
            with contextlib.suppress(ConnectionLost):
                slot.renew_once_free()
            await asyncio.sleep(SLOT_JITTER_SECONDS * self._random.random())
        self._on_event(BrokerEvent(name="groups_released", facts={"subscription": str(self.subscription), "lanes": len(slots)}))

    async def _stop_handing_over(self) -> None:
        task, self._handing_over = self._handing_over, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
