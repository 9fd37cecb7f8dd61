"""Exchange with devices over MQTT: a command to a topic, and the answers on another topic."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from reefmesh.broker.activemq.destinations import device_topic
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.message_headers import USER_ID
from reefmesh.broker.activemq.session import ReconnectingSession, Session
from reefmesh.broker.connection_loss import ConnectionLost


class ActiveMQDeviceTopics:
    def __init__(self, *, publishing: ReconnectingSession, consuming: ReconnectingSession) -> None:
        self._publishing = publishing
        self._consuming = consuming

    async def tell(self, topic: str, body: bytes) -> None:
        session = self._publishing.current()
        # not persistent: a command is for a device that is connected now, never for one that comes back next week
        try:
            await session.request("SEND", (("destination", device_topic(topic)), ("persistent", "false")), body)
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal

    @asynccontextmanager
    async def hear(self, topic: str, on_message: Callable[[bytes, str | None], None]) -> AsyncIterator[None]:
        subscription = _TopicSubscription(device_topic(topic), on_message)
        await subscription.attach(self._consuming.current())
        self._consuming.add(subscription)
        try:
            yield
        finally:
            self._consuming.remove(subscription)
            await subscription.leave()


class _TopicSubscription:
    """Renewed on every new session while it lasts."""

    def __init__(self, destination: str, on_message: Callable[[bytes, str | None], None]) -> None:
        self._destination = destination
        self._on_message = on_message
        self._session: Session | None = None
        self._name = ""

    async def attach(self, session: Session) -> None:
        self._session, self._name = session, session.new_name("e")
        try:
            await session.subscribe(self._name, self._destination, (("ack", "auto"),), self._read)
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal

    def _read(self, frame: Frame) -> None:
        self._on_message(frame.body, frame.headers.get(USER_ID))

    def detach(self) -> None:
        self._session = None

    async def leave(self) -> None:
        session, self._session = self._session, None
        if session is not None and not session.is_lost:
            with suppress(BrokerRefusal, ConnectionLost):
                await session.unsubscribe(self._name)
