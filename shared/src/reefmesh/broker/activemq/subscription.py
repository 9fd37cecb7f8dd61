"""One subscription at the broker, and the messages that are in our hands through it: its window.

A reef belongs to the slot that the broker gave it to, until the slot is given up. Giving a slot up and taking it again
(``renew``) hands its reefs, and what is unsettled, back to the broker.

Lanes settle a window's messages in any order, but the broker is told only of those before which nothing is open: one
acknowledgement covers all up to its message. What was settled and is not acknowledged yet, when we die, is delivered again; the
inbox knows it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.session import Session

ACK: Final = ("ack", "client")
"""``client`` acknowledges everything up to a message. With ``client-individual`` ActiveMQ keeps each message that was
acknowledged in a transaction until the subscription ends, and looks through them at each commit.
"""

UNSAID_PREFETCH: Final = 1000
"""ActiveMQ takes this number for "nothing said", and takes its policy's."""


@dataclass(slots=True, eq=False)
class InboundMessage:
    """A message on its way to a lane, and the ``Acknowledgement`` of its settlement.

    ``window``: that of its slot when it came. ``came_back``: a lane has given it up. ``first``: done when no message before it
    in the window is open, or it is ours no longer; None: nobody waits for that.
    """

    slot: "BrokerSubscription"
    window: "deque[InboundMessage]"
    frame: Frame
    is_settled: bool = False
    came_back: bool = False
    first: asyncio.Future[None] | None = None

    @property
    def is_current(self) -> bool:
        """Whether the broker still counts this message as ours, and it is open."""
        return not self.is_void and not self.is_settled

    @property
    def is_void(self) -> bool:
        """Whether the broker has taken it back."""
        return self.window is not self.slot.window

    @property
    def reef_id(self) -> str:
        return self.frame.headers.get("reef-id", "")

    @property
    def ack_id(self) -> str:
        return self.frame.headers.get("ack", "")

    async def until_first(self) -> None:
        """Wait until its settlement can be acknowledged together with it, because nothing before it is open, or until it is
        ours no longer."""
        if self.is_current and self.slot.first_open is not self:
            self.first = self.first or asyncio.get_running_loop().create_future()
            await asyncio.shield(self.first)

    def settle(self) -> None:
        self.is_settled = True

    def take_ack_id(self) -> str | None:
        return self.slot.take_ack_id()

    def written(self) -> None:
        self.slot.acknowledged()


class BrokerSubscription:
    """``prefetch``: how many messages the broker may have in our hands through it; ``headers``: of its SUBSCRIBE besides.

    ``hands_out``: whether what waits in its window may be taken in hand now. ``heard``: how many messages of each of its reefs
    have come since somebody looked last.
    """

    def __init__(
        self,
        queue: str,
        on_mail: Callable[[InboundMessage], None],
        *,
        prefetch: int = 1,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.window: deque[InboundMessage] = deque()
        self.renew_when_free = False
        self.leave_when_free = False
        self.hands_out = True
        self.heard: dict[str, int] = {}
        self.prefetch = prefetch if prefetch != UNSAID_PREFETCH else prefetch - 1
        self._queue = queue
        self._headers = (ACK, ("activemq.prefetchSize", str(self.prefetch)), *headers)
        self._on_mail = on_mail
        self._session: Session | None = None
        self._subscription_id: str | None = None
        self._left: asyncio.Future[None] | None = None

    @property
    def is_subscribed(self) -> bool:
        return self._subscription_id is not None

    @property
    def is_free(self) -> bool:
        """Whether nothing is in our hands through it."""
        return not self.window

    @property
    def is_full(self) -> bool:
        """Whether the broker sends nothing more through it."""
        return len(self.window) >= self.prefetch

    @property
    def is_half_full(self) -> bool:
        return 2 * len(self.window) >= self.prefetch

    @property
    def first_open(self) -> InboundMessage | None:
        return next((mail for mail in self.window if not mail.is_settled), None)

    @property
    def session(self) -> Session | None:
        return self._session

    async def subscribe(self, session: Session) -> None:
        """Raises BrokerRefusal or ConnectionLost."""
        await self._begin(session)

    def lost(self) -> None:
        """The session is gone, and with it what came through it."""
        self._forget_window()
        self._session = self._subscription_id = self._left = None
        self.renew_when_free = False

    async def renew(self) -> None:
        """Give the reefs back, with whatever is unsettled, and be open for others. In one write, so that the other
        consumers do not get everything in between."""
        if (session := self._session) is None or self._subscription_id is None:
            return
        left = self._leave(session)
        begun = self._begin(session)
        await left
        await begun

    async def leave(self) -> None:
        """Give the reefs back and take nothing new; returns when the broker knows, whoever began it."""
        if (session := self._session) is not None and self._subscription_id is not None:
            self._leave(session)
        if self._left is not None:
            await self._left

    def leave_once_free(self) -> None:
        """Give the slot up as soon as all that is in our hands through it is settled, which may be now."""
        self.leave_when_free = True
        self.acknowledged()

    def renew_once_free(self) -> None:
        """Give the reefs back, and be open for others, as soon as all that is in our hands is settled, which may be now."""
        self.renew_when_free = True
        self.acknowledged()

    def take_ack_id(self) -> str | None:
        """Return what is to be acknowledged, and take it out of the window; None: nothing now.

        A slot that is to be given up acknowledges nothing until all is settled: the broker would go on filling the window.
        """
        if (self.leave_when_free or self.renew_when_free) and self.first_open is not None:
            return None
        return self._take_settled()

    def acknowledged(self) -> None:
        """What was to be acknowledged has been written: what is to happen with the slot goes right behind it."""
        if (mail := self.first_open) is not None and mail.first is not None and not mail.first.done():
            mail.first.set_result(None)
        if self.window or self._session is None or self._subscription_id is None:
            return
        if self.leave_when_free:
            self._leave(self._session)
        elif self.renew_when_free:
            self._leave(self._session)
            self._begin(self._session)

    def _begin(self, session: Session) -> "asyncio.Future[None]":
        self._forget_window()  # of a session, it may be, that was lost while it was set up
        name, window = session.new_name("s"), self.window
        self._session, self._subscription_id = session, name
        self.heard = {}
        self.renew_when_free = False
        return session.subscribe(name, self._queue, self._headers, lambda frame: self._receive(window, frame))

    def _leave(self, session: Session) -> "asyncio.Future[None]":
        name, self._subscription_id = self._subscription_id, None
        if (ack_id := self._take_settled()) is not None:
            session.tell("ACK", (("id", ack_id),))
        self._forget_window()
        self._left = session.unsubscribe(name or "")
        return self._left

    def _take_settled(self) -> str | None:
        last = None
        while self.window and self.window[0].is_settled:
            last = self.window.popleft()
        return None if last is None else last.ack_id

    def _forget_window(self) -> None:
        gone, self.window = self.window, deque()
        for mail in gone:
            if mail.first is not None and not mail.first.done():
                mail.first.set_result(None)

    def _receive(self, window: deque[InboundMessage], frame: Frame) -> None:
        mail = InboundMessage(self, window, frame)
        window.append(mail)
        self.heard[mail.reef_id] = self.heard.get(mail.reef_id, 0) + 1
        self._on_mail(mail)
