"""A FastStream application on real brokers: order, retries, what is set aside, and a stop in the middle of a message."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aio_pika
import pytest

from reefmesh.backoff import Backoff
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Publication
from reefmesh.broker.rabbitmq.topology import parking_queue
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import ALERT_2
from reefmesh.errors import ConfigurationError
from reefmesh.faststream import ReefEnvelope
from reefmesh.faststream.activemq import StompReefBroker
from reefmesh.faststream.connect import reef_broker
from reefmesh.faststream.rabbitmq import RabbitReefBroker
from reefmesh.faststream.rabbitmq_queues import topology_of
from reefmesh.faststream.retry_in_place import Retrying
from reefmesh_components.rabbitmq_process import RabbitmqProcess

SAMPLE: Final = (Path(__file__).parents[2] / "tests" / "contract" / "golden" / "alert-2.json").read_bytes()
PATIENCE_SECONDS: Final = 60.0
AT_ONCE: Final = 4
"""Shards, or lanes."""

pytestmark = pytest.mark.timeout(240)  # the first of them starts the brokers


class Place:
    """One service's subscription on ``reef.alerts`` of a real broker."""

    def __init__(self, kind: str, url_of: Callable[[str], str]) -> None:
        self.kind, self.url_of = kind, url_of
        self.service = f"app-{uuid4().hex[:10]}"
        self.subscription = Subscription(self.service, channels.ALERTS)

    def broker(self, **more: Any) -> RabbitReefBroker | StompReefBroker:
        sized = {"shards" if self.kind == "rabbitmq" else "lanes": AT_ONCE}
        return reef_broker(self.url_of("operator"), service=self.service, logger=None, **{**sized, **more})

    async def publish(self, messages: Sequence[Envelope]) -> None:
        broker = open_broker(self.url_of("alerts"), clock=SystemClock())
        await broker.connect()
        await broker.publish([Publication(channel=channels.ALERTS.name, message=each) for each in messages])
        await broker.close()

    async def close(self) -> None:
        if self.kind != "rabbitmq":
            return  # a queue of ActiveMQ stays as long as its broker, which is this run's
        async with await aio_pika.connect(self.url_of("operator")) as connection, connection.channel() as channel:
            topology = topology_of(self.subscription, shards=AT_ONCE)
            for queue in topology.queues:
                await channel.queue_delete(queue.name)
            for exchange in topology.exchanges:
                if exchange.name != channels.ALERTS.name:
                    await channel.exchange_delete(exchange.name)


