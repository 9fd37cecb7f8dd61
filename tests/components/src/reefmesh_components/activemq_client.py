"""What tests of the ActiveMQ engine do again and again: connect, wait for an event, take the next message."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.activemq.isolation_watch import IsolationLimits
from reefmesh.broker.port import BrokerEvent, Consumer, Delivery, Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope

PATIENCE_SECONDS: Final = 60.0


def publication(channel: str, number: int = 1, *, body: bytes = b"{}", reef_id: str = "reef-a") -> Publication:
    message = Envelope(
        event_id=f"{channel}/{reef_id}/{number}",
        reef_id=reef_id,
        schema_id="readings/1",
        produced_at=datetime(2026, 3, 1, tzinfo=UTC),
        seq=number,
        body=body,
    )
    return Publication(channel=channel, message=message)


class Events:
    """What a client told of itself, to be waited for."""

    def __init__(self, broker: ActiveMQBroker) -> None:
        self.heard: list[BrokerEvent] = []
        self._changed = asyncio.Event()
        broker.on_event(self._hear)

    def _hear(self, event: BrokerEvent) -> None:
        self.heard.append(event)
        self._changed.set()

    def count(self, name: str) -> int:
        return sum(event.name == name for event in self.heard)

    async def until(self, name: str, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.count(name) < times:
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def client(url: str, *, limits: IsolationLimits | None = None) -> AsyncIterator[ActiveMQBroker]:
    broker = ActiveMQBroker(url, clock=SystemClock(), limits=limits)
    await broker.connect()
    try:
        yield broker
    finally:
        await broker.close()


async def receive(broker: ActiveMQBroker, subscription: Subscription) -> Delivery:
    """Take the next message of a subscription and settle it."""
    consumer = broker.consumer(subscription, lanes=1)
    await consumer.start()
    delivery = await asyncio.wait_for(consumer.lanes[0].receive(), PATIENCE_SECONDS)
    assert delivery is not None
    await consumer.lanes[0].settle(delivery, ())
    await consumer.drain()
    return delivery


async def one_busy_one_idle(consumer: Consumer) -> "tuple[Delivery, asyncio.Task[Delivery | None]]":
    """Return what one of two lanes took in hand, and the other's waiting."""
    receiving = [asyncio.create_task(lane.receive()) for lane in consumer.lanes]
    done, (idle,) = await asyncio.wait(receiving, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_SECONDS)
    delivery = done.pop().result()
    assert delivery is not None
    return delivery, idle
