"""One client in the hot path of RabbitMQ: consume, hand to a handler, publish the output confirmed, acknowledge.

usage: python tests/bench/hot_path_client.py CLIENT URL MESSAGES  (the order is as in ``hot_path.py``; prints JSON)

Every client has one connection to consume, with a channel for each shard and the engine's window, and one to publish. The
handler takes the message's envelope and gives an output with the same body.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from aiormq.abc import DeliveredMessage
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitExchange, RabbitMessage, RabbitQueue
from pamqp.commands import Basic

from reefmesh.broker.rabbitmq.connection import Connection
from reefmesh.broker.rabbitmq.message_headers import facts_of
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.publisher import Sender
from reefmesh.broker.rabbitmq.slots import routing_key_of
from reefmesh.broker.rabbitmq.topology import WINDOW_MESSAGES
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.contracts.envelope import event_id_of

SHARDS: Final = 4
LANES: Final = SHARDS * WINDOW_MESSAGES
"""As many as can be in hand: no client waits for a lane."""
OUT: Final = "hot.out"
PATIENCE_SECONDS: Final = 120.0


def shard(index: int) -> str:
    return f"hot.in.{index}"


class Progress:
    """``first``, ``last``: by the monotonic clock; CPU since the first message came."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._done = 0
        self.first = self.last = self.cpu_seconds = 0.0
        self.ended = asyncio.Event()

    def began(self) -> None:
        if not self.first:
            self.first, self.cpu_seconds = time.monotonic(), time.process_time()

    def one_done(self) -> None:
        self._done += 1
        if self._done == self._wanted:
            self.last, self.cpu_seconds = time.monotonic(), time.process_time() - self.cpu_seconds
            self.ended.set()


def output_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """What each client's handler does: read the envelope's facts, give those of the output."""
    facts = facts_of(headers)
    return facts | {
        "event-id": event_id_of(facts["event-id"], "hot-path"),
        "produced-at": datetime.fromisoformat(facts["produced-at"]).isoformat(),
    }


async def by_aiormq(url: str, progress: Progress, stack: AsyncExitStack) -> None:
    """As the engine does: aiormq's channels, lanes that take messages from a queue, the engine's own sender."""
    address = RabbitMQAddress.parse(url)
    consuming = await Connection.open(address, address.endpoints[0], None)
    publishing = await Connection.open(address, address.endpoints[0], None)
    for connection in (consuming, publishing):
        stack.push_async_callback(connection.close)
    sender = Sender(publishing)
    ready: asyncio.Queue[tuple[Any, int, DeliveredMessage]] = asyncio.Queue()

    async def lane() -> None:
        while True:
            channel, tag, delivered = await ready.get()
            headers = delivered.header.properties.headers or {}
            facts = output_headers(headers)
            key = routing_key_of(facts["reef-id"])
            await sender.send([OutboundMessage(exchange=OUT, routing_key=key, headers=facts, body=delivered.body)])
            await channel.basic_ack(tag, wait=False)
            progress.one_done()

    lanes = [asyncio.create_task(lane()) for _ in range(LANES)]
    stack.callback(lambda: [each.cancel() for each in lanes])
    for index in range(SHARDS):
        channel = await consuming.channel()
        await channel.basic_qos(prefetch_count=WINDOW_MESSAGES)

        def receiver(of: Any) -> Callable[[DeliveredMessage], Coroutine[Any, Any, None]]:
            async def receive(delivered: DeliveredMessage) -> None:
                progress.began()
                if isinstance(delivered.delivery, Basic.Deliver):  # consumers get nothing else
                    ready.put_nowait((of, delivered.delivery.delivery_tag or 0, delivered))

            return receive

        await channel.basic_consume(shard(index), receiver(channel))


async def by_aio_pika(url: str, progress: Progress, stack: AsyncExitStack) -> None:
    consuming = await aio_pika.connect_robust(url)
    publishing = await aio_pika.connect_robust(url)
    for connection in (consuming, publishing):
        stack.push_async_callback(connection.close)
    out = await (await publishing.channel(on_return_raises=True)).get_exchange(OUT)

    async def take(message: AbstractIncomingMessage) -> None:
        progress.began()
        headers = output_headers(message.headers)
        output = aio_pika.Message(message.body, headers=dict(headers), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await out.publish(output, routing_key_of(headers["reef-id"]))
        await message.ack()
        progress.one_done()

    for index in range(SHARDS):
        channel = await consuming.channel()
        await channel.set_qos(prefetch_count=WINDOW_MESSAGES)
        await (await channel.get_queue(shard(index))).consume(take)


async def by_faststream(url: str, progress: Progress, stack: AsyncExitStack) -> None:
    """At its leanest: no types to apply, nothing decoded, no log line a message, a channel for each shard."""
    consuming = RabbitBroker(url, apply_types=False, logger=None)
    publishing = RabbitBroker(url, default_channel=Channel(on_return_raises=True), logger=None)
    out = publishing.publisher(exchange=RabbitExchange(OUT, declare=False), persist=True)

    async def as_it_is(message: RabbitMessage) -> RabbitMessage:
        return message

    async def take(message: RabbitMessage) -> None:
        progress.began()
        headers = output_headers(message.headers)
        await out.publish(message.body, routing_key=routing_key_of(headers["reef-id"]), headers=dict(headers))
        await message.ack()
        progress.one_done()

    for index in range(SHARDS):
        queue = RabbitQueue(shard(index), declare=False)
        channel = Channel(prefetch_count=WINDOW_MESSAGES)
        subscriber = consuming.subscriber(queue, channel=channel, decoder=as_it_is, ack_policy=AckPolicy.MANUAL, no_reply=True)
        subscriber(take)
    for broker in (publishing, consuming):
        await broker.start()
        stack.push_async_callback(broker.stop)


CLIENTS: Final = {"aiormq": by_aiormq, "aio-pika": by_aio_pika, "FastStream": by_faststream}


async def run(client: str, url: str, messages: int) -> Progress:
    progress = Progress(messages)
    async with AsyncExitStack() as stack:
        await CLIENTS[client](url, progress, stack)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await progress.ended.wait()
    return progress


def main() -> None:
    client, url, messages = sys.argv[1:]
    progress = asyncio.run(run(client, url, int(messages)))
    print(json.dumps({"seconds": progress.last - progress.first, "cpu_seconds": progress.cpu_seconds}))


if __name__ == "__main__":
    main()
