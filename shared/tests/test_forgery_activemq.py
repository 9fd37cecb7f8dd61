"""Forged messages reach a service's queue through wildcards on a real broker, and the service applies none of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.message_headers import to_frame
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.devices import Move
from reefmesh.broker.port import Publication
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import BrokerUsers, senders_to
from reefmesh.observability import table
from reefmesh.observability.progress import Progress
from reefmesh.service.handler import Change
from reefmesh.service.worker import Worker
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.connect import open_store
from reefmesh.store.port import Store
from reefmesh_components.activemq_client import PATIENCE_SECONDS, client, publication, receive
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.worker_bench import AwaitedMetrics, Collector

INBOX: Final = str(channels.ALERTING)
BESIDE_SCORES: Final = (channels.INGEST, channels.SCORING)
WILDCARDS: Final[tuple[tuple[str, str, tuple[Subscription, ...]], ...]] = (
    ("buoy", "/topic/*.reef.*", BESIDE_SCORES),
    ("publisher", "/topic/VirtualTopic.reef.*", BESIDE_SCORES),
    ("ingest", "/topic/VirtualTopic.*.*", BESIDE_SCORES),
    ("ingest", "/topic/*.*.scores", ()),
)
"""User, destination, and the subscriptions besides that of alerts that are given the message."""


class Silent(Collector):
    """Passes nothing on."""

    async def handle(self, message: Envelope, state: list[str]) -> Change[list[str]]:
        return replace(await super().handle(message, state), outputs=())


def score(mark: str, reef_id: str = "a") -> Envelope:
    return Envelope(
        event_id=mark, reef_id=reef_id, schema_id="scores/1", produced_at=datetime.now(UTC), body=mark.encode(), seq=1
    )


async def send_raw(url: str, destination: str, message: Envelope) -> None:
    """Send to any destination, as a client of the attacker's own does."""
    address = ActiveMQAddress.parse(url)
    session = await Session.open(address, address.endpoints[0], None)
    await session.request("SEND", [("destination", destination), *to_frame(message)], message.body)
    await session.close()


@asynccontextmanager
async def worker_of(
    subscription: Subscription, broker: ActiveMQBroker, store: Store, metrics: AwaitedMetrics
) -> AsyncIterator[None]:
    worker = Worker(
        subscription=subscription,
        broker=broker,
        store=store,
        handler=Silent(),
        clock=SystemClock(),
        metrics=metrics,
        progress=Progress(),
        senders=senders_to(subscription, BrokerUsers()),
        limits=WorkerLimits(lanes=4),
    )
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        await worker.drain()
        await task


async def leave_nothing(process: ActivemqProcess, others: Sequence[Subscription], *, on_device_queue: bool) -> None:
    """Take what the wildcards of a test have left to the next one."""
    async with client(process.url()) as operator:
        for each in others:
            await receive(operator, each)
        if on_device_queue:
            queue = operator.device_queue()
            await queue.start()
            batch = await asyncio.wait_for(queue.receive(), PATIENCE_SECONDS)
            await queue.settle([Move(message=message, outputs=()) for message in batch])
            await queue.close()


@pytest.mark.parametrize(("user", "destination", "others"), WILDCARDS)
async def test_nobody_speaks_for_scoring_a_score_through_wildcards_is_never_applied(
    activemq_process: ActivemqProcess, user: str, destination: str, others: tuple[Subscription, ...]
) -> None:
    """Law 12: the broker's rights let it through; the service parks it as forged and names who sent it."""
    metrics, store = AwaitedMetrics("test"), open_store("sqlite://", migrations=[])
    await store.open()
    async with client(activemq_process.url("alerts")) as broker, client(activemq_process.url("scoring")) as scoring:
        await broker.declare([channels.ALERTING])
        await send_raw(activemq_process.url(user), destination, score("forged"))
        async with worker_of(channels.ALERTING, broker, store, metrics):
            await metrics.until(table.PARKED, INBOX, "forged", reaches=1)
            assert 0 == (await store.load("a")).version
            await scoring.publish([Publication(channel=channels.SCORES.name, message=score("honest", "b"))])
            await metrics.until(table.MESSAGES_HANDLED, INBOX, "handled", reaches=1)
        (parked,) = await broker.parking(channels.ALERTING).list()
        assert ("forged", user) == (parked.reason, parked.sender)
        await broker.parking(channels.ALERTING).discard([parked.parking_id])
    await leave_nothing(activemq_process, others, on_device_queue=user == "buoy")
    await store.close()


