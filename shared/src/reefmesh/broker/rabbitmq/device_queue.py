"""The queue of what devices send (MQTT): one active consumer gets all, the others stand by.

There are no transactions: the outputs are published and confirmed, and then the messages are acknowledged. A connection that is
lost in between brings them again, and they are published again under the same event ids, by which ingest recognises them:

- Where the broker stamps messages with its time, device, bytes and time are the id, for ever and in every process.
- Where it does not (3.10), this process remembers the ids of what it had in hand for ``REMEMBERED_SECONDS``. Another process
  that takes over gives new ids; the same bytes of the same device within a minute are a duplicate for ingest in any case.

Every consumer has the same window (ADR 0037): what the active one gives back comes in order again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import uuid4

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.devices import DeviceMessage, Move, Role
from reefmesh.broker.port import BrokerUnavailable, LaneLost, PublishRefused
from reefmesh.broker.rabbitmq.connection import Channel, Connection, ReconnectingConnection, close_channel
from reefmesh.broker.rabbitmq.device_messages import DEVICE_QUEUE, fingerprint_of, instant_of, sender_of, topic_of
from reefmesh.broker.rabbitmq.errors import BrokerRefusal, translated
from reefmesh.broker.rabbitmq.publisher import RabbitMQPublisher
from reefmesh.clock import Clock

WINDOW_MESSAGES: Final = 16
"""The same for all consumers. A device may send what the whole broker takes, 16 MiB, and this process holds the window."""
REMEMBERED_SECONDS: Final = 300.0
"""Longer than a broker needs to restart, and shorter than a device takes from one report to the next."""


@dataclass(frozen=True, slots=True, eq=False)
class _Token:
    """``channel`` and ``tag``: where it came and by which it is acknowledged. ``fingerprint``: of its bytes."""

    channel: Channel
    tag: int
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class _Remembered:
    """The id and time of a message that went back to the broker unacknowledged, in the loop's time."""

    message_id: str
    received_at: datetime | None
    at_seconds: float


