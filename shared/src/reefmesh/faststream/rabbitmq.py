"""FastStream's broker for RabbitMQ, with subscribers for the mesh's channels."""

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from faststream.security import SASLPlaintext

from reefmesh.broker.rabbitmq.message_headers import facts_of
from reefmesh.broker.rabbitmq.slots import ShardSlots
from reefmesh.broker.rabbitmq.topology import shard_queue
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.senders import BrokerUsers
from reefmesh.errors import ConfigurationError
from reefmesh.faststream.message_reader import MessageReader
from reefmesh.faststream.rabbitmq_queues import declare
from reefmesh.faststream.retry_in_place import Retrying
from reefmesh.faststream.subscribers import GRACEFUL_SECONDS, ReefSubscribers, SharedSubscriber, until_nothing_in_hand

SHARDS: Final = 8
WINDOW_MESSAGES: Final = 1
"""FastStream handles at once whatever it has: one message of a shard, so that a reef's come one by one."""


class RabbitReefBroker(ReefSubscribers, RabbitBroker):
    """``service`` names the subscriptions: every process of one service shares them, another service has its own.

    ``url`` as reefmesh has it (``amqps://user:password@host:5671?ca=FILE``), of one host. ``shards``: how many reefs are
    handled at once; fixed once the queues exist. ``users``: who may speak on the channels, where broker users are not called
    as their services. ``more``: what FastStream's ``RabbitBroker`` takes.
    """

    def __init__(
        self,
        url: str,
        *,
        service: str,
        shards: int = SHARDS,
        users: BrokerUsers | None = None,
        retrying: Retrying | None = None,
        graceful_timeout: float = GRACEFUL_SECONDS,
        **more: Any,
    ) -> None:
        address = RabbitMQAddress.parse(url)
        if len(address.endpoints) != 1:
            raise ConfigurationError("broker URL: FastStream knows one host; name the one that leads to all nodes")
        if address.server_name is not None:
            raise ConfigurationError("broker URL: server_name= is for reefmesh's services only")
        (endpoint,) = address.endpoints
        retrying = retrying or Retrying()
        self._shards = shards
        self._graceful_seconds = graceful_timeout
        context = address.ssl_context()
        self._place: dict[str, Any] = {
            "host": endpoint.host,
            "port": endpoint.port,
            "virtualhost": address.virtual_host,
            "timeout": address.connect_timeout_seconds,
        }
        self._declaring = self._place | {
            "login": address.user,
            "password": address.password,
            "ssl": address.tls,
            "ssl_context": context,
        }
        super().__init__(
            url=None,
            security=SASLPlaintext(address.user, address.password, ssl_context=context, use_ssl=address.tls),
            client_properties={"heartbeat": int(address.heartbeat_seconds)},
            graceful_timeout=graceful_timeout,
            service=service,
            users=users,
            retrying=retrying,
            **{
                **self._place,
                "default_channel": Channel(on_return_raises=True),
                **more,
                "middlewares": (*more.get("middlewares", ()), retrying.middleware),
            },
        )

    def made_lanes(self, subscription: Subscription) -> Iterable[SharedSubscriber]:
        reader = MessageReader(subscription, self._users, facts_of=facts_of, sender_of=_sender_of)
        for index in range(self._shards):
            yield self.subscriber(
                RabbitQueue(shard_queue(subscription, index), declare=False),
                channel=Channel(prefetch_count=WINDOW_MESSAGES),
                parser=reader.parse,
                decoder=reader.decode,
                no_reply=True,
                title=str(subscription.channel),
                include_in_schema=index == 0,
            )

    def address_of(self, subscription: Subscription, reef_id: str) -> str:
        return shard_queue(subscription, ShardSlots.of(reef_id, shards=self._shards).index)

    async def start(self) -> None:
        """Raises ConfigurationError: the subscription's queues are not as they must be, or this user may not make them."""
        self.retrying.stopping.clear()
        async with await aio_pika.connect(**self._declaring) as connection:
            for subscription in self.lanes:
                await declare(connection, subscription, shards=self._shards)
        await super().start()

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Finish what handlers have, then close the connection at once: RabbitMQ gives the next message away as soon as a
        consumer is cancelled, although this one may have another of the same reef."""
        self.retrying.stopping.set()
        await until_nothing_in_hand(self.subscribers, within_seconds=self._graceful_seconds)
        if self.running:
            await (await self.connect()).close()
        await super().stop(exc_type, exc_val, exc_tb)


def _sender_of(raw: AbstractIncomingMessage) -> str | None:
    return raw.user_id or None
