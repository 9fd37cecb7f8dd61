"""What the load process needs of a broker: publish confirmed, and listen to an exit without leaving a queue behind."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, Self

from aiormq.abc import DeliveredMessage

from order import Order
from reefmesh.broker.activemq.message_headers import GROUP, to_frame
from reefmesh.broker.activemq.outbound_message import OutboundMessage as Frame
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.shared_transactions import SharedTransactions, TransactionPart
from reefmesh.broker.activemq.transaction import ReceiptPolicy
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.rabbitmq.connection import Connection
from reefmesh.broker.rabbitmq.message_headers import to_headers
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.publisher import Sender
from reefmesh.broker.rabbitmq.slots import routing_key_of
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.contracts.envelope import Envelope

PREFETCH: Final = "500"  # 1000 would count as "nothing said", and the broker would take its own 1
TRACE: Final = "traceparent"

Hear = Callable[[str], None]
"""Given the trace of each message at the exit."""


class LoadClient(Protocol):
    """``prepare`` makes of a message, before the clock runs, what ``publish`` sends; that returns when all are confirmed."""

    def prepare(self, message: Envelope, order: Order) -> Any: ...

    async def publish(self, prepared: Sequence[Any]) -> None: ...

    async def watch(self, place: str, hear: Hear) -> None: ...

    async def close(self) -> None: ...


class StompLoad:
    """Entry and exit are STOMP destinations."""

    def __init__(self, publishing: Session, watching: Session) -> None:
        self._publishing, self._watching = publishing, watching
        self._transactions = SharedTransactions(publishing, ReceiptPolicy())

    @classmethod
    async def open(cls, url: str) -> Self:
        address = ActiveMQAddress.parse(url)
        place, context = address.endpoints[0], address.ssl_context()
        return cls(await Session.open(address, place, context), await Session.open(address, place, context))

    def prepare(self, message: Envelope, order: Order) -> Frame:
        headers = [(name, value) for name, value in to_frame(message) if order.grouped or name != GROUP]
        return Frame(destination=order.entry, headers=headers, body=message.body)

    async def publish(self, prepared: Sequence[Frame]) -> None:
        await self._transactions.commit(TransactionPart(messages=prepared))

    async def watch(self, place: str, hear: Hear) -> None:
        headers = (("ack", "auto"), ("activemq.prefetchSize", PREFETCH))
        await self._watching.subscribe("watcher", place, headers, lambda frame: hear(frame.headers.get(TRACE, "")))

    async def close(self) -> None:
        await self._watching.close()
        await self._publishing.close()


class AmqpLoad:
    """Entry and exit are exchanges; the routing key is the reef's."""

    def __init__(self, publishing: Connection, watching: Connection) -> None:
        self._publishing, self._watching = publishing, watching
        self._sender = Sender(publishing)

    @classmethod
    async def open(cls, url: str) -> Self:
        address = RabbitMQAddress.parse(url)
        place, context = address.endpoints[0], address.ssl_context()
        return cls(await Connection.open(address, place, context), await Connection.open(address, place, context))

    def prepare(self, message: Envelope, order: Order) -> OutboundMessage:
        return OutboundMessage(
            exchange=order.entry,
            routing_key=routing_key_of(message.reef_id),
            headers=to_headers(message),
            body=message.body,
        )

    async def publish(self, prepared: Sequence[OutboundMessage]) -> None:
        await self._sender.send(prepared)

    async def watch(self, place: str, hear: Hear) -> None:
        async def take(delivered: DeliveredMessage) -> None:
            hear(str((delivered.header.properties.headers or {}).get(TRACE, "")))

        channel = await self._watching.channel()
        queue = (await channel.queue_declare(exclusive=True, auto_delete=True)).queue or ""
        await channel.queue_bind(queue, place, routing_key="#")
        await channel.basic_consume(queue, take, no_ack=True)

    async def close(self) -> None:
        await self._watching.close()
        await self._publishing.close()


async def open_load_client(url: str) -> LoadClient:
    return await (AmqpLoad if url.startswith("amqp") else StompLoad).open(url)
