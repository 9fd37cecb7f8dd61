"""K lanes over a few shared subscriptions: a message that arrives through any of them goes to whichever lane is waiting.

Together the shared subscriptions have as many unacknowledged messages as there are lanes. Where a reef's messages are
numbered they are few and wide, because the broker searches all of them for each message; elsewhere each has a prefetch of
one, which keeps a reef's order by construction.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Final

from reefmesh.broker.activemq.destinations import subscription_queue
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.handover import HandOver
from reefmesh.broker.activemq.inbound_message import InboundMessage, MessageState
from reefmesh.broker.activemq.isolation import Isolation
from reefmesh.broker.activemq.isolation_watch import IsolationLimits, IsolationWatch
from reefmesh.broker.activemq.lane import ActiveMQLane, OwningConsumer
from reefmesh.broker.activemq.message_headers import broker_instant
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.parked_copy import ParkedCopy
from reefmesh.broker.activemq.parking import ActiveMQParking
from reefmesh.broker.activemq.ready_queue import ReadyQueue
from reefmesh.broker.activemq.session import ReconnectingSession, Session
from reefmesh.broker.activemq.session_killers import SessionKillers
from reefmesh.broker.activemq.shared_transactions import SharedTransactions
from reefmesh.broker.activemq.subscription import BrokerSubscription
from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.held_back import HeldBackReefs
from reefmesh.broker.hold import Hold
from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.parking_stock import CopyToPark, ParkingStock
from reefmesh.broker.port import PARKING_FOLDED, UNREADABLE_PARKED, BrokerEvent, SubscriptionStatistics
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription

COME_BACK_SECONDS: Final = 0.1
"""How long a draining consumer waits for a lane to receive again, while messages are ready."""
DETAIL_CHARACTERS: Final = 300
"""Of what a sender wrote, in an event."""
HELD_BACK_BESIDE_OTHERS, HELD_BACK_ALONE = 3, 1
"""How often a message is held back in a full window before it is given back. Of a subscription of several reefs, that disturbs
whatever is in hand, and its reef is about to be isolated; of a dedicated one of its own it disturbs nobody."""
DEDICATED_PER_LANE: Final = 2
"""Isolated reefs at most: one for each lane of hot reefs, and as many of stuck ones and of those that are held back."""


class ActiveMQConsumer:
    """Of one subscription, on the session for consuming; it is attached to every new session while it is started."""

    def __init__(
        self,
        sessions: ReconnectingSession,
        subscription: Subscription,
        *,
        lanes: int,
        subscriptions_limit: int,
        clock: Clock,
        transactions: Callable[[Session], SharedTransactions],
        killers: SessionKillers,
        parking: ActiveMQParking,
        quota: ParkingQuota | None,
        on_event: Callable[[BrokerEvent], None],
        random: Random,
        limits: IsolationLimits,
    ) -> None:
        self.subscription = subscription
        self.transactions = transactions
        self.killers = killers
        self.stock = ParkingStock[OutboundMessage](quota, look=parking.usage, on_counted=self._note_counted)
        self.clock = clock
        self._sessions = sessions
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._lanes = tuple(ActiveMQLane(self, index) for index in range(lanes))
        self._ready = ReadyQueue(by_number=subscription.is_numbered)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._in_hand: dict[str, Hold[InboundMessage]] = {}  # by reef
        self._held_back = HeldBackReefs[InboundMessage](by_number=subscription.is_numbered, on_over=self._wake)
        queue = subscription_queue(subscription)
        count = min(lanes, subscriptions_limit) if subscription.is_numbered else lanes
        self._shared = tuple(BrokerSubscription(queue, self._on_message, prefetch=-(-lanes // count)) for _ in range(count))
        self._isolation = Isolation(
            queue,
            self._in_hand,
            self._ready,
            patience_seconds=limits.patience_seconds,
            dedicated_limit=DEDICATED_PER_LANE * lanes,
            on_message=self._on_message,
            on_isolated=self._on_isolated,
            on_resumed=self._wake_all,
        )
        self._watch = IsolationWatch(
            self._shared,
            self._in_hand,
            self._held_back,
            self._isolation,
            limits,
            has_idle_lane=lambda: bool(self._waiters),
            hot_limit=lanes,
        )
        self._hand_over = HandOver(subscription, self._shared, on_event=on_event, random=random)
        self._idle = asyncio.Event()
        self._idle.set()
        self._started = self._draining = self._closed = False

    # the port

    @property
    def lanes(self) -> Sequence[ActiveMQLane]:
        return self._lanes

    @property
    def is_closed(self) -> bool:
        return self._closed

    async def start(self) -> None:
        if self._started or self._closed:
            return
        session = self._sessions.current()
        try:
            await self.attach(session)
        except BaseException:
            await self._leave(self._shared)
            self._hand_over.unsubscribe()
            raise
        self._started = True
        self._watch.start()
        self._sessions.add(self)

    async def isolate(self, reef_id: str) -> None:
        shared = self._shared_subscription_of(reef_id)
        if shared is None or self._closed:
            return
        try:
            await self._isolation.isolate(shared, [reef_id])
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal
        self._watch.notice()

    async def drain(self) -> None:
        if self._closed:
            return  # nothing is in hand any more, so waiting for it would never end
        self._draining = True
        with contextlib.suppress(ConnectionLost):
            for shared in self._shared:
                shared.leave_once_settled()
        self._isolation.end()
        self._wake_all()
        self._idle.clear()
        self._check_idle_soon()
        await self._hand_over.stop()
        await self._watch.stop()
        await self._isolation.until_carried_over()
        await self._idle.wait()
        await self._leave([*self._shared, *self._isolation.subscriptions])
        await self._finish()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._hand_over.stop()
        await self._watch.stop()
        self._ready.clear()
        self._held_back.clear()
        self._isolation.end()
        await self._leave([*self._shared, *self._isolation.subscriptions])
        self._isolation.lost()  # a settlement that waits for a message being carried over ends now
        await self._finish()

    def statistics(self) -> SubscriptionStatistics:
        busy = sum(lane.is_busy for lane in self._lanes)
        parked = self.stock.usage()
        return SubscriptionStatistics(
            waiting_messages=None,
            in_flight_messages=busy + len(self._ready.open_messages),
            oldest_age_seconds=self._oldest_age_seconds(),
            lanes=len(self._lanes),
            lanes_busy=busy,
            isolated_reefs=tuple(self._isolation.dedicated),
            parked_messages=None if parked is None else parked.messages,
            parked_bytes=None if parked is None else parked.stored_bytes,
        )

    def _oldest_age_seconds(self) -> float | None:
        """Those that are held back are among the ready ones."""
        waiting = (broker_instant(message.frame.headers) for message in self._ready.open_messages)
        arrived = [at for at in (*waiting, *(lane.arrived_at for lane in self._lanes)) if at is not None]
        return max(0.0, (self.clock.now() - min(arrived)).total_seconds()) if arrived else None

    # called by the reconnecting session

    async def attach(self, session: Session) -> None:
        """Subscribe. Raises ConfigurationError without permission, BrokerUnavailable otherwise."""
        if self._draining or self._closed:
            return  # nothing new is taken, and nothing is left to settle on a new session
        try:
            advisories = self._hand_over.subscribe(session)
            await asyncio.gather(advisories, *(shared.subscribe(session) for shared in self._shared))
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal

    def detach(self) -> None:
        self._ready.clear()
        self._held_back.clear()
        for shared in self._shared:
            shared.lost()
        self._isolation.lost()
        self._watch.lost()

    # called by lanes

    async def next_message(self) -> InboundMessage | None:
        """Wait for a message whose reef is neither in hand here nor held back. Return None once the consumer is closed, and
        while it drains as soon as no such message is ready: the lane that has a reef in hand receives that reef's next one."""
        while not self._closed:
            if (message := self._ready.take(self._in_hand, self._held_back)) is not None:
                return message
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
                    self._wake()  # this lane was woken for a message and cannot take it: wake another one
                raise
        return None

    def take_in_hand(self, reef_id: str, hold: Hold[InboundMessage]) -> None:
        self._in_hand[reef_id] = hold
        self._idle.clear()
        self._watch.notice()

    def let_go(self, reef_id: str) -> None:
        self._in_hand.pop(reef_id, None)
        self._isolation.notice_let_go()
        self._wake()
        if self._draining:
            self._check_idle_soon()

    def keep(self, message: InboundMessage) -> bool:
        """Put a released message behind those ready messages that precede it, or first while the broker may still send one that
        does. False: the window is full, so the broker sends a missing earlier message only after this one is given back."""
        message.state = MessageState.RELEASED
        if self._ready.put_behind_earlier(message):
            return True
        if self._draining or message.source.is_full:
            return False
        self._ready.put_first(message)
        return True

    def hold_back(self, message: InboundMessage, seconds: float) -> bool:
        """As ``keep``, but no lane gets the message for so long, unless one that precedes it comes. In a full window it is kept
        a few times, in which its reef is isolated; then only giving it back brings what is missing."""
        message.times_held_back += 1
        if self._ready.has_earlier(message):
            return self.keep(message)
        if not self.keep(message):
            is_alone = self._isolation.is_of_one_reef(message.source)
            times_limit = HELD_BACK_ALONE if is_alone else HELD_BACK_BESIDE_OTHERS
            if self._draining or message.times_held_back > times_limit:
                return False
            self._ready.put_first(message)
        self._held_back.hold_back(message, seconds)
        self._watch.hurry()
        return True

    def note_unreadable(self, message: InboundMessage, copy: ParkedCopy) -> None:
        facts: dict[str, str | int | float] = {
            "subscription": str(self.subscription),
            "reason": copy.reason,
            "detail": copy.detail[:DETAIL_CHARACTERS],
            "message_id": (message.identity or "")[:DETAIL_CHARACTERS],
            "reef_id": message.reef_id[:DETAIL_CHARACTERS],
            "user_id": copy.user_id or "",
        }
        self._on_event(BrokerEvent(name=UNREADABLE_PARKED, facts=facts))

    # internal

    def _shared_subscription_of(self, reef_id: str) -> BrokerSubscription | None:
        """Return the shared subscription that the reef belongs to, as far as its messages have shown."""
        hold = self._in_hand.get(reef_id)
        if hold is not None and hold.message.is_open:
            return next((shared for shared in self._shared if shared is hold.message.source), None)
        return next((shared for shared in self._shared if reef_id in shared.arrivals), None)

    def _check_idle_soon(self) -> None:
        """Lanes may still receive what has arrived; what no lane receives is given back."""
        delay_seconds = COME_BACK_SECONDS if self._ready.open_messages else 0.0
        self._loop.call_later(delay_seconds, self._check_idle)

    def _check_idle(self) -> None:
        if not any(lane.is_busy for lane in self._lanes):
            self._idle.set()

    def _on_message(self, message: InboundMessage) -> None:
        hold = self._in_hand.get(message.reef_id)
        if hold is not None and hold.take_over(message):
            return
        if self._closed:
            return  # its subscription is being left: the broker takes it back
        self._ready.add(message)
        if (waiting := self._held_back.note_arrival(message)) is not None:
            self._ready.move_behind_earlier(waiting)
        self._wake()

    def _note_counted(self, copy: CopyToPark[OutboundMessage]) -> None:
        facts: dict[str, str | int | float] = {
            "subscription": str(self.subscription),
            "reason": copy.reason,
            "user_id": copy.user_id or "",
        }
        self._on_event(BrokerEvent(name=PARKING_FOLDED, facts=facts))

    def _on_isolated(self, reef_id: str) -> None:
        facts: dict[str, str | int | float] = {"subscription": str(self.subscription), "reef_id": reef_id}
        self._on_event(BrokerEvent(name="reef_isolated", facts=facts))

    def _wake(self) -> None:
        while self._waiters and self._ready:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def _leave(self, subscriptions: Iterable[BrokerSubscription]) -> None:
        results = await asyncio.gather(*(each.leave() for each in subscriptions), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, BrokerRefusal | ConnectionLost):
                raise result

    async def _finish(self) -> None:
        self._closed = True
        await self.stock.close()
        self._idle.set()
        self._sessions.remove(self)
        self._hand_over.unsubscribe()
        self._wake_all()


def serves_lanes(consumer: ActiveMQConsumer) -> OwningConsumer:
    """The type checker's proof that lanes can use this consumer."""
    return consumer
