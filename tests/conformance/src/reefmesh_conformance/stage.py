"""The ground of one test: its clients, its own channel names, its messages, and crews of lanes at work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import Broker, BrokerUnavailable, Consumer, Delivery, Lane, LaneLost, Publication
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh_conformance.harness import BrokerUnderTest, Capabilities
from reefmesh_conformance.ledger import LaneOfClient, Ledger

PRODUCED_AT = datetime(2026, 3, 1, 6, 30, 0, 123456, tzinfo=UTC)

Handle = Callable[[Delivery], Awaitable[Sequence[Publication]]]


async def nothing(_: Delivery) -> Sequence[Publication]:
    """Handle a message without outputs, giving other tasks a turn while the reef is held."""
    for _turn in range(3):
        await asyncio.sleep(0)
    return ()


def number_of(message: Envelope) -> int:
    """The place of this message among those of its reef, from 0."""
    return int(message.event_id.rpartition("/")[2])


class Crew:
    """The lanes of one consumer at work, each handling and settling one message after the other.

    In a numbered channel a lane does what the port asks of a consumer there: a message that was applied before is settled and
    not handled again; one that comes before its turn is given back until the missing one has come.
    """

    def __init__(self, name: str, consumer: Consumer, ledger: Ledger, handle: Handle) -> None:
        self.name = name
        self.consumer = consumer
        self._ledger = ledger
        self._handle = handle
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.consumer.start()
        self._tasks = [asyncio.create_task(self._work(lane)) for lane in self.consumer.lanes]

    async def drain(self) -> None:
        """Stop as a service stops: finish what is in hand."""
        await self.consumer.drain()
        await asyncio.gather(*self._tasks)

    async def abandon(self) -> None:
        """Stop the handlers where they stand, without telling the broker; what made one of them fail is raised."""
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def stop(self) -> None:
        try:
            await self.abandon()
        finally:
            await self.consumer.close()

    async def _work(self, lane: Lane) -> None:
        worker = LaneOfClient(client=self.name, lane=lane.index)
        ledger = self._ledger
        while (delivery := await lane.receive()) is not None:
            reef_id, number = delivery.message.reef_id, number_of(delivery.message)
            match ledger.turn(reef_id, number):
                case "early":
                    await ledger.until_turn(reef_id, number)
                    await lane.release(delivery)
                    continue
                case "repeat":
                    outputs = ledger.repeated(reef_id, number, redelivered=delivery.redelivered)
                case "next":
                    ledger.received(reef_id, number, worker, redelivered=delivery.redelivered)
                    try:
                        outputs = await self._handle(delivery)
                    except asyncio.CancelledError:
                        ledger.interrupted(reef_id, number)
                        raise
                    ledger.handled(reef_id, number, outputs)
            try:
                await lane.settle(delivery, outputs)
            except (LaneLost, BrokerUnavailable):
                continue  # the outcome is unknown: it comes again, or it was taken
            ledger.confirmed(reef_id, number, worker)


class Stage:
    """One test's view of one broker."""

    def __init__(self, broker_under_test: BrokerUnderTest, *, numbered: bool) -> None:
        self.under_test = broker_under_test
        self.numbered = numbered
        self.channel = f"conformance.{uuid4().hex[:12]}"
        self._clients: list[Broker] = []

    @property
    def capabilities(self) -> Capabilities:
        return self.under_test.capabilities

    @property
    def patience_seconds(self) -> float:
        return self.capabilities.patience_seconds

    def ledger(self, *, after_losses: bool = False) -> Ledger:
        """``after_losses``: of a test in which consumers end at work."""
        return Ledger(numbered=self.numbered, repeats=after_losses and self.capabilities.repeats_after_loss)

    def subscription(self, service: str = "alpha", channel: str | None = None) -> Subscription:
        return Subscription(service, Channel(channel or self.channel, numbered=self.numbered))

    async def client(self, *subscriptions: Subscription) -> Broker:
        """Return a fresh client, with these subscriptions declared."""
        client = await self.under_test.connect()
        self._clients.append(client)
        if subscriptions:
            await client.declare(subscriptions)
        return client

    async def client_as(self, user: str) -> Broker:
        """Return a fresh client that is logged in as this user. Only with the capability ``authenticates``."""
        client = await self.under_test.connect_as(user)
        self._clients.append(client)
        return client

    async def lose(self, client: Broker) -> None:
        self._clients.remove(client)
        await self.under_test.lose(client)

    async def restart(self) -> None:
        """Restart the broker; every client made so far is closed and of no more use."""
        await self.close()
        await self.under_test.restart()

    async def close(self) -> None:
        while self._clients:
            await self._clients.pop().close()

    def message(
        self, reef_id: str, number: int, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Envelope:
        return Envelope(
            event_id=f"{self.channel}/{reef_id}/{number}",
            reef_id=reef_id,
            schema_id="readings/1",
            produced_at=PRODUCED_AT,
            seq=number + 1 if self.numbered else None,
            body=f'{{"n":{number}}}'.encode() if body is None else body,
            headers=headers or {},
        )

    def publication(self, reef_id: str, number: int, *, channel: str | None = None) -> Publication:
        return Publication(channel=channel or self.channel, message=self.message(reef_id, number))

    async def publish(self, client: Broker, counts: dict[str, int], *, first: int = 0, batch: int = 50) -> dict[str, int]:
        """Publish ``counts`` messages per reef, reefs interleaved, numbered from ``first``; returns the counts."""
        publications = [
            self.publication(reef_id, first + number)
            for number in range(max(counts.values()))
            for reef_id, count in counts.items()
            if number < count
        ]
        for start in range(0, len(publications), batch):
            await client.publish(publications[start : start + batch])
        return counts

    async def receive(self, lane: Lane) -> Delivery:
        """Receive what must come."""
        delivery = await asyncio.wait_for(lane.receive(), self.patience_seconds)
        assert delivery is not None
        return delivery

    @asynccontextmanager
    async def consuming(
        self, client: Broker, subscription: Subscription, *, lanes: int = 1, quota: ParkingQuota | None = None
    ) -> AsyncIterator[Consumer]:
        consumer = client.consumer(subscription, lanes=lanes, quota=quota)
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.close()

    @asynccontextmanager
    async def crew(
        self,
        client: Broker,
        subscription: Subscription,
        ledger: Ledger,
        *,
        lanes: int = 4,
        name: str = "one",
        handle: Handle = nothing,
    ) -> AsyncIterator[Crew]:
        crew = Crew(name, client.consumer(subscription, lanes=lanes), ledger, handle)
        await crew.start()
        try:
            yield crew
        finally:
            await crew.stop()

    async def settled(self, ledger: Ledger, messages: int) -> None:
        """Wait until so many messages are settled."""
        await ledger.until(
            lambda: ledger.settled_messages >= messages,
            within_seconds=self.patience_seconds,
            what=f"{messages} messages settled",
        )
