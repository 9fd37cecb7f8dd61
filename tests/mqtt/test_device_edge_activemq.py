"""What a device may do at the broker, and what it cannot do to the bridge."""

import asyncio

import pytest

from reefmesh.broker.activemq.destinations import consumer_advisories
from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.devices import Move
from reefmesh.contracts.channels import SCORING
from reefmesh_components.activemq_client import PATIENCE_SECONDS, Events, client
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.nemo_pi import data, nemo_pi

IMEI = "867740030000003"
TOPIC_BYTES = 65_533


async def moved(broker: ActiveMQBroker, count: int) -> list[tuple[str | None, bytes]]:
    """Take so many messages of devices out of the queue; return topic and body of each."""
    queue = broker.device_queue()
    await queue.start()
    seen: list[tuple[str | None, bytes]] = []
    while len(seen) < count:
        batch = await asyncio.wait_for(queue.receive(), PATIENCE_SECONDS)
        seen += [(message.topic, message.body) for message in batch]
        await queue.settle([Move(message=message, outputs=()) for message in batch])
    await queue.close()
    return seen


async def test_device_that_comes_before_any_service_logs_in_listens_and_publishes(broker: ActivemqProcess) -> None:
    """It may make advisories, which its login does, although it may not write them."""
    await asyncio.to_thread(broker.restart)
    async with nemo_pi(broker, IMEI) as device:
        await device.listen()
        await device.publish(data(26.5))
    async with client(broker.url("ingest")) as services:
        assert [(f"buoys/{IMEI}/d2c/telemetry", data(26.5))] == await moved(services, 1)


@pytest.mark.parametrize(
    "destination", [consumer_advisories(SCORING), "/topic/ActiveMQ.Advisory.Connection", "/topic/ActiveMQ.>"]
)
async def test_device_neither_reads_nor_forges_advisories(destination: str, broker: ActivemqProcess) -> None:
    address = ActiveMQAddress.parse(broker.url("buoy"))
    session = await Session.open(address, address.endpoints[0], None)
    try:
        for command, headers in (("SEND", ()), ("SUBSCRIBE", (("id", "1"),))):
            with pytest.raises(BrokerRefusal, match="is not authorized to"):
                await session.request(command, (("destination", destination), *headers), b"{}" if command == "SEND" else None)
    finally:
        await session.close()


async def test_topic_that_is_longer_than_any_header_costs_no_link_and_is_moved_with_its_beginning(
    broker: ActivemqProcess,
) -> None:
    """One MQTT message stopped ingest for ever: its topic doubles in STOMP, and the broker sends the same frame again."""
    async with nemo_pi(broker, IMEI) as device:
        topic = "buoys/1/d2c/"
        await device.publish_to(topic + ":" * (TOPIC_BYTES - len(topic)), b"{}")
        await device.publish(data(26.5))
    async with client(broker.url("ingest")) as services:
        events = Events(services)
        (long_topic, body), behind = await moved(services, 2)
        assert long_topic is not None
        assert long_topic.startswith(topic + ":::")
        assert (b"{}", (f"buoys/{IMEI}/d2c/telemetry", data(26.5))) == (body, behind)
        assert 0 == events.count("lost")


async def test_bridge_and_lanes_have_a_connection_each(broker: ActivemqProcess) -> None:
    """A message that costs one of them its connection costs the others nothing."""
    async with client(broker.url("ingest")) as services:
        events = Events(services)
        queue = services.device_queue()
        await queue.start()
        assert ["devices"] == [event.facts["link"] for event in events.heard if event.name == "connected"]
        await queue.close()
