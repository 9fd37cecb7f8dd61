"""One subscription at the broker, and its *window*: the messages that came through it and are not acknowledged yet.

A consumer has a few *shared* subscriptions. The broker gives each reef (message group) to one of them and never takes it away
while that subscription lasts. To *renew* a subscription (UNSUBSCRIBE, then SUBSCRIBE) returns its reefs and its open messages
to the broker. A *dedicated* subscription (``isolation``) takes one reef only.

Lanes settle the messages of a window in any order. A message is acknowledged when nothing before it is open; one
acknowledgement covers all messages up to its own. After a crash the broker delivers again what was settled and not yet
acknowledged; the inbox recognises it.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.inbound_message import InboundMessage, MessageState
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.connection_loss import ConnectionLost

ACK: Final = ("ack", "client")
"""``client`` acknowledges everything up to a message. With ``client-individual`` ActiveMQ keeps each message that was
acknowledged in a transaction until the subscription ends, and searches all of them at each commit."""

DEFAULT_PREFETCH: Final = 1000
"""ActiveMQ takes this number for "not set", and uses the prefetch of its policy."""


class Plan(Enum):
    """What follows once every message of the window is settled."""

    KEEP = "keep"
    RENEW = "renew"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Away:
    """Not subscribed: not yet, or the session was lost."""


@dataclass(slots=True, eq=False)
class Subscribed:
    """``arrivals``: messages of each reef since the last count. ``awaiting_first``: callers of ``until_first``."""

    session: Session
    subscription_id: str
    plan: Plan = Plan.KEEP
    window: deque[InboundMessage] = field(default_factory=deque)
    arrivals: dict[str, int] = field(default_factory=dict)
    awaiting_first: dict[InboundMessage, asyncio.Future[None]] = field(default_factory=dict)

    @property
    def first_open(self) -> InboundMessage | None:
        return next((message for message in self.window if message.is_open), None)

    def take_settled(self) -> str | None:
        """Take the settled messages before the first open one out of the window; return the last one's acknowledgement."""
        last = None
        while self.window and self.window[0].state is MessageState.SETTLED:
            last = self.window.popleft()
        return None if last is None else last.ack_id

    def wake_first(self) -> None:
        first = self.first_open
        if first is not None and (waiting := self.awaiting_first.pop(first, None)) is not None:
            waiting.set_result(None)

    def end(self) -> None:
        """The broker takes back what is left in the window."""
        for message in self.window:
            message.state = MessageState.RETURNED
        self.window.clear()
        for waiting in self.awaiting_first.values():
            waiting.set_result(None)
        self.awaiting_first.clear()


@dataclass(frozen=True, slots=True)
class Left:
    """UNSUBSCRIBE is written; ``confirmed`` is done when the broker has confirmed it."""

    confirmed: "asyncio.Future[None]"


AWAY: Final = Away()


