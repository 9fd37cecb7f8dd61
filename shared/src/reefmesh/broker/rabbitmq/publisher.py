"""Publishing: confirmed, persistent and in order.

There is one channel for each exchange that is published to: the broker closes a channel for a publication that it does not
allow, and that must not touch what is on its way elsewhere.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.port import Publication
from reefmesh.broker.rabbitmq.connection import Channel, Connection, ReconnectingConnection
from reefmesh.broker.rabbitmq.declaration import declare_exchange, declare_subscription
from reefmesh.broker.rabbitmq.errors import BrokerRefusal, translated
from reefmesh.broker.rabbitmq.message_headers import properties_of
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.publishing_channel import PublishingChannel
from reefmesh.broker.rabbitmq.topology import TOPIC, Exchange
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.services import SERVICES, subscriptions_of

WINDOW_MESSAGES: Final = 200
"""Of one call, how many publications are on their way without a confirmation."""


class Sender:
    """Sends on one connection. ``send`` may be called by many at once; the messages of one call keep their order, and calls
    keep the order in which they were made."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._opening: dict[str, asyncio.Task[PublishingChannel]] = {}
        self._known: set[str] = set()

    async def send(self, messages: Sequence[OutboundMessage]) -> None:
        """Return when the broker has them all on its disk.

        Raises:
            BrokerRefusal: one of them was refused; any other may be out.
            ConnectionLost: no confirmation came; any of them may be out.
        """
        for start in range(0, len(messages), WINDOW_MESSAGES):
            sent = [asyncio.ensure_future(self._send(message)) for message in messages[start : start + WINDOW_MESSAGES]]
            try:
                outcomes = await asyncio.gather(*sent, return_exceptions=True)
            except asyncio.CancelledError:
                for each in sent:
                    each.cancel()
                await asyncio.gather(*sent, return_exceptions=True)
                raise
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome

    async def close(self) -> None:
        for opening in self._opening.values():
            opening.cancel()
        self._opening.clear()

    async def _send(self, message: OutboundMessage) -> None:
        publishing = await self._channel(message)
        while not publishing.is_usable:  # refused or closed while this message waited for its turn: the next channel has it
            publishing = await self._channel(message)
        try:
            with self.connection.answering(), publishing.publishing() as channel, translated():
                await self._publish(channel, message)
        except BrokerRefusal as refusal:
            if refusal.is_unroutable and not message.must_arrive:
                return
            if refusal.is_missing:
                self._known.discard(message.exchange)
            raise

    async def _publish(self, channel: Channel, message: OutboundMessage) -> None:
        try:
            await channel.basic_publish(
                message.body,
                exchange=message.exchange,
                routing_key=message.routing_key,
                properties=properties_of(message.headers, user=self.connection.address.user),
                mandatory=True,
                wait=False,
            )
        except asyncio.CancelledError:
            if channel.is_closed:  # aiormq cancels what waits on a channel that is closed
                task = asyncio.current_task()
                if task is None or not task.cancelling():
                    raise ConnectionLost("the channel is closed") from None
            raise

    async def _channel(self, message: OutboundMessage) -> PublishingChannel:
        """Return the channel for messages like this one; of those who wait for it, the first is served first."""
        purpose = message.exchange
        opening = self._opening.get(purpose)
        before = None if opening is None or not opening.done() or _failed(opening) else opening.result()
        if opening is None or (opening.done() and (before is None or not before.is_usable)):
            opening = self._opening[purpose] = asyncio.create_task(self._open(purpose, before), name=f"open channel {purpose}")
            opening.add_done_callback(_failed)  # whoever waited for it may be gone
        return await asyncio.shield(opening)

    async def _open(self, exchange: str, before: PublishingChannel | None) -> PublishingChannel:
        """Open one in the place of ``before``."""
        if before is not None:
            await before.retire()
        if exchange not in self._known:
            await declare_exchange(self.connection, Exchange(name=exchange, kind=TOPIC))
            self._known.add(exchange)
        return PublishingChannel(await self.connection.channel(confirms=True))


def _failed(opening: "asyncio.Task[PublishingChannel]") -> bool:
    return opening.cancelled() or opening.exception() is not None


class RabbitMQPublisher:
    """On a connection of its own: a broker that makes a publisher wait must not hold up acknowledgements."""

    def __init__(self, connections: ReconnectingConnection) -> None:
        self._connections = connections
        self._sender: Sender | None = None
        self._promised: dict[str, None] = {each.channel.name: None for each in subscriptions_of(SERVICES)}
        self.in_flight = 0

    async def publish(self, publications: Sequence[Publication]) -> None:
        """Return when the broker has them all on its disk. Raises BrokerUnavailable or PublishRefused."""
        if not publications:
            self._connections.current()
            return
        messages = self.outbound(publications)
        self.in_flight += 1
        try:
            await self.send(messages)
        except BrokerRefusal as refusal:
            raise refusal.as_publish_refused() from refusal
        finally:
            self.in_flight -= 1

    def outbound(self, publications: Sequence[Publication]) -> Sequence[OutboundMessage]:
        """Return what is sent for these. A message must arrive where a service of the mesh subscribes to the channel, or this
        client does. Raises PublishRefused."""
        return [OutboundMessage.of(each, must_arrive=each.channel in self._promised) for each in publications]

    async def send(self, messages: Sequence[OutboundMessage]) -> None:
        """As ``Sender.send``. Raises BrokerUnavailable while there is no connection."""
        await self._sender_of(self._connections.current()).send(messages)

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        """Make exchanges and queues exist: they are durable, and stay.

        Raises:
            ConfigurationError: this user may not, or they exist with other settings.
        """
        connection = self._connections.current()
        try:
            for subscription in subscriptions:
                await declare_subscription(connection, subscription)
        except BrokerRefusal as refusal:
            raise refusal.as_failure() from refusal
        self._promised.update({each.channel.name: None for each in subscriptions})

    async def attach(self, connection: Connection) -> None:
        self._sender = Sender(connection)

    def detach(self) -> None:
        self._sender = None

    def _sender_of(self, connection: Connection) -> Sender:
        if self._sender is None or self._sender.connection is not connection:
            self._sender = Sender(connection)
        return self._sender
