"""The RabbitMQ engine beside the conformance suite: what goes wrong at the broker and in between."""

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import uuid4

import aiormq
import pytest
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from reefmesh.broker.port import (
    UNREADABLE_PARKED,
    BrokerEvent,
    BrokerUnavailable,
    Consumer,
    Delivery,
    Lane,
    LaneLost,
    Publication,
)
from reefmesh.broker.rabbitmq.connection import Connection, close_channel
from reefmesh.broker.rabbitmq.consumer import RabbitMQConsumer
from reefmesh.broker.rabbitmq.engine import BLOCKED, RabbitMQBroker
from reefmesh.broker.rabbitmq.errors import PRECONDITION_FAILED, BrokerRefusal
from reefmesh.broker.rabbitmq.message_headers import properties_of
from reefmesh.broker.rabbitmq.slots import SLOTS, routing_key_of, slot_of
from reefmesh.broker.rabbitmq.topology import (
    WINDOW_MESSAGES,
    Topology,
    channel_exchange,
    hash_exchange,
    overflow_queue,
    subscription_exchange,
)
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import SCORING, Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import ConfigurationError
from reefmesh_components.rabbitmq import local_rabbitmq
from reefmesh_components.rabbitmq_process import DISK_FREE_LIMIT, RabbitmqProcess

pytestmark = pytest.mark.timeout(240)  # the first of them starts the broker; some restart it
PATIENCE_SECONDS = 60.0
NEVER_FREE = "1000000GB"
PRODUCED_AT = datetime(2026, 3, 1, 6, 30, tzinfo=UTC)


class Place:
    """One subscription at a real broker, and clients of it; removed at the end."""

    def __init__(self, broker: RabbitmqProcess, *, shards: int = 1, numbered: bool = True, parameters: str = "") -> None:
        self.url = broker.url(parameters=f"shards={shards}{parameters}")
        self.subscription = Subscription("scoring", Channel(f"engine.{uuid4().hex[:12]}", numbered=numbered))
        self.shards = shards
        self.clients: list[RabbitMQBroker] = []
        self.events: list[BrokerEvent] = []
        self._watchers: list[tuple[Callable[[BrokerEvent], bool], asyncio.Future[BrokerEvent]]] = []

    async def client(self) -> RabbitMQBroker:
        client = RabbitMQBroker(self.url, clock=SystemClock())
        client.on_event(self._on_event)
        await client.connect()
        await client.declare([self.subscription])
        self.clients.append(client)
        return client

    def publication(self, reef_id: str, number: int) -> Publication:
        seq = number + 1 if self.subscription.is_numbered else None
        return Publication(channel=self.subscription.channel.name, message=envelope(reef_id, number, seq))

    def event(self, name: str) -> "asyncio.Future[BrokerEvent]":
        """The next event of this name."""
        future: asyncio.Future[BrokerEvent] = asyncio.get_running_loop().create_future()
        self._watchers.append((lambda event: event.name == name, future))
        return future

    async def close(self) -> None:
        for client in self.clients:
            await client.close()
        address = RabbitMQAddress.parse(self.url)
        connection = await Connection.open(address, address.endpoints[0], None)
        topology = Topology.of(self.subscription, shards=self.shards)
        async with connection.passing_channel() as channel:
            for queue in topology.queues:
                await channel.queue_delete(queue.name)
            for exchange in topology.exchanges:
                await channel.exchange_delete(exchange.name)
        await connection.close()

    def _on_event(self, event: BrokerEvent) -> None:
        self.events.append(event)
        for matches, future in self._watchers:
            if matches(event) and not future.done():
                future.set_result(event)


@asynccontextmanager
async def place_at(
    broker: RabbitmqProcess, *, shards: int = 1, numbered: bool = True, parameters: str = ""
) -> AsyncIterator[Place]:
    place = Place(broker, shards=shards, numbered=numbered, parameters=parameters)
    try:
        yield place
    finally:
        await place.close()


