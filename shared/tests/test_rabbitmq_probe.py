"""What the probe says of a real RabbitMQ, and that it leaves nothing there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiormq
import pytest

from reefmesh.broker.rabbitmq.probe import RabbitMQProbe
from reefmesh.broker.rabbitmq.topology import Topology, shard_queue
from reefmesh.contracts.channels import ALERTING, ALL, INGEST, SCORING, Channel, Subscription
from reefmesh.contracts.services import SERVICES
from reefmesh.errors import ConfigurationError
from reefmesh_components.rabbitmq_process import RabbitmqProcess

pytestmark = pytest.mark.timeout(180)  # the first of them starts the broker
DOCTOR = Subscription("doctor", Channel("reef.doctor", numbered=False))


@asynccontextmanager
async def probe_of(broker: RabbitmqProcess, user: str) -> AsyncIterator[RabbitMQProbe]:
    probe = RabbitMQProbe(broker.url(user, parameters="shards=2"))
    await probe.connect()
    try:
        yield probe
    finally:
        await probe.close()


async def test_each_user_may_what_it_needs_and_is_told_what_it_may_not(rabbitmq_process: RabbitmqProcess) -> None:
    for service in SERVICES:
        async with probe_of(rabbitmq_process, service.name) as probe:
            published = {channel for channel in ALL if await probe.may_publish(channel.name) is None}
            assert set(service.publishes) == published
            for subscription in (INGEST, SCORING, ALERTING):
                answers = [await probe.may_consume(subscription), await probe.may_park(subscription)]
                if subscription in service.subscriptions:
                    assert [None, None] == answers
                else:
                    assert ["ACCESS_REFUSED"] * 2 == [str(answer).partition(" ")[0] for answer in answers]


async def test_questions_send_and_take_nothing(rabbitmq_process: RabbitmqProcess) -> None:
    """Not even from a shard with messages in it, and nothing into a queue that listens on the channel."""
    connection = await aiormq.connect(rabbitmq_process.url())
    channel = await connection.channel(publisher_confirms=True)
    listening = (await channel.queue_declare(exclusive=True)).queue or ""
    await channel.queue_bind(listening, "reef.scores", routing_key="#")
    (shard,) = [each for each in Topology.of(SCORING, shards=1).queues if each.name == shard_queue(SCORING, 0)]
    await channel.queue_declare(shard.name, durable=True, arguments=dict(shard.arguments))
    await channel.basic_publish(b"{}", routing_key=shard.name, mandatory=True)
    async with probe_of(rabbitmq_process, "scoring") as probe:
        assert await probe.may_publish("reef.scores") is None
        assert await probe.may_consume(SCORING) is None
        assert [] == await probe.misfits(SCORING)
    assert (await channel.queue_declare(shard.name, passive=True)).message_count == 1
    assert (await channel.queue_declare(listening, passive=True)).message_count == 0
    await channel.queue_delete(shard.name)
    await connection.close()


async def test_queue_with_other_arguments_is_named(rabbitmq_process: RabbitmqProcess) -> None:
    connection = await aiormq.connect(rabbitmq_process.url("scoring"))
    channel = await connection.channel()
    name = shard_queue(SCORING, 1)
    await channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
    async with probe_of(rabbitmq_process, "scoring") as probe:
        (said,) = await probe.misfits(SCORING)
    await channel.queue_delete(name)
    await connection.close()
    assert said.startswith(f"{name}: PRECONDITION_FAILED - inequivalent arg 'x-")


async def test_clock_of_the_broker_is_known_within_a_second(rabbitmq_process: RabbitmqProcess) -> None:
    """It runs on this machine; what was made to ask it is gone."""
    async with probe_of(rabbitmq_process, "alerts") as probe:
        assert abs(await probe.clock_offset_seconds(DOCTOR)) <= 1.0
    async with probe_of(rabbitmq_process, "publisher") as probe:
        with pytest.raises(ConfigurationError, match="ACCESS_REFUSED"):
            await probe.clock_offset_seconds(DOCTOR)
