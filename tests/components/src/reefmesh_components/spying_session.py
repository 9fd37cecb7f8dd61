"""A session that writes down the commands that a broker would get, and confirms all of them at once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.inbound_message import InboundMessage
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.subscription import BrokerSubscription


class SpyingSession:
    """``commands``: for example ``SUBSCRIBE s1 queue 4`` (name, destination, prefetch), ``ACK a1``, ``UNSUBSCRIBE s1``.
    ``selectors``: of the subscriptions that have one, by their names. ``on_subscribe`` is called with the name of each
    subscription before it is confirmed."""

    is_lost = False
    name = "ID:spy-1-1700000000000-1:1"

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.selectors: dict[str, str] = {}
        self.on_subscribe: Callable[[str], None] = lambda name: None
        self._listeners: dict[str, Callable[[Frame], None]] = {}
        self._numbers = dict[str, int]()

    def as_session(self) -> Session:
        """Return this as the type that the engine's parts name."""
        return cast(Session, self)

    def new_name(self, kind: str) -> str:
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return f"{kind}{self._numbers[kind]}"

    def send(self, command: str, headers: tuple[tuple[str, str], ...]) -> None:
        self.commands.append(f"{command} {dict(headers)['id']}")

    def subscribe(
        self, name: str, destination: str, headers: tuple[tuple[str, str], ...], on_message: Callable[[Frame], None]
    ) -> "asyncio.Future[None]":
        self.commands.append(f"SUBSCRIBE {name} {destination} {dict(headers).get('activemq.prefetchSize', '')}".rstrip())
        if (selector := dict(headers).get("selector")) is not None:
            self.selectors[name] = selector
        self._listeners[name] = on_message
        self.on_subscribe(name)
        return self._confirmed()

    def unsubscribe(self, name: str) -> "asyncio.Future[None]":
        self.commands.append(f"UNSUBSCRIBE {name}")
        return self._confirmed()

    def deliver(self, **headers: str) -> None:
        """Deliver a message through the newest subscription."""
        self.deliver_to(next(reversed(self._listeners)), **headers)

    def deliver_to(self, name: str, **headers: str) -> None:
        self._listeners[name](Frame("MESSAGE", {name.replace("_", "-"): value for name, value in headers.items()}, b""))

    def hand_on(self, frame: Frame) -> None:
        """Deliver a frame as it is through the newest subscription."""
        self._listeners[next(reversed(self._listeners))](frame)

    @staticmethod
    def _confirmed() -> "asyncio.Future[None]":
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


def settle(*messages: InboundMessage) -> Sequence[str]:
    """Settle in one transaction, as shared transactions do; return what is acknowledged in it."""
    for message in messages:
        message.settle()
    ack_ids = [ack_id for message in messages if (ack_id := message.take_ack_id()) is not None]
    for message in messages:
        message.written()
    return ack_ids


async def filled_subscription(messages: int) -> tuple[SpyingSession, BrokerSubscription, list[InboundMessage]]:
    """Return a subscription with so many messages, acknowledged by a1, a2 and so on, which fill its window."""
    session, arrived = SpyingSession(), list[InboundMessage]()
    subscription = BrokerSubscription("queue", arrived.append, prefetch=messages)
    await subscription.subscribe(session.as_session())
    session.commands.clear()
    for number in range(1, messages + 1):
        session.deliver(ack=f"a{number}")
    return session, subscription, arrived
