"""Exchange with devices over MQTT: a command to a topic, and the answers on another topic."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from reefmesh.broker.rabbitmq.connection import Channel, Connection, ReconnectingConnection, close_channel
from reefmesh.broker.rabbitmq.device_messages import DEVICES_EXCHANGE, routing_key_of, sender_of
from reefmesh.broker.rabbitmq.errors import BrokerRefusal, translated

PASSING: Final = 1
"""The delivery mode of what no disk needs to keep."""


class RabbitMQDeviceTopics:
    def __init__(self, *, publishing: ReconnectingConnection, consuming: ReconnectingConnection) -> None:
        self._publishing = publishing
        self._consuming = consuming

    async def tell(self, topic: str, body: bytes) -> None:
        connection = self._publishing.current()
        properties = Basic.Properties(delivery_mode=PASSING, message_id=uuid4().hex, user_id=connection.address.user)
        try:
            async with connection.passing_channel(confirms=True) as channel:
                with connection.answering():
                    await channel.basic_publish(
                        body, exchange=DEVICES_EXCHANGE, routing_key=routing_key_of(topic), properties=properties
                    )
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal

    @asynccontextmanager
    async def hear(self, topic: str, on_message: Callable[[bytes, str | None], None]) -> AsyncIterator[None]:
        subscription = _TopicSubscription(routing_key_of(topic), on_message)
        await subscription.attach(self._consuming.current())
        self._consuming.add(subscription)
        try:
            yield
        finally:
            self._consuming.remove(subscription)
            await subscription.leave()


class _TopicSubscription:
    """Renewed on every new connection while it lasts. Its queue ends with its channel."""

    def __init__(self, routing_key: str, on_message: Callable[[bytes, str | None], None]) -> None:
        self._routing_key = routing_key
        self._on_message = on_message
        self._channel: Channel | None = None

    async def attach(self, connection: Connection) -> None:
        channel = await connection.channel()
        queue = f"{DEVICES_EXCHANGE}.answers.{uuid4().hex}"
        try:
            with translated(), connection.answering():
                await channel.queue_declare(queue, exclusive=True, auto_delete=True)
                await channel.queue_bind(queue, DEVICES_EXCHANGE, routing_key=self._routing_key)
                await channel.basic_consume(queue, self._read, no_ack=True)
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal
        self._channel = channel

    async def _read(self, delivered: DeliveredMessage) -> None:
        frame, properties = delivered.delivery, delivered.header.properties
        assert isinstance(frame, Basic.Deliver)  # noqa: S101 - consumers get nothing else
        self._on_message(delivered.body, sender_of(frame.routing_key or "", properties.headers or {}, properties.user_id))

    def detach(self) -> None:
        self._channel = None

    async def leave(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await close_channel(channel)
