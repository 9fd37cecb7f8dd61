"""One subscription at the broker with a prefetch of one: at most one message is in our hands through it.

A reef belongs to the slot that the broker gave it to, until the slot is given up. Giving a slot up and taking it again
(``renew``) hands its reefs, and an unsettled message, back to the broker.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.session import Session

HEADERS: Final = (("ack", "client"), ("activemq.prefetchSize", "1"))
"""``client`` acknowledges everything up to a message, which here is that one message. With ``client-individual`` ActiveMQ
keeps each message that was acknowledged in a transaction until the subscription ends, and looks through them at each commit.
"""


@dataclass(slots=True, eq=False)
class Mail:
    """A message on its way to a lane; ``slot`` and ``subscription_id`` say through what it came."""

    slot: "Slot"
    subscription_id: str
    frame: Frame

    @property
    def is_current(self) -> bool:
        """Whether the broker still counts this message as ours."""
        return self.slot.mail is self


class Slot:
    """``headers``: of its SUBSCRIBE, beyond those of every slot."""

    def __init__(self, queue: str, on_mail: Callable[[Mail], None], *, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.mail: Mail | None = None
        self.renew_when_free = False
        self.leave_when_free = False
        self._queue = queue
        self._headers = (*HEADERS, *headers)
        self._on_mail = on_mail
        self._session: Session | None = None
        self._subscription_id: str | None = None
        self._left: asyncio.Future[None] | None = None

    @property
    def is_subscribed(self) -> bool:
        return self._subscription_id is not None

    @property
    def session(self) -> Session | None:
        return self._session

    async def subscribe(self, session: Session) -> None:
        """Raises BrokerRefusal or ConnectionLost."""
        await self._begin(session)

    def lost(self) -> None:
        """The session is gone, and with it what came through it."""
        self.mail = self._session = self._subscription_id = self._left = None
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

    def settled(self) -> None:
        """The acknowledgement has been written: what is to happen with the slot goes right behind it."""
        self.mail = None
        if self._session is None or self._subscription_id is None:
            return
        if self.leave_when_free:
            self._leave(self._session)
        elif self.renew_when_free:
            self._leave(self._session)
            self._begin(self._session)

    def _begin(self, session: Session) -> "asyncio.Future[None]":
        name = session.new_name("s")
        self._session, self._subscription_id = session, name
        self.renew_when_free = False
        return session.subscribe(name, self._queue, self._headers, lambda frame: self._receive(name, frame))

    def _leave(self, session: Session) -> "asyncio.Future[None]":
        name, self._subscription_id, self.mail = self._subscription_id, None, None
        self._left = session.unsubscribe(name or "")
        return self._left

    def _receive(self, name: str, frame: Frame) -> None:
        self.mail = Mail(self, name, frame)
        self._on_mail(self.mail)
