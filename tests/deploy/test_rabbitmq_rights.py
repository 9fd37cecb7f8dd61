"""Law 12 at a real RabbitMQ with the shipped definitions: what each user may do there, and everything else that it may not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiormq
import pytest
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed, ProbableAuthenticationError
from pamqp.commands import Basic
from pamqp.common import FieldValue

from reefmesh.broker.rabbitmq.topology import Topology, parking_queue, subscription_exchange
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.services import EVERY_SERVICE, ServiceEntry, subscriptions_of
from reefmesh_components.rabbitmq_process import RabbitmqProcess

pytestmark = pytest.mark.timeout(180)  # the first of them starts the broker

PUBLISHES: dict[str, set[str]] = {
    **{each.name: {channel.name for channel in each.publishes} for each in EVERY_SERVICE},
    "publisher": {"reef.telemetry"},
}
USERS = sorted(PUBLISHES)
SUBSCRIPTIONS = subscriptions_of(EVERY_SERVICE)
Act = Callable[[AbstractChannel], Awaitable[object]]


@asynccontextmanager
async def channel_of(broker: RabbitmqProcess, user: str) -> AsyncIterator[AbstractChannel]:
    connection = await aiormq.connect(broker.url(user))
    try:
        yield await connection.channel(publisher_confirms=True)
    finally:
        await connection.close()


@asynccontextmanager
async def made(broker: RabbitmqProcess, *services: ServiceEntry) -> AsyncIterator[None]:
    """Let services make the exchanges and the parking of their subscriptions; afterwards they are gone."""
    exchanges: list[str] = []
    queues: list[str] = []
    for service in services:
        async with channel_of(broker, service.name) as channel:
            for subscription in service.subscriptions:
                exchange, queue = subscription_exchange(subscription), parking_queue(subscription)
                for each in Topology.of(subscription, shards=1).exchanges[1:]:
                    await channel.exchange_declare(
                        each.name, exchange_type=each.kind, durable=True, arguments=dict(each.arguments)
                    )
                    exchanges.append(each.name)
                await channel.exchange_bind(destination=exchange, source=subscription.channel.name, routing_key="#")
                await channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
                queues.append(queue)
    yield
    async with channel_of(broker, "operator") as channel:
        for queue in queues:
            await channel.queue_delete(queue)
        for exchange in exchanges:
            await channel.exchange_delete(exchange)


async def outcome(broker: RabbitmqProcess, user: str, act: Act) -> str:
    """Return ``done``, or ``refused`` where the broker says that this user may not."""
    async with channel_of(broker, user) as channel:
        try:
            await act(channel)
        except ChannelAccessRefused:
            return "refused"
        return "done"


def publish(exchange: str, routing_key: str = "5b.reef-a") -> Act:
    return lambda channel: channel.basic_publish(b"{}", exchange=exchange, routing_key=routing_key)


@pytest.mark.parametrize("user", USERS)
async def test_only_the_owner_of_a_channel_publishes_to_it(rabbitmq_process: RabbitmqProcess, user: str) -> None:
    everything = {channel.name for channel in channels.ALL}
    done = {each for each in everything if await outcome(rabbitmq_process, user, publish(each)) == "done"}
    assert PUBLISHES[user] == done


@pytest.mark.parametrize("user", USERS)
async def test_nobody_publishes_past_a_channel(rabbitmq_process: RabbitmqProcess, user: str) -> None:
    """The default exchange reaches every queue, whoever reads it; those that every broker has may be bound to some."""
    for exchange in ("", "amq.topic", "amq.direct", "amq.fanout", "amq.match"):
        assert await outcome(rabbitmq_process, user, publish(exchange, "reef.scores.alerts.0")) == "refused", exchange


@pytest.mark.parametrize("service", EVERY_SERVICE, ids=str)
async def test_a_service_makes_and_uses_its_own_subscription_and_no_other(
    rabbitmq_process: RabbitmqProcess, service: ServiceEntry
) -> None:
    async with made(rabbitmq_process, *EVERY_SERVICE):
        for subscription in SUBSCRIPTIONS:
            acts = acts_on(subscription)
            outcomes = {name: await outcome(rabbitmq_process, service.name, act) for name, act in acts.items()}
            expected = "done" if subscription in service.subscriptions else "refused"
            assert dict.fromkeys(acts, expected) == outcomes, str(subscription)


@pytest.mark.parametrize("service", EVERY_SERVICE, ids=str)
async def test_a_publisher_uses_no_subscription(rabbitmq_process: RabbitmqProcess, service: ServiceEntry) -> None:
    async with made(rabbitmq_process, service):
        for subscription in service.subscriptions:
            acts = acts_on(subscription)
            outcomes = {name: await outcome(rabbitmq_process, "publisher", act) for name, act in acts.items()}
            assert dict.fromkeys(acts, "refused") == outcomes


def acts_on(subscription: Subscription) -> dict[str, Act]:
    """What a consumer of a subscription does there, by name."""
    exchange, queue = subscription_exchange(subscription), parking_queue(subscription)

    async def read(channel: AbstractChannel) -> None:
        await channel.basic_consume(queue, _ignore)

    async def declare(channel: AbstractChannel) -> None:
        await channel.queue_declare(f"{exchange}.member.x", exclusive=True)

    async def bind(channel: AbstractChannel) -> None:
        await channel.queue_bind(queue, exchange, routing_key="5b.#")
        await channel.queue_unbind(queue, exchange, routing_key="5b.#")

    return {
        "read": read,
        "declare": declare,
        "bind": bind,
        "replay": publish(exchange),
        "purge": lambda channel: channel.queue_purge(queue),
    }


async def _ignore(_: object) -> None:
    """Only the right to read matters."""


@pytest.mark.parametrize("user", USERS)
async def test_nobody_makes_anything_else(rabbitmq_process: RabbitmqProcess, user: str) -> None:
    acts: dict[str, Act] = {
        "a queue": lambda channel: channel.queue_declare("evil", durable=True),
        "a queue named by the broker": lambda channel: channel.queue_declare("", exclusive=True),
        "a channel": lambda channel: channel.exchange_declare("reef.evil", exchange_type="topic"),
        "a name that only begins like one of its own": lambda channel: channel.queue_declare(f"probe.{user}x"),
        "an end to a channel": lambda channel: channel.exchange_delete("reef.scores"),
    }
    outcomes = {name: await outcome(rabbitmq_process, user, act) for name, act in acts.items()}
    assert dict.fromkeys(acts, "refused") == outcomes


async def test_no_queue_of_a_service_dead_letters_into_another_service(rabbitmq_process: RabbitmqProcess) -> None:
    """The broker would publish there with its own rights."""
    arguments: dict[str, FieldValue] = {"x-dead-letter-exchange": "reef.scores.alerts"}
    trick = "reef.readings.scoring.trick"
    assert await outcome(rabbitmq_process, "scoring", lambda each: each.queue_declare(trick, arguments=arguments)) == "refused"
    assert await outcome(rabbitmq_process, "scoring", lambda each: each.queue_declare(trick, exclusive=True)) == "done"


@pytest.mark.parametrize("user", [*USERS, "operator"])
async def test_nobody_sends_in_the_name_of_another(rabbitmq_process: RabbitmqProcess, user: str) -> None:
    """Not even the operator has the tag ``impersonator``."""
    forged = Basic.Properties(user_id="ingest" if user != "ingest" else "scoring")
    may = min(PUBLISHES.get(user, {"reef.telemetry"}), default="reef.doctor")
    async with channel_of(rabbitmq_process, user) as channel:
        with pytest.raises(ChannelPreconditionFailed, match="user_id"):
            await channel.basic_publish(b"{}", exchange=may, properties=forged)


@pytest.mark.parametrize(("user", "password"), [("guest", "guest"), ("operator", ""), ("ingest", "wrong"), ("", "")])
async def test_nobody_else_logs_in(rabbitmq_process: RabbitmqProcess, user: str, password: str) -> None:
    port = rabbitmq_process.ports.amqp
    with pytest.raises(ProbableAuthenticationError):
        async with asyncio.timeout(60):
            await aiormq.connect(f"amqp://{user}:{password}@127.0.0.1:{port}")
