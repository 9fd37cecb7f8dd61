"""The parking on a real RabbitMQ: looking into it changes nothing, whoever looks, however he ends."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pamqp.common import FieldValue

from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import BrokerUnavailable, PublishRefused
from reefmesh.broker.rabbitmq.connection import Connection, ReconnectingConnection
from reefmesh.broker.rabbitmq.message_headers import Headers, properties_of, to_headers
from reefmesh.broker.rabbitmq.parked_copy import ParkedCopy
from reefmesh.broker.rabbitmq.parking import RabbitMQParking
from reefmesh.broker.rabbitmq.parking_visit import Parked, visiting
from reefmesh.broker.rabbitmq.slots import routing_key_of
from reefmesh.broker.rabbitmq.topology import parking_queue, subscription_exchange
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.contracts.channels import Channel, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh_components.rabbitmq import RabbitmqServer

pytestmark = pytest.mark.timeout(180)  # the first of them starts the broker
PARKED_AT = datetime(2026, 3, 1, tzinfo=UTC)
SEVERAL = 30


@asynccontextmanager
async def client(url: str) -> AsyncIterator[ReconnectingConnection]:
    connections = ReconnectingConnection(RabbitMQAddress.parse(url), Connection.open, purpose="test", on_event=lambda _: None)
    await connections.open()
    try:
        yield connections
    finally:
        await connections.close()


@pytest.fixture
async def subscription(rabbitmq: RabbitmqServer) -> AsyncIterator[Subscription]:
    """A subscription with a parking and nothing else; afterwards it is gone."""
    subscription = Subscription("alpha", Channel(f"test.{uuid.uuid4().hex[:8]}", numbered=False))
    async with client(rabbitmq.url) as connections:
        async with connections.current().passing_channel() as channel:
            await channel.queue_declare(parking_queue(subscription), durable=True, arguments={"x-queue-type": "quorum"})
        yield subscription
        async with connections.current().passing_channel() as channel:
            await channel.queue_delete(parking_queue(subscription))
            await channel.exchange_delete(subscription_exchange(subscription))


def copy(number: int) -> ParkedCopy:
    message = Envelope(
        event_id=f"event-{number:03}", reef_id=f"reef-{number % 3}", schema_id="readings/1", produced_at=PARKED_AT, body=b"{}"
    )
    return ParkedCopy(
        headers=to_headers(message),
        user_id="publisher",
        own_exchange="",  # to the queue itself: this subscription has a parking alone
        body=message.body,
        reason="bad-json",
        detail="",
        attempts=number,
        parked_at=PARKED_AT + timedelta(seconds=number),
    )


async def park(connections: ReconnectingConnection, subscription: Subscription, *numbers: int) -> None:
    queue = parking_queue(subscription)
    for number in numbers:
        await send(connections, queue, copy(number).whole(queue).headers)


async def send(connections: ReconnectingConnection, queue: str, headers: Headers) -> None:
    async with connections.current().passing_channel(confirms=True) as channel:
        properties = properties_of(headers, user="operator")
        await channel.basic_publish(b"{}", routing_key=queue, properties=properties, mandatory=True)


async def numbers(connections: ReconnectingConnection, subscription: Subscription, limit: int = 100) -> list[int]:
    """Return the messages that a listing shows, by their number of attempts."""
    return [entry.attempts for entry in await RabbitMQParking(connections, subscription).list(limit=limit)]


async def visit_and(
    connections: ReconnectingConnection,
    subscription: Subscription,
    see: Callable[[Parked], None],
    *,
    afterwards: Callable[[], None] = lambda: None,
) -> None:
    async with visiting(connections.current(), parking_queue(subscription)) as visit:
        await visit.each(see)
        afterwards()


async def test_looking_again_and_again_shows_the_same_whatever_the_limit(
    rabbitmq: RabbitmqServer, subscription: Subscription
) -> None:
    async with client(rabbitmq.url) as connections:
        await park(connections, subscription, *range(SEVERAL))
        for limit in (1, 7, 3):
            assert list(range(limit)) == await numbers(connections, subscription, limit=limit)
        await park(connections, subscription, SEVERAL)
        assert list(range(SEVERAL + 1)) == await numbers(connections, subscription)


async def test_many_who_look_at_once_see_all_of_it_in_order(rabbitmq: RabbitmqServer, subscription: Subscription) -> None:
    async with client(rabbitmq.url) as one, client(rabbitmq.url) as two, client(rabbitmq.url) as three:
        await park(one, subscription, *range(SEVERAL))
        looks = [numbers(each, subscription) for each in (one, two, three) for _ in range(3)]
        for seen in await asyncio.gather(*looks):
            assert list(range(SEVERAL)) == seen


async def test_visitor_that_dies_with_all_in_hand_changes_nothing(rabbitmq: RabbitmqServer, subscription: Subscription) -> None:
    async with client(rabbitmq.url) as other:
        await park(other, subscription, *range(SEVERAL))
        seen: list[Parked] = []
        async with client(rabbitmq.url) as dying:
            with pytest.raises(BrokerUnavailable):
                await visit_and(dying, subscription, seen.append, afterwards=dying.abort)
        assert len(seen) == SEVERAL
        assert list(range(SEVERAL)) == await numbers(other, subscription)


async def test_connection_that_is_lost_while_messages_come_is_told(
    rabbitmq: RabbitmqServer, subscription: Subscription
) -> None:
    async with client(rabbitmq.url) as connections:
        await park(connections, subscription, *range(SEVERAL))

        def lose(_: Parked) -> None:
            connections.current().lose(ConnectionLost("pulled"))

        with pytest.raises(BrokerUnavailable, match="pulled"):
            await visit_and(connections, subscription, lose)


async def test_replay_that_the_broker_refuses_leaves_everything_parked(
    rabbitmq: RabbitmqServer, subscription: Subscription
) -> None:
    """The exchange of this subscription has no queue: the message comes back."""
    async with client(rabbitmq.url) as connections:
        await park(connections, subscription, *range(3))
        async with connections.current().passing_channel() as channel:
            await channel.exchange_declare(subscription_exchange(subscription), exchange_type="topic", durable=True)
        parking = RabbitMQParking(connections, subscription)
        ids = [entry.parking_id for entry in await parking.list()]
        with pytest.raises(PublishRefused, match="NO_ROUTE"):
            await parking.replay(ids[1:])
        assert [0, 1, 2] == await numbers(connections, subscription)


async def test_replay_takes_the_sender_along_and_says_what_it_is(rabbitmq: RabbitmqServer, subscription: Subscription) -> None:
    async with client(rabbitmq.url) as connections:
        await park(connections, subscription, *range(3))
        exchange = subscription_exchange(subscription)
        async with connections.current().passing_channel() as channel:
            await channel.exchange_declare(exchange, exchange_type="topic", durable=True)
            target = (await channel.queue_declare(exclusive=True)).queue or ""
            for number in (1, 2):
                await channel.queue_bind(target, exchange, routing_key=routing_key_of(f"reef-{number}"))
            parking = RabbitMQParking(connections, subscription)
            ids = [entry.parking_id for entry in await parking.list()]
            assert await parking.replay([ids[2], ids[1]]) == 2
            came = [await channel.basic_get(target) for _ in range(2)]
        assert [0] == await numbers(connections, subscription)
        for number, message in zip((1, 2), came, strict=True):
            headers = dict(message.header.properties.headers or {})
            expected = {**to_headers_of(number), "replayed": "true", "parked-sender": "publisher"}
            came_as = (headers, message.routing_key, message.header.properties.user_id)
            assert (expected, routing_key_of(f"reef-{number}"), "operator") == came_as


def to_headers_of(number: int) -> dict[str, str]:
    return {name: str(value) for name, value in copy(number).headers.items()}


async def test_message_that_the_broker_moved_here_says_so(rabbitmq: RabbitmqServer, subscription: Subscription) -> None:
    """It was delivered too often: nobody of ours parked it, and it has none of our headers."""
    async with client(rabbitmq.url) as connections:
        arguments: dict[str, FieldValue] = {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": parking_queue(subscription),
            "x-overflow": "reject-publish",
            "x-dead-letter-strategy": "at-least-once",
        }
        source = f"{subscription}.source"
        async with connections.current().passing_channel() as channel:
            await channel.queue_declare(source, durable=True, arguments=arguments)
        await send(connections, source, copy(5).headers)
        async with connections.current().passing_channel() as channel:
            taken = await channel.basic_get(source)
            await channel.basic_reject(taken.delivery_tag or 0, requeue=False)
        parking = RabbitMQParking(connections, subscription)
        async with asyncio.timeout(60):
            while not (listed := await parking.list()):  # the broker moves it in its own time
                pass
        (entry,) = listed
        async with connections.current().passing_channel() as channel:
            await channel.queue_delete(source)
        assert ("rejected", "operator", "event-005", 0) == (entry.reason, entry.sender, entry.message.event_id, entry.attempts)
        now = datetime.now(UTC)
        assert abs(datetime.fromisoformat(entry.parked_at) - now) < timedelta(minutes=5)
        quota = ParkingQuota(age_limit=timedelta(days=1))
        assert {} == await parking.remove_old(quota, now=now, limit=10)
        assert {"rejected": 1} == await parking.remove_old(quota, now=now + timedelta(days=2), limit=10)


async def test_parking_that_does_not_exist_is_told_in_one_line(rabbitmq: RabbitmqServer) -> None:
    async with client(rabbitmq.url) as connections:
        parking = RabbitMQParking(connections, Subscription("nobody", Channel("test.nothing", numbered=False)))
        with pytest.raises(BrokerUnavailable, match=r"no queue 'test.nothing.nobody.parked'"):
            await parking.list()
