"""K lanes over K slots: what arrives through any slot goes to whichever lane is waiting."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from reefmesh.broker.activemq.destinations import consumer_advisories, subscription_queue
from reefmesh.broker.activemq.errors import BrokerRefusal, ConnectionLost
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.group_commit import GroupCommit
from reefmesh.broker.activemq.handover import Membership
from reefmesh.broker.activemq.lane import ActiveMQLane, Ticket
from reefmesh.broker.activemq.link import Link
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.siding import Sidings
from reefmesh.broker.activemq.slot import Mail, Slot
from reefmesh.broker.port import BrokerEvent, SubscriptionStatistics
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription

JOIN_JITTER_SECONDS: Final = 0.3
"""How long members wait, at most, before they hand reefs over to one that joined: not all at the same instant."""
SLOT_JITTER_SECONDS: Final = 0.02
"""Between two slots that are given up."""


class ActiveMQConsumer:
    """Of one subscription, on the broker's link for consuming; attached to every session of it while it is started."""

    def __init__(
        self,
        link: Link,
        subscription: Subscription,
        *,
        lanes: int,
        clock: Clock,
        commits: Callable[[Session], GroupCommit],
        on_event: Callable[[BrokerEvent], None],
        random: Random,
        patience_seconds: float,
    ) -> None:
        self.subscription = subscription
        self.commits = commits
        self.clock = clock
        self._link = link
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._random = random
        self._lanes = tuple(ActiveMQLane(self, index) for index in range(lanes))
        queue = subscription_queue(subscription)
        self._slots = tuple(Slot(queue, self._on_mail) for _ in range(lanes))
        self._sidings = Sidings(
            queue,
            self._lanes,
            on_mail=self._on_mail,
            on_moved=self._tell_moved,
            has_idle_lane=lambda: bool(self._waiters),
            patience_seconds=patience_seconds,
        )
        self._mail: deque[Mail] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._in_hand: dict[str, Ticket] = {}  # of each reef that a lane works on
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
        self._wake_all()
        await self._stop_handing_over()
        await self._sidings.stop()
        await self._sidings.until_still()
        unread, self._mail = self._mail, deque()
        slots = [*self._slots, *self._sidings.slots]
        for slot in slots:
            slot.leave_when_free = True
        unread_slots = {mail.slot for mail in unread}
        await self._leave([slot for slot in slots if slot.mail is None or slot in unread_slots])
        await self._idle.wait()
        await self._leave(slots)
        self._finish()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._stop_handing_over()
        await self._sidings.stop()
        self._mail.clear()
        await self._leave([*self._slots, *self._sidings.slots])
        self._sidings.lost()  # whoever settles what was moving hears at once that it is not ours any more
        self._finish()

    def statistics(self) -> SubscriptionStatistics:
        busy = sum(lane.is_busy for lane in self._lanes)
        return SubscriptionStatistics(
            waiting_messages=None,
            in_flight_messages=busy + sum(mail.is_current for mail in self._mail),
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
        self._mail.clear()
        for slot in self._slots:
            slot.lost()
        self._sidings.lost()

    # what lanes call

    async def next_mail(self) -> Mail | None:
        """Wait for a message whose reef is in nobody's hands here; None once the consumer stops."""
        while not (self._draining or self._closed):
            if (mail := self._take()) is not None:
                return mail
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # it was our turn: somebody else's now
                raise
            finally:
                with contextlib.suppress(ValueError):
                    self._waiters.remove(waiter)
        return None

    def take_in_hand(self, reef_id: str, ticket: Ticket) -> None:
        self._in_hand[reef_id] = ticket
        self._idle.clear()
        self._sidings.notice()

    def let_go(self, reef_id: str) -> None:
        """The lane has no more to do with this reef: whoever got its next message may have it."""
        self._in_hand.pop(reef_id, None)
        if not any(lane.is_busy for lane in self._lanes):
            self._idle.set()
        self._wake()

    async def give_back(self, slot: Slot) -> None:
        """Return the slot's message to the broker unhandled."""
        with contextlib.suppress(BrokerRefusal, ConnectionLost):
            if slot.leave_when_free:
                await slot.leave()
            else:
                await slot.renew()

    # inside

    def _take(self) -> Mail | None:
        """Return the first message of a reef that is in nobody's hands; what the broker took back meanwhile is dropped."""
        while self._mail and not self._mail[0].is_current:
            self._mail.popleft()
        for index, mail in enumerate(self._mail):
            if mail.is_current and mail.frame.headers.get("reef-id", "") not in self._in_hand:
                del self._mail[index]
                return mail
        return None

    def _on_mail(self, mail: Mail) -> None:
        ticket = self._in_hand.get(mail.frame.headers.get("reef-id", ""))
        if ticket is not None and ticket.arrived(mail):
            return
        if self._draining or self._closed:
            return  # its slot is being given up: the broker takes it back
        self._mail.append(mail)
        self._wake()

    def _tell_moved(self, reef_id: str) -> None:
        facts: dict[str, str | int | float] = {"subscription": str(self.subscription), "reef_id": reef_id}
        self._on_event(BrokerEvent(name="reef_moved", facts=facts))

    def _wake(self) -> None:
        while self._waiters and self._mail:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_all(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _leave(self, slots: Sequence[Slot]) -> None:
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
            if slot.mail is not None:
                slot.renew_when_free = True
            elif slot.is_subscribed:
                with contextlib.suppress(BrokerRefusal, ConnectionLost):
                    await slot.renew()
            await asyncio.sleep(SLOT_JITTER_SECONDS * self._random.random())
        self._on_event(BrokerEvent(name="lane_shed", facts={"subscription": str(self.subscription), "lanes": len(slots)}))

    async def _stop_handing_over(self) -> None:
        task, self._handing_over = self._handing_over, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