def envelope(reef_id: str, number: int, seq: int | None) -> Envelope:
    return Envelope(
        event_id=f"{reef_id}/{number}", reef_id=reef_id, schema_id="readings/1", produced_at=PRODUCED_AT, seq=seq, body=b"{}"
    )


def number_of(delivery: Delivery) -> int:
    return int(delivery.message.event_id.rpartition("/")[2])


async def soon(lane: Lane) -> Delivery:
    delivery = await asyncio.wait_for(lane.receive(), PATIENCE_SECONDS)
    assert delivery is not None
    return delivery


async def started(client: RabbitMQBroker, subscription: Subscription, *, lanes: int = 1) -> RabbitMQConsumer:
    consumer = client.consumer(subscription, lanes=lanes)
    assert isinstance(consumer, RabbitMQConsumer)
    await consumer.start()
    return consumer


async def settle_all(consumer: Consumer, count: int) -> Sequence[int]:
    """Settle so many messages on the first lane; return their numbers."""
    numbers = []
    for _ in range(count):
        delivery = await soon(consumer.lanes[0])
        numbers.append(number_of(delivery))
        await consumer.lanes[0].settle(delivery, ())
    return numbers


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)  # one turn of the loop, in which frames may arrive


async def test_wrong_password_or_virtual_host_no_retry_helps(rabbitmq_process: RabbitmqProcess) -> None:
    good = RabbitMQAddress.parse(rabbitmq_process.url())
    host = str(good.endpoints[0])
    for url, why in (
        (f"amqp://operator:wrong@{host}", "wrong user name or password"),
        (f"amqp://operator:{quote(good.password, safe='')}@{host}/nowhere", "has no virtual host 'nowhere'"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            await RabbitMQBroker(url, clock=SystemClock()).connect()


async def test_another_number_of_shards_is_refused_before_anything_is_torn(rabbitmq_process: RabbitmqProcess) -> None:
    async with place_at(rabbitmq_process, shards=2) as place:
        await place.client()
        for shards in (1, 3):
            other = RabbitMQBroker(rabbitmq_process.url(parameters=f"shards={shards}"), clock=SystemClock())
            await other.connect()
            with pytest.raises(ConfigurationError, match="another number of shards"):
                await other.declare([place.subscription])
            await other.close()


async def test_forged_user_is_refused_by_the_broker_and_is_not_there(rabbitmq_process: RabbitmqProcess) -> None:
    """Law 12: nobody speaks for another."""
    async with place_at(rabbitmq_process) as place:
        client = await place.client()
        address = RabbitMQAddress.parse(place.url)
        forger = await Connection.open(address, address.endpoints[0], None)
        with pytest.raises(BrokerRefusal, match="user_id") as refused:
            async with forger.passing_channel(confirms=True) as channel:
                await channel.basic_publish(
                    b"{}",
                    exchange=channel_exchange(place.subscription.channel.name),
                    routing_key=routing_key_of("reef-a"),
                    properties=properties_of({"reef-id": "reef-a"}, user="scoring"),
                )
        assert refused.value.code == PRECONDITION_FAILED
        assert not forger.is_lost
        await forger.close()
        await client.publish([place.publication("reef-a", 0)])
        consumer = await started(client, place.subscription)
        delivery = await soon(consumer.lanes[0])
        assert (number_of(delivery), delivery.user_id) == (0, "operator")


class FarFuture(Basic.Properties):
    """An instant in the headers is one that the broker takes and no calendar has."""

    def marshal(self) -> bytes:
        return super().marshal().replace(struct.pack(">Q", int(PRODUCED_AT.timestamp())), b"\x7f" + b"\xff" * 7)


async def test_headers_without_an_envelope_are_parked_and_cost_no_connection(rabbitmq_process: RabbitmqProcess) -> None:
    """Law 13: no message stops the mesh."""
    async with place_at(rabbitmq_process) as place:
        client = await place.client()
        nested: dict[str, object] = {}
        for _ in range(300):
            nested = {"a": nested}
        connection = await aiormq.connect(rabbitmq_process.url())
        channel = await connection.channel(publisher_confirms=True)
        for properties, key in (
            (Basic.Properties(headers={"reef-id": 7}), "reef-a"),
            (Basic.Properties(headers={"reef-id": "reef-a", "deep": nested}), "reef-a"),  # type: ignore[dict-item]  # a table
            (Basic.Properties(headers={}), "other"),
            (FarFuture(headers={"reef-id": "reef-a", "when": PRODUCED_AT, "room": "x" * 400}), "reef-a"),
        ):
            exchange = channel_exchange(place.subscription.channel.name)
            await channel.basic_publish(b"{}", exchange=exchange, routing_key=routing_key_of(key), properties=properties)
        await connection.close()
        await client.publish([place.publication("reef-a", 0)])
        consumer = await started(client, place.subscription)
        assert [0] == await settle_all(consumer, 1)
        receiving = asyncio.create_task(consumer.lanes[0].receive())  # whose turn it was before, the reefs' turns say
        await until(lambda: sum(event.name == UNREADABLE_PARKED for event in place.events) == 4)
        receiving.cancel()
        details = [str(event.facts["detail"]) for event in place.events if event.name == UNREADABLE_PARKED]
        assert sum("year 292278994 is out of range" in detail for detail in details) == 1
        assert (await client.statistics()).reconnects == 0
        assert len(await client.parking(place.subscription).list()) == 4


async def send_under_key(place: Place, key: str, *, copies_to: Sequence[str] = ()) -> None:
    """Publish a message of reef-a under a routing key of one's own, and under those of ``copies_to`` with it."""
    address = RabbitMQAddress.parse(place.url)
    sender = await Connection.open(address, address.endpoints[0], None)
    headers: dict[str, object] = {**envelope("reef-a", 0, 1).to_headers()}
    if copies_to:
        headers["CC"] = list(copies_to)
    async with sender.passing_channel(confirms=True) as channel:
        await channel.basic_publish(
            b"{}",
            exchange=channel_exchange(place.subscription.channel.name),
            routing_key=key,
            properties=properties_of(headers, user=address.user),
            mandatory=True,
        )
    await sender.close()


@pytest.mark.parametrize(
    "key",
    [
        routing_key_of("reef-b"),
        "reef-a",
        "",
        f"{(slot_of('reef-a') + 1) % SLOTS:02x}.reef-a",
        f"{slot_of('reef-a')}.reef-a",
        "5b",
    ],
    ids=["another reef's", "without a slot", "none", "a wrong slot", "a slot in decimal digits", "a slot alone"],
)
async def test_message_whose_key_is_not_its_reefs_is_parked_and_a_replay_mends_it(
    rabbitmq_process: RabbitmqProcess, key: str
) -> None:
    """Law 1: it could be handled beside the other messages of its reef, which are in another shard. Law 3: whoever publishes
    without slots loses nothing."""
    async with place_at(rabbitmq_process, shards=4) as place:
        client = await place.client()
        await send_under_key(place, key)
        unreadable = place.event(UNREADABLE_PARKED)
        consumer = await started(client, place.subscription)
        receiving = asyncio.create_task(soon(consumer.lanes[0]))
        event = await asyncio.wait_for(unreadable, PATIENCE_SECONDS)
        assert event.facts["detail"] == f"its routing key {key!r} is not its reef's"
        parking = client.parking(place.subscription)
        assert await parking.replay([each.parking_id for each in await parking.list()]) == 1
        delivery = await receiving
        assert ("reef-a", 0) == (delivery.message.reef_id, number_of(delivery))
        await consumer.lanes[0].settle(delivery, ())


async def test_message_that_comes_to_another_shard_as_well_is_parked_there(rabbitmq_process: RabbitmqProcess) -> None:
    """Law 1: by the header ``CC``, and by a binding that somebody made, a message with the right key comes to a wrong queue."""
    async with place_at(rabbitmq_process, shards=4) as place:
        client = await place.client()
        own = slot_of("reef-a")
        await send_under_key(place, routing_key_of("reef-a"), copies_to=[f"{(own + 1) % SLOTS:02x}.reef-a"])
        unreadable = place.event(UNREADABLE_PARKED)
        consumer = await started(client, place.subscription)
        assert [0] == await settle_all(consumer, 1)
        receiving = asyncio.create_task(consumer.lanes[0].receive())
        event = await asyncio.wait_for(unreadable, PATIENCE_SECONDS)
        assert event.facts["detail"] == f"it came through shard {(own + 1) % 4}, and its reef's is {own % 4} of 4"
        receiving.cancel()


async def test_spread_of_an_earlier_version_is_refused_before_anything_comes_twice(rabbitmq_process: RabbitmqProcess) -> None:
    async with place_at(rabbitmq_process) as place:
        client = await place.client()
        connection = await aiormq.connect(rabbitmq_process.url())
        channel = await connection.channel()
        earlier = hash_exchange(place.subscription)
        await channel.exchange_declare(earlier, exchange_type="topic", durable=True)  # its plugin may be gone already
        with pytest.raises(ConfigurationError, match=f"has the exchange {re.escape(earlier)} of an earlier version"):
            await client.declare([place.subscription])
        await channel.exchange_delete(earlier)
        await connection.close()
        await client.declare([place.subscription])


async def test_declaration_that_was_broken_off_is_completed(rabbitmq_process: RabbitmqProcess) -> None:
    """As where an earlier version's exchange was deleted, and the rest is still there."""
    async with place_at(rabbitmq_process, shards=2) as place:
        client = await place.client()
        connection = await aiormq.connect(rabbitmq_process.url())
        channel = await connection.channel()
        await channel.exchange_delete(subscription_exchange(place.subscription))
        await connection.close()
        await client.declare([place.subscription])
        await client.publish([place.publication(f"reef-{index}", 0) for index in range(20)])
        consumer = await started(client, place.subscription)
        assert [0] * 20 == await settle_all(consumer, 20)


async def test_channel_closed_by_the_broker_costs_its_shard_a_lane_and_nothing_more(rabbitmq_process: RabbitmqProcess) -> None:
    async with place_at(rabbitmq_process) as place:
        client = await place.client()
        await client.publish([place.publication("reef-a", number) for number in range(3)])
        consumer = await started(client, place.subscription)
        lane = consumer.lanes[0]
        held = await soon(lane)
        tenure = held.token.message.tenure  # type: ignore[attr-defined]  # a hold of this engine
        await tenure.channel.basic_ack(999_999)  # unknown: the broker closes this channel
        await until(lambda: tenure.is_over)
        with pytest.raises(LaneLost):
            await lane.settle(held, ())
        assert [0, 1, 2] == await settle_all(consumer, 3)
        assert (await client.statistics()).reconnects == 0


@pytest.mark.rabbitmq
async def test_silent_broker_is_noticed_within_two_heartbeats(own_rabbitmq: RabbitmqProcess) -> None:
    """A half-open peer: its connections are there, and nothing comes."""
    async with place_at(own_rabbitmq, parameters="&heartbeat_ms=2000") as place:
        client = await place.client()
        consumer = await started(client, place.subscription)
        lost, loop = place.event("lost"), asyncio.get_running_loop()
        own_rabbitmq.pause()
        try:
            paused_at = loop.time()
            reason = (await asyncio.wait_for(lost, PATIENCE_SECONDS)).facts["reason"]
            assert loop.time() - paused_at <= 2 * 2.0 + 1.0  # one second for a machine that is busy
            assert "was silent" in str(reason)
            connected = place.event("connected")
        finally:
            own_rabbitmq.resume()
        await asyncio.wait_for(connected, PATIENCE_SECONDS)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await client.publish([place.publication("reef-a", 0)])
                    break
                except BrokerUnavailable:
                    await asyncio.sleep(0)
        assert [0] == await settle_all(consumer, 1)


async def test_broker_that_takes_longer_than_a_heartbeat_to_close_a_channel_keeps_the_connection(
    own_rabbitmq: RabbitmqProcess,
) -> None:
    """So it is where thousands of messages are taken back. Who asks a second time asks for a channel that is not there."""
    async with place_at(own_rabbitmq, parameters="&heartbeat_ms=4000") as place:
        address = RabbitMQAddress.parse(place.url)
        connection = await Connection.open(address, address.endpoints[0], None)
        try:
            channel = await connection.channel()
            own_rabbitmq.pause()
            try:
                closing = asyncio.ensure_future(close_channel(channel))
                await asyncio.wait([closing], timeout=4.5)  # a heart-beat, and less than what counts as silence
                assert not closing.done()
            finally:
                own_rabbitmq.resume()
            await asyncio.wait_for(closing, PATIENCE_SECONDS)
            assert channel.is_closed
            for _ in range(3):
                async with connection.passing_channel() as another:
                    await another.basic_qos(prefetch_count=1)
            assert not connection.is_lost
        finally:
            await connection.close()


@pytest.mark.parametrize("numbered", [True, False], ids=["numbered", "plain"])
async def test_owner_lost_with_an_isolated_reef_the_next_one_goes_on_in_order(
    rabbitmq_process: RabbitmqProcess, numbered: bool
) -> None:
    """Its message in hand and what was moved are in the overflow queue, more is in the shard: they come in publishing order.

    What was moved and whose acknowledgement the broker had not read lies in both queues, and comes once more behind that.
    """
    async with place_at(rabbitmq_process, numbered=numbered) as place:
        first, second = await place.client(), await place.client()
        count = 2 * WINDOW_MESSAGES
        await first.publish([place.publication("stuck", number) for number in range(count)])
        consumer = await started(first, place.subscription, lanes=2)
        await settle_all(consumer, 3)
        held = await soon(consumer.lanes[0])
        other = asyncio.create_task(consumer.lanes[1].receive())
        await consumer.isolate("stuck")
        assert ("stuck",) == (await first.statistics()).subscriptions[place.subscription].isolated_reefs
        await first.publish([place.publication("free", 0)])
        assert (await asyncio.wait_for(other, PATIENCE_SECONDS)) is not None  # behind all of the other reef's
        first.abort()
        with pytest.raises((LaneLost, BrokerUnavailable)):
            await consumer.lanes[0].settle(held, ())
        await second.publish([place.publication("stuck", number) for number in range(count, count + 3)])  # into the shard
        successor = await started(second, place.subscription, lanes=2)
        numbers: dict[int, None] = {}  # in the order of their first delivery
        while len(numbers) < count:
            delivery = await soon(successor.lanes[0])
            if delivery.message.reef_id == "stuck":
                numbers[number_of(delivery)] = None
            await successor.lanes[0].settle(delivery, ())
        assert list(range(3, count + 3)) == list(numbers)


async def test_overflow_queue_is_with_another_consumer_the_owner_waits_for_it_and_goes_on(
    rabbitmq_process: RabbitmqProcess,
) -> None:
    """Law 2: two that come at once may get a queue each. The other one takes the owner's marker with it."""
    async with place_at(rabbitmq_process) as place:
        client = await place.client()
        other = await aiormq.connect(place.url.partition("?")[0])
        channel = await other.channel()
        met: asyncio.Queue[None] = asyncio.Queue()

        async def take(message: DeliveredMessage) -> None:
            await channel.basic_ack(message.delivery_tag or 0)
            met.put_nowait(None)

        await channel.basic_consume(overflow_queue(place.subscription, 0), take)
        consumer = await started(client, place.subscription)
        await client.publish([place.publication("reef-a", number) for number in range(3)])
        await asyncio.wait_for(met.get(), PATIENCE_SECONDS)
        await other.close()
        assert [0, 1, 2] == await settle_all(consumer, 3)


@pytest.mark.parametrize("times", [25, pytest.param(1000, marks=[pytest.mark.rabbitmq, pytest.mark.timeout(600)])])
async def test_joins_and_leaves_with_a_message_in_hand_dead_letter_nothing(
    rabbitmq_process: RabbitmqProcess, times: int
) -> None:
    """Every leave counts as a delivery at the broker; none is an attempt. RabbitMQ 4 gives a message up after 20 by default."""
    async with place_at(rabbitmq_process) as place:
        client = await place.client()
        await client.publish([place.publication("reef-a", number) for number in range(2)])
        for _ in range(times):
            consumer = await started(client, place.subscription)
            assert number_of(await soon(consumer.lanes[0])) == 0
            await consumer.close()
        consumer = await started(client, place.subscription)
        assert [0, 1] == await settle_all(consumer, 2)
        assert [] == list(await client.parking(place.subscription).list())


@pytest.mark.rabbitmq
async def test_default_number_of_shards_every_reef_comes_and_one_connection_has_all_channels(
    rabbitmq_process: RabbitmqProcess,
) -> None:
    async with place_at(rabbitmq_process, shards=64) as place:
        client = await place.client()
        await client.publish([place.publication(f"reef-{index}", 0) for index in range(300)])
        consumer = await started(client, place.subscription)
        assert [0] * 300 == await settle_all(consumer, 300)
        again = await started(client, place.subscription)  # a second consumer on the same connection: as many channels again
        await again.drain()
        await consumer.drain()


@pytest.mark.rabbitmq
async def test_broker_that_allows_too_few_channels_is_a_mistake_of_one_line() -> None:
    with local_rabbitmq(settings="channel_max = 32\n") as broker:
        client = RabbitMQBroker(broker.url(parameters="shards=32"), clock=SystemClock())
        await client.connect()
        await client.declare([SCORING])
        with pytest.raises(ConfigurationError, match="allows 32 channels of a connection, and shards=32 needs 42"):
            await client.consumer(SCORING, lanes=1).start()
        await client.close()


@pytest.mark.rabbitmq
async def test_broker_restarted_under_load_nothing_is_lost(own_rabbitmq: RabbitmqProcess) -> None:
    async with place_at(own_rabbitmq, shards=2) as place:
        client = await place.client()
        consumer = await started(client, place.subscription, lanes=4)
        applied: dict[str, int] = {}
        enough = asyncio.Event()

        async def work(lane: Lane) -> None:
            while (delivery := await lane.receive()) is not None:
                reef_id, number = delivery.message.reef_id, number_of(delivery)
                if number > applied.get(reef_id, -1) + 1:
                    await lane.release(delivery, again_after_seconds=0.2)
                    continue
                applied[reef_id] = max(applied.get(reef_id, -1), number)
                try:
                    await lane.settle(delivery, ())
                except (LaneLost, BrokerUnavailable):
                    continue
                if len(applied) == 4 and min(applied.values()) == 59:
                    enough.set()

        async def publish(reef_id: str) -> None:
            for number in range(60):
                while True:
                    try:
                        await client.publish([place.publication(reef_id, number)])
                        break
                    except BrokerUnavailable:
                        await asyncio.sleep(0.05)  # as the outbox does: what was not confirmed is sent again

        working = [asyncio.create_task(work(lane)) for lane in consumer.lanes]
        publishing = [asyncio.create_task(publish(f"reef-{index}")) for index in range(4)]
        await until(lambda: len(applied) == 4 and min(applied.values()) >= 5)
        await asyncio.to_thread(own_rabbitmq.restart)
        await asyncio.wait_for(asyncio.gather(*publishing), PATIENCE_SECONDS)
        await asyncio.wait_for(enough.wait(), PATIENCE_SECONDS)
        await asyncio.wait_for(consumer.drain(), PATIENCE_SECONDS)
        await asyncio.gather(*working)
        assert (await client.statistics()).reconnects >= 2


@pytest.mark.rabbitmq
async def test_alarm_publishing_waits_and_says_why_and_nothing_is_taken_in_silence() -> None:
    """A broker whose disk is short reads nothing that is published: the caller waits, and learns when the connection ends."""
    with local_rabbitmq(settings=f"disk_free_limit.absolute = {NEVER_FREE}\n") as broker:
        client = RabbitMQBroker(broker.url(parameters="shards=1"), clock=SystemClock())
        await client.connect()
        await client.declare([SCORING])
        publication = Publication(channel="reef.readings", message=envelope("reef-a", 0, 1))
        publishing = asyncio.create_task(client.publish([publication]))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await client.statistics()).trouble != BLOCKED:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0)
        assert (await client.statistics()).connected
        assert not publishing.done()
        broker.kill()
        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(publishing, PATIENCE_SECONDS)
        await client.close()


