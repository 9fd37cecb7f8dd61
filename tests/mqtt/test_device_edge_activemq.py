"""What a device may do at the broker, and what it cannot do to the bridge."""

import asyncio

import pytest

from reefmesh.broker.activemq.destinations import consumer_advisories, subscription_queue
from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.activemq.errors import BrokerRefusal
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.devices import Move
from reefmesh.contracts.channels import INGEST, SCORING, TELEMETRY
from reefmesh_components.activemq_client import PATIENCE_SECONDS, Events, client, publication, receive
from reefmesh_components.activemq_process import ActivemqProcess, password_of
from reefmesh_components.nemo_pi import data, nemo_pi
from reefmesh_hostile.mqtt_wire import MqttConnection

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


async def test_direct_publisher_that_comes_before_any_service_publishes(broker: ActivemqProcess) -> None:
    await asyncio.to_thread(broker.restart)
    async with client(broker.url("publisher")) as publisher:
        await publisher.publish([publication(TELEMETRY.name)])
    async with client(broker.url("ingest")) as services:
        assert publication(TELEMETRY.name).message == (await receive(services, INGEST)).message


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


@pytest.mark.parametrize("topic", ["buoys/+/#", "+/+/#", f"buoys/{IMEI}/c2d/cmd"])
async def test_persistent_session_subscribes_to_nothing_and_other_devices_are_heard(
    topic: str, broker: ActivemqProcess
) -> None:
    """A durable subscription, of a user who may not read all that it matches, kept the broker from making each such topic:
    what other devices sent was confirmed and lost, also when the session's owner was long gone."""
    await asyncio.to_thread(broker.restart)  # the topic of the device that is to be heard must not be there yet
    client_id, password = "867740030000005", password_of("buoy")
    session = MqttConnection(broker.ports.mqtt, client_id=client_id, user="buoy", password=password, clean_session=False)
    with session:
        assert not session.subscribe(topic)
    async with nemo_pi(broker, IMEI) as device:
        await device.publish(data(26.5))
    async with client(broker.url("ingest")) as services:
        assert [(f"buoys/{IMEI}/d2c/telemetry", data(26.5))] == await moved(services, 1)


async def refused(broker: ActivemqProcess, user: str, destination: str) -> str:
    """Send over STOMP as a user; return the broker's refusal, or nothing when it has taken the message."""
    address = ActiveMQAddress.parse(broker.url(user))
    session = await Session.open(address, address.endpoints[0], None)
    try:
        await session.request("SEND", [("destination", destination)], b"{}")
    except BrokerRefusal as refusal:
        return str(refusal)
    finally:
        await session.close()
    return ""


@pytest.mark.parametrize(
    ("user", "topic"), [("buoy", "VirtualTopic.reef.telemetry"), ("publisher", f"buoys.{IMEI}.d2c.telemetry")]
)
async def test_devices_and_direct_publishers_have_a_door_each_over_stomp(
    user: str, topic: str, broker: ActivemqProcess
) -> None:
    assert f"User {user} is not authorized to write to: topic://{topic}" in await refused(broker, user, f"/topic/{topic}")


async def test_device_writes_no_telemetry_to_the_channel_itself_over_mqtt(broker: ActivemqProcess) -> None:
    """The broker acknowledges what it drops there; what a direct publisher sends after it is the first to arrive."""
    async with nemo_pi(broker, IMEI) as device:
        await device.publish_to("VirtualTopic/reef/telemetry", b"device")
    assert not await refused(broker, "publisher", "/topic/VirtualTopic.reef.telemetry")
    address = ActiveMQAddress.parse(broker.url("ingest"))
    session, first = await Session.open(address, address.endpoints[0], None), asyncio.get_running_loop().create_future()
    await session.subscribe("1", subscription_queue(INGEST), (("ack", "auto"),), first.set_result)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert ("publisher", b"{}") == ((frame := await first).headers["JMSXUserID"], frame.body)
    await session.close()


async def test_direct_publisher_over_mqtt_is_no_device(broker: ActivemqProcess) -> None:
    """The broker acknowledges what it drops there."""
    async with nemo_pi(broker, "867740030000004", user="publisher") as stranger:
        await stranger.publish(data(31.0))
    async with nemo_pi(broker, IMEI) as device:
        await device.publish(data(26.5))
    async with client(broker.url("ingest")) as services:
        assert [(f"buoys/{IMEI}/d2c/telemetry", data(26.5))] == await moved(services, 1)


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