@pytest.fixture(params=["rabbitmq", "activemq"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    made = Place(request.param, request.getfixturevalue(f"{request.param}_process").url)
    yield made
    await made.close()


@asynccontextmanager
async def running(broker: Any) -> AsyncIterator[None]:
    await broker.start()
    try:
        yield
    finally:
        await broker.stop()


def alert(reef_id: str, seq: int, *, body: bytes = SAMPLE) -> Envelope:
    return Envelope(
        event_id=f"{reef_id}-{seq}",
        reef_id=reef_id,
        schema_id=ALERT_2,
        produced_at=datetime(2026, 3, 1, 18, 30, tzinfo=UTC),
        body=body,
        seq=seq,
    )


class Seen:
    """What handlers were given, reef by reef; complains when a reef has two messages in hand at once."""

    def __init__(self, wanted: int) -> None:
        self.numbers: dict[str, list[int]] = defaultdict(list)
        self.all_seen = asyncio.Event()
        self._wanted = wanted
        self._in_hand: set[str] = set()
        self.together: list[str] = []

    async def take(self, envelope: Envelope) -> None:
        if envelope.reef_id in self._in_hand:
            self.together.append(envelope.reef_id)
        self._in_hand.add(envelope.reef_id)
        await asyncio.sleep(0)  # others get a turn while the reef is held
        self._in_hand.discard(envelope.reef_id)
        self.numbers[envelope.reef_id].append(envelope.seq or 0)
        if sum(map(len, self.numbers.values())) == self._wanted:
            self.all_seen.set()

    async def until_all(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.all_seen.wait()


async def test_messages_of_each_reef_come_one_by_one_and_in_order(place: Place) -> None:
    reefs, turns = [f"reef-{number}" for number in range(6)], range(1, 21)
    seen, broker = Seen(len(reefs) * len(turns)), place.broker()

    @broker.alerts()
    async def take(body: Alert, envelope: ReefEnvelope) -> None:
        await seen.take(envelope)

    async with running(broker):
        await place.publish([alert(reef, seq) for seq in turns for reef in reefs])
        await seen.until_all()

    assert {reef: list(turns) for reef in reefs} == seen.numbers
    assert [] == seen.together


async def test_reef_waits_while_its_handler_fails(place: Place) -> None:
    seen, failures = Seen(3), [OSError("once"), OSError("twice")]
    broker = place.broker(retrying=Retrying(backoff=Backoff(first_seconds=0.01, max_seconds=0.02)))

    @broker.alerts()
    async def take(body: Alert, envelope: ReefEnvelope) -> None:
        if failures:
            raise failures.pop()
        await seen.take(envelope)

    async with running(broker):
        await place.publish([alert("amed-wall", seq) for seq in (1, 2, 3)])
        await seen.until_all()

    assert {"amed-wall": [1, 2, 3]} == seen.numbers


async def test_message_that_cannot_be_read_is_set_aside_and_the_reef_goes_on(place: Place) -> None:
    seen, broker = Seen(2), place.broker()

    @broker.alerts()
    async def take(body: Alert, envelope: ReefEnvelope) -> None:
        await seen.take(envelope)

    async with running(broker):
        await place.publish([alert("amed-wall", 1), alert("amed-wall", 2, body=b"{}"), alert("amed-wall", 3)])
        await seen.until_all()

    assert {"amed-wall": [1, 3]} == seen.numbers
    assert "amed-wall-2" == await set_aside(place)


async def test_stop_finishes_what_is_in_hand_before_anybody_gets_what_follows(place: Place) -> None:
    """Law 7: no reef is ever handled by two at once. Two processes share the subscription; one of them stops."""
    in_hand, go_on = asyncio.Event(), asyncio.Event()
    seen = Seen(3)
    first, second = place.broker(), place.broker()

    @first.alerts()
    async def hold(body: Alert, envelope: ReefEnvelope) -> None:
        in_hand.set()
        await go_on.wait()
        await seen.take(envelope)

    @second.alerts()
    async def take(body: Alert, envelope: ReefEnvelope) -> None:
        assert go_on.is_set(), f"{envelope.seq} came while its predecessor was in hand"
        await seen.take(envelope)

    await first.start()
    await place.publish([alert("amed-wall", seq) for seq in (1, 2, 3)])
    async with asyncio.timeout(PATIENCE_SECONDS):
        await in_hand.wait()
    async with running(second):
        stopping = asyncio.create_task(first.stop())
        await asyncio.sleep(0)  # it has begun to stop
        go_on.set()
        await stopping
        await seen.until_all()

    assert {"amed-wall": [1, 2, 3]} == seen.numbers


async def test_other_number_of_shards_is_refused(rabbitmq_process: RabbitmqProcess) -> None:
    """Another number would spread the reefs anew, past what waits in the queues."""
    place = Place("rabbitmq", rabbitmq_process.url)

    def broker(shards: int) -> RabbitReefBroker:
        made = RabbitReefBroker(rabbitmq_process.url(), service=place.service, shards=shards, logger=None)

        @made.alerts()
        async def take(body: Alert) -> None: ...

        return made

    async with running(broker(AT_ONCE)):
        pass
    for shards in (AT_ONCE - 1, AT_ONCE + 1):
        other = broker(shards)
        with pytest.raises(ConfigurationError, match="another number of shards"):
            await other.start()
        await other.stop()
    await place.close()


async def set_aside(place: Place) -> str:
    """Return the event id of the one message that the broker has set aside."""
    arrived: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    if place.kind == "rabbitmq":
        async with await aio_pika.connect(place.url_of("operator")) as connection, connection.channel() as channel:

            async def read(message: Any) -> None:
                arrived.set_result(str(message.headers["event-id"]))

            await (await channel.get_queue(parking_queue(place.subscription))).consume(read, no_ack=True)
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await arrived
    address = ActiveMQAddress.parse(place.url_of("operator"))
    session = await Session.open(address, address.endpoints[0], None)
    queue = f"/queue/DLQ.Consumer.{place.service}.VirtualTopic.{channels.ALERTS}"
    await session.subscribe("aside", queue, (("ack", "auto"),), lambda frame: arrived.set_result(frame.headers["event-id"]))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await arrived
    finally:
        await session.close()