@pytest.mark.rabbitmq
async def test_alarm_that_is_raised_and_lifted_while_messages_are_published_costs_time_and_nothing_else(
    own_rabbitmq: RabbitmqProcess,
) -> None:
    """What is consumed meanwhile is settled: acknowledgements have a connection of their own."""
    async with place_at(own_rabbitmq, numbered=False) as place:
        client = await place.client()
        await client.publish([place.publication("reef-a", number) for number in range(3)])
        consumer = await started(client, place.subscription)
        await asyncio.to_thread(own_rabbitmq.limit_disk, NEVER_FREE)
        publishing = asyncio.create_task(client.publish([place.publication("reef-a", number) for number in range(3, 6)]))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await client.statistics()).trouble != BLOCKED:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0)
        first = await soon(consumer.lanes[0])
        await consumer.lanes[0].settle(first, ())
        assert not publishing.done()
        await asyncio.to_thread(own_rabbitmq.limit_disk, DISK_FREE_LIMIT)
        await asyncio.wait_for(publishing, PATIENCE_SECONDS)
        assert [0, 1, 2, 3, 4, 5] == [number_of(first), *await settle_all(consumer, 5)]
        after = await client.statistics()
        assert ("", 0) == (after.trouble, after.reconnects)


@pytest.mark.rabbitmq
async def test_reef_stays_in_its_shard_when_the_broker_restarts(own_rabbitmq: RabbitmqProcess) -> None:
    """Law 1: else its later messages are with another consumer than those that wait."""
    async with place_at(own_rabbitmq, shards=4) as place:
        client = await place.client()
        reefs = [f"reef-{index}" for index in range(40)]
        await client.publish([place.publication(reef_id, 0) for reef_id in reefs])
        before = await shard_of_each(place)
        for number in (1, 2, 3):
            await asyncio.to_thread(own_rabbitmq.restart)
            again = await place.client()
            await again.publish([place.publication(reef_id, number) for reef_id in reefs])
            assert before == await shard_of_each(place)


async def shard_of_each(place: Place) -> dict[str, str]:
    """Take every message out of the shards; return from which one each reef's came."""
    client = await place.client()
    consumer = await started(client, place.subscription)
    found: dict[str, str] = {}
    for _ in range(40):
        delivery = await soon(consumer.lanes[0])
        message = delivery.token.message  # type: ignore[attr-defined]  # a hold of this engine
        found[delivery.message.reef_id] = next(str(shard.index) for shard in consumer._shards if shard.tenure is message.tenure)
        await consumer.lanes[0].settle(delivery, ())
    await consumer.drain()
    return found
