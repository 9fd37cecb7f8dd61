"""One stage of the pipeline that a user would write with FastStream: typed, confirmed, with state, each reef in order.

usage: python tests/bench/plain_faststream_stage.py ORDER  (JSON: see ``StageOrder``; prints ``up``, ends at SIGTERM)
"""

import asyncio
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue
from faststream.security import SASLPlaintext
from faststream_stomp import StompBroker
from pydantic import BaseModel, ConfigDict
from stompman import Client, ConnectionParameters

from plain_work import STAGES, State, reef_of

CONFIRM_SECONDS: Final = 60.0
ARGUMENTS: Final[Any] = {
    "x-single-active-consumer": True,
    "x-delivery-limit": 1_000,
    "x-overflow": "reject-publish",
}


class StageOrder(BaseModel):
    """``width``: queues on RabbitMQ, subscriptions on ActiveMQ; ``prefetch``: messages of each in hand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    broker: str
    host: str
    port: int
    user: str
    password: str
    stage: str
    database: Path
    shared_commits: bool
    width: int
    prefetch: int


class Turns:
    """FastStream handles at once whatever it has in hand; messages of one reef take turns, in the order of their arrival."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def of(self, reef: str) -> asyncio.Lock:
        return self._locks[reef]


def on_rabbitmq(order: StageOrder, state: State) -> RabbitBroker:
    """Reefs spread over quorum queues by a consistent hash; a queue has one active consumer."""
    stage = STAGES[order.stage]
    broker = RabbitBroker(
        f"amqp://{order.host}:{order.port}/",
        security=SASLPlaintext(order.user, order.password),
        default_channel=Channel(on_return_raises=stage.to != "alerts"),  # nobody reads the alerts
        logger=None,
    )
    hashed = ExchangeType.X_CONSISTENT_HASH
    source, target = RabbitExchange(f"plain.{stage.source}", type=hashed), RabbitExchange(f"plain.{stage.to}", type=hashed)

    publisher = broker.publisher(exchange=target, persist=True)

    turns = Turns()

    async def handle(message: Any) -> None:
        reef = reef_of(message)
        async with turns.of(reef):
            if output := await state.apply(message):
                await publisher.publish(output.encode(), routing_key=reef)

    handle.__annotations__["message"] = stage.reads
    for index in range(order.width):
        queue = RabbitQueue(f"plain.{stage.source}.{index}", QueueType.QUORUM, arguments=ARGUMENTS, routing_key="1")
        broker.subscriber(queue, source, channel=Channel(prefetch_count=order.prefetch), ack_policy=AckPolicy.NACK_ON_ERROR)(
            handle
        )
    return broker


def on_activemq(order: StageOrder, state: State) -> StompBroker:
    """The reef is the message group."""
    stage = STAGES[order.stage]
    server = ConnectionParameters(order.host, order.port, order.user, order.password)
    broker = StompBroker(Client([server], max_concurrent_handlers=None), receipt_timeout=CONFIRM_SECONDS, logger=None)

    turns = Turns()

    async def handle(message: Any) -> None:
        reef = reef_of(message)
        async with turns.of(reef):
            if output := await state.apply(message):
                headers = {"persistent": "true", "JMSXGroupID": reef, "content-type": "application/json"}
                await broker.publish(output.encode(), f"/queue/plain.{stage.to}", headers=headers)

    handle.__annotations__["message"] = stage.reads
    for _ in range(order.width):
        broker.subscriber(f"/queue/plain.{stage.source}", headers={"activemq.prefetchSize": str(order.prefetch)})(handle)
    return broker


def main() -> None:
    order = StageOrder.model_validate_json(sys.argv[1])
    state = State(order.database, STAGES[order.stage].work, shared=order.shared_commits)
    make = on_rabbitmq if order.broker == "rabbitmq" else on_activemq
    app = FastStream(make(order, state), logger=None)

    @app.after_startup
    async def tell() -> None:
        print("up", flush=True)

    asyncio.run(app.run())


if __name__ == "__main__":
    main()