class RabbitMQDeviceQueue:
    """``connections``: of the queue alone; it is opened when the queue starts. ``clock``: for messages that the broker does not
    stamp with its own time."""

    def __init__(self, connections: ReconnectingConnection, publisher: RabbitMQPublisher, clock: Clock) -> None:
        self._connections = connections
        self._publisher = publisher
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        self._waiting: deque[DeviceMessage] = deque()
        self._open: deque[DeviceMessage] = deque()  # arrived through this channel and not settled, oldest first
        self._remembered: dict[bytes, deque[_Remembered]] = {}
        self._awake = asyncio.Event()
        self._has_received = False
        self._stopped = self._closed = False

    @property
    def role(self) -> Role:
        if self._connection is None or self._connection.is_lost or self._channel is None or self._channel.is_closed:
            return "away"
        return "active" if self._has_received else "standby"

    async def start(self) -> None:
        if self._connection is not None or self._closed:
            return
        await self._connections.open()
        await self.attach(self._connections.current())
        self._connections.add(self)

    async def receive(self) -> Sequence[DeviceMessage]:
        while not self._stopped:
            if self._waiting:
                batch = tuple(self._waiting)
                self._waiting.clear()
                return batch
            self._awake.clear()
            await self._awake.wait()
        return ()

    async def settle(self, moves: Sequence[Move]) -> None:
        """As the protocol says. PublishRefused is raised too while nothing can be published: the messages are still ours."""
        if not moves:
            return
        tokens = [_token(move.message) for move in moves]
        if not all(self._is_current(token) for token in tokens):
            raise LaneLost("the broker took the messages back")
        if [token.tag for token in tokens] != [_token(each).tag for _, each in zip(moves, self._open, strict=False)]:
            raise ValueError("only the oldest messages can be settled, in their order")
        messages = self._publisher.outbound([output for move in moves for output in move.outputs])
        try:
            if messages:
                await self._publisher.send(messages)
        except BrokerRefusal as refusal:
            raise refusal.as_publish_refused() from refusal
        except BrokerUnavailable as lost:
            raise PublishRefused(str(lost)) from lost
        if not self._is_current(tokens[-1]):
            raise LaneLost("the broker took the messages back")
        try:
            with translated():
                await tokens[-1].channel.basic_ack(tokens[-1].tag, multiple=True, wait=False)
        except (BrokerRefusal, ConnectionLost) as lost:
            raise LaneLost(str(lost)) from lost
        for _ in moves:
            self._open.popleft()

    def stop(self) -> None:
        self._stopped = True
        self._awake.set()

    async def close(self) -> None:
        self.stop()
        if self._closed:
            return
        self._closed = True
        self._connections.remove(self)
        channel = self._channel
        self.detach()
        if channel is not None:
            await close_channel(channel)
        await self._connections.close()

    async def attach(self, connection: Connection) -> None:
        """Raises ConfigurationError (this user may not read the queue) or BrokerUnavailable."""
        channel = await connection.channel()
        try:
            with translated(), connection.answering():
                await channel.queue_declare(DEVICE_QUEUE, passive=True)
                await channel.basic_qos(prefetch_count=WINDOW_MESSAGES)
                self._connection, self._channel = connection, channel
                await channel.basic_consume(DEVICE_QUEUE, self._receiver(channel))
        except BrokerRefusal as refusal:
            self.detach()
            if refusal.is_missing:
                raise BrokerUnavailable(
                    f"the broker has no queue {DEVICE_QUEUE}: load the definitions of deploy/rabbitmq there,"
                    " or set REEFMESH_INGEST_MQTT_BRIDGE=false where no device connects"
                ) from refusal
            raise refusal.as_failure() from refusal
        except ConnectionLost:
            self.detach()
            raise
        channel.closing.add_done_callback(lambda _: self._on_channel_ended(connection, channel))
        channel.on_consumer_cancel_callbacks.add(lambda _: self._on_channel_ended(connection, channel))

    def detach(self) -> None:
        """What is open goes back to the broker, and comes again."""
        now = self._loop.time()
        for message in self._open:
            known = self._remembered.setdefault(_token(message).fingerprint, deque(maxlen=WINDOW_MESSAGES))
            known.append(_Remembered(message.message_id, message.received_at, now))
        self._connection = self._channel = None
        self._has_received = False
        self._waiting.clear()
        self._open.clear()

    def _receiver(self, channel: Channel) -> Callable[[DeliveredMessage], Coroutine[None, None, None]]:
        async def receive(delivered: DeliveredMessage) -> None:
            if channel is self._channel:
                message = self._message_of(delivered, channel)
                self._has_received = True
                self._open.append(message)
                self._waiting.append(message)
                self._awake.set()

        return receive

    def _message_of(self, delivered: DeliveredMessage, channel: Channel) -> DeviceMessage:
        frame, properties = delivered.delivery, delivered.header.properties
        assert isinstance(frame, Basic.Deliver)  # noqa: S101 - consumers get nothing else
        headers, routing_key = properties.headers or {}, frame.routing_key or ""
        fingerprint, taken_at = fingerprint_of(routing_key, delivered.body), instant_of(headers)
        message = DeviceMessage(
            message_id=uuid4().hex if taken_at is None else f"{fingerprint.hex()}-{taken_at.timestamp():.3f}",
            topic=topic_of(routing_key),
            received_at=taken_at,
            body=delivered.body,
            redelivered=bool(frame.redelivered),
            user_id=sender_of(routing_key, headers, properties.user_id),
            token=_Token(channel, frame.delivery_tag or 0, fingerprint),
        )
        if taken_at is not None:
            return message
        known = self._recall(fingerprint) if message.redelivered else None
        if known is None:
            return replace(message, received_at=self._clock.now())
        return replace(message, message_id=known.message_id, received_at=known.received_at)

    def _recall(self, fingerprint: bytes) -> _Remembered | None:
        """Return the oldest of what was remembered of these bytes, once."""
        oldest_seconds = self._loop.time() - REMEMBERED_SECONDS
        for each, known in tuple(self._remembered.items()):
            while known and known[0].at_seconds < oldest_seconds:
                known.popleft()
            if not known:
                del self._remembered[each]
        known = self._remembered.get(fingerprint, deque())
        return known.popleft() if known else None

    def _on_channel_ended(self, connection: Connection, channel: Channel) -> None:
        """The broker has closed the channel or ended the consumer (the queue was deleted, for instance). The connection is ours
        alone, and a new one sets everything up again."""
        if channel is self._channel and not self._closed:
            connection.lose(ConnectionLost(f"the broker ended the consumer of {DEVICE_QUEUE}"))

    def _is_current(self, token: _Token) -> bool:
        connection = self._connection
        return (
            token.channel is self._channel and not token.channel.is_closed and connection is not None and not connection.is_lost
        )


def _token(message: DeviceMessage) -> _Token:
    assert isinstance(message.token, _Token)  # noqa: S101 - this engine's messages carry its tokens
    return message.token