@pytest.mark.parametrize("user", ["ingest", "scoring", "alerts"])
@pytest.mark.parametrize(
    "queue",
    [
        "*.*.*.*.*",
        "*.*.>",
        "Consumer.>",
        "Consumer.*.VirtualTopic.reef.scores",
        "Consumer.{user}.VirtualTopic.reef.*",
        "Consumer.{user}.VirtualTopic.reef.quarantine",
        "Consumer.doctor.VirtualTopic.reef.scores",
    ],
)
async def test_service_makes_no_queue_by_a_message_nor_by_a_subscription(
    activemq_process: ActivemqProcess, user: str, queue: str
) -> None:
    """A virtual topic would copy its channel into such a queue, for nobody, until the store is full."""
    address = ActiveMQAddress.parse(activemq_process.url(user))
    destination = ("destination", f"/queue/{queue.format(user=user)}")
    session = await Session.open(address, address.endpoints[0], None)
    for command, headers, body in (("SEND", (), b"{}"), ("SUBSCRIBE", (("id", "1"),), None)):
        with pytest.raises(BrokerRefusal, match=r"not authorized to|number of destinations allowed"):
            await session.request(command, [destination, *headers], body)
    await session.close()


async def test_user_of_devices_is_not_believed_on_telemetry_where_wildcards_carry_it_there(
    activemq_process: ActivemqProcess,
) -> None:
    """Law 12: devices come through the bridge, so nothing of theirs on the channel itself is honest."""
    inbox = str(channels.INGEST)
    metrics, store = AwaitedMetrics("test"), open_store("sqlite://", migrations=[])
    await store.open()
    async with client(activemq_process.url("ingest")) as broker, client(activemq_process.url("publisher")) as publisher:
        await broker.declare([channels.INGEST])
        await send_raw(activemq_process.url("buoy"), "/topic/*.reef.*", score("forged"))
        async with worker_of(channels.INGEST, broker, store, metrics):
            await metrics.until(table.PARKED, inbox, "forged", reaches=1)
            assert 0 == (await store.load("a")).version
            await publisher.publish([Publication(channel=channels.TELEMETRY.name, message=score("honest", "b"))])
            await metrics.until(table.MESSAGES_HANDLED, inbox, "handled", reaches=1)
        (parked,) = await broker.parking(channels.INGEST).list()
        assert ("forged", "buoy") == (parked.reason, parked.sender)
        await broker.parking(channels.INGEST).discard([parked.parking_id])
    await leave_nothing(activemq_process, (channels.SCORING, channels.ALERTING), on_device_queue=True)
    await store.close()


async def test_parked_message_keeps_its_sender_through_a_replay(activemq_process: ActivemqProcess) -> None:
    async with client(activemq_process.url("alerts")) as alerts, client(activemq_process.url("scoring")) as scoring:
        await alerts.declare([channels.ALERTING])
        await scoring.publish([publication(channels.SCORES.name)])
        consumer = alerts.consumer(channels.ALERTING, lanes=1)
        await consumer.start()
        async with client(activemq_process.url()) as operator:
            for sender in ("scoring", "operator for scoring", "operator for scoring"):
                delivery = await consumer.lanes[0].receive()
                assert delivery is not None
                await consumer.lanes[0].park(delivery, reason="test", detail="", attempts=1)
                (parked,) = await operator.parking(channels.ALERTING).list()
                assert sender == parked.sender
                await operator.parking(channels.ALERTING).replay([parked.parking_id])
        delivery = await consumer.lanes[0].receive()
        assert delivery is not None
        assert "operator" == delivery.user_id
        await consumer.lanes[0].settle(delivery, ())
        await consumer.drain()


async def test_broker_that_states_senders_is_found_out_by_each_service(activemq_process: ActivemqProcess) -> None:
    """With the rights that the shipped configuration gives; processes that start together do not take each other's message."""
    for user in ("ingest", "scoring", "alerts"):
        async with client(activemq_process.url(user)) as first, client(activemq_process.url(user)) as second:
            assert [user, user] == await asyncio.gather(*(each.stamped_sender(user) for each in (first, second)))