class BrokerSubscription:
    """``prefetch``: how many unacknowledged messages the broker may send; ``headers``: of SUBSCRIBE, beside the usual ones."""

    def __init__(
        self,
        queue: str,
        on_message: Callable[[InboundMessage], None],
        *,
        prefetch: int = 1,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.prefetch = prefetch if prefetch != DEFAULT_PREFETCH else prefetch - 1
        self._queue = queue
        self._headers = (ACK, ("activemq.prefetchSize", str(self.prefetch)), *headers)
        self._on_message = on_message
        self._state: Away | Subscribed | Left = AWAY

    @property
    def session(self) -> Session | None:
        """The session on which it is subscribed."""
        return self._state.session if isinstance(self._state, Subscribed) else None

    @property
    def is_subscribed(self) -> bool:
        return isinstance(self._state, Subscribed)

    @property
    def unacknowledged_messages(self) -> int:
        return len(self._state.window) if isinstance(self._state, Subscribed) else 0

    @property
    def is_full(self) -> bool:
        return self.unacknowledged_messages >= self.prefetch

    @property
    def arrivals(self) -> Mapping[str, int]:
        """The reefs whose messages came through it since it was subscribed, with their number since the last count."""
        return self._state.arrivals if isinstance(self._state, Subscribed) else {}

    def count_arrivals(self) -> Mapping[str, int]:
        """Return ``arrivals`` and count from 0 again."""
        if not isinstance(self._state, Subscribed):
            return {}
        counted, self._state.arrivals = self._state.arrivals, dict.fromkeys(self._state.arrivals, 0)
        return counted

    async def subscribe(self, session: Session) -> None:
        """Raises BrokerRefusal or ConnectionLost."""
        await self._subscribe(session)

    def lost(self) -> None:
        """The session is lost, and its messages with it."""
        if isinstance(self._state, Subscribed):
            self._state.end()
        self._state = AWAY

    async def renew(self) -> None:
        """Return reefs and open messages to the broker, and take new ones. Both commands leave in one write: otherwise the
        other consumers would get all reefs in between."""
        if isinstance(state := self._state, Subscribed):
            left = self._unsubscribe(state)
            subscribed = self._subscribe(state.session)
            await left
            await subscribed

    async def leave(self) -> None:
        """Return reefs and open messages to the broker; wait for its confirmation, also of an UNSUBSCRIBE written before."""
        if isinstance(state := self._state, Subscribed):
            self._unsubscribe(state)
        if isinstance(left := self._state, Left):
            await left.confirmed

    async def give_back(self) -> None:
        with contextlib.suppress(BrokerRefusal, ConnectionLost):
            if isinstance(self._state, Subscribed) and self._state.plan is Plan.LEAVE:
                await self.leave()
            else:
                await self.renew()

    def leave_once_settled(self, *, even_if_empty: bool = True) -> None:
        """Leave as soon as every message of the window is settled; an empty window is settled, unless a message must come first
        (``even_if_empty=False``)."""
        self._follow(Plan.LEAVE, even_if_empty=even_if_empty)

    def renew_once_settled(self) -> None:
        """Renew as soon as every message of the window is settled, which may be now."""
        if isinstance(self._state, Subscribed) and self._state.plan is Plan.KEEP:
            self._follow(Plan.RENEW)

    def take_ack_id(self) -> str | None:
        """Return what to acknowledge now, and take it out of the window; None: nothing now.

        A subscription that is to be renewed or left acknowledges nothing before all is settled: otherwise the broker would
        fill the window again.
        """
        state = self._state
        if not isinstance(state, Subscribed) or (state.plan is not Plan.KEEP and state.first_open is not None):
            return None
        return state.take_settled()

    def acknowledged(self) -> None:
        """The acknowledgement is written: write UNSUBSCRIBE and SUBSCRIBE directly behind it if they are planned."""
        state = self._state
        if not isinstance(state, Subscribed):
            return
        if state.awaiting_first:
            state.wake_first()
        if state.plan is Plan.KEEP or state.window:
            return
        self._unsubscribe(state)
        if state.plan is Plan.RENEW:
            self._subscribe(state.session)

    async def until_first(self, message: InboundMessage) -> None:
        state = self._state
        if isinstance(state, Subscribed) and message.is_open and state.first_open is not message:
            waiting = state.awaiting_first.setdefault(message, asyncio.get_running_loop().create_future())
            await asyncio.shield(waiting)

    def _follow(self, plan: Plan, *, even_if_empty: bool = True) -> None:
        if isinstance(self._state, Subscribed):
            self._state.plan = plan
            if even_if_empty:
                self.acknowledged()

    def _subscribe(self, session: Session) -> "asyncio.Future[None]":
        self.lost()  # the session before may have been lost while the consumer was being attached to it
        self._state = state = Subscribed(session, session.new_name("s"))
        return session.subscribe(state.subscription_id, self._queue, self._headers, lambda frame: self._receive(state, frame))

    def _unsubscribe(self, state: Subscribed) -> "asyncio.Future[None]":
        self._state = AWAY  # also when the session turns out to be lost
        ack_id = state.take_settled()
        state.end()
        if ack_id is not None:
            state.session.send("ACK", (("id", ack_id),))
        confirmed = state.session.unsubscribe(state.subscription_id)
        self._state = Left(confirmed)
        return confirmed

    def _receive(self, state: Subscribed, frame: Frame) -> None:
        message = InboundMessage(self, state.session, frame)
        state.window.append(message)
        reef_id = message.reef_id
        state.arrivals[reef_id] = state.arrivals.get(reef_id, 0) + 1
        self._on_message(message)
