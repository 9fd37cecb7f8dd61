"""Devices with users, groups and rights of their own, by the lines that docs/mqtt.md tells operators to write."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reefmesh.broker.activemq.destinations import device_topic
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh_components import requirement
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess, password_of
from reefmesh_components.nemo_pi import data, nemo_pi
from reefmesh_hostile.mqtt_wire import MqttConnection

PAGE = Path(__file__).parents[2] / "docs" / "mqtt.md"
IMEI_OF_THE_PAGE = "867740030000003"
OWN, OTHER = "867740030000011", "867740030000012"
PATIENCE_SECONDS = 60.0


def as_the_page_says(broker_xml: str) -> str:
    section = PAGE.read_text(encoding="utf-8").partition("## A user for each device")[2].partition("\n## ")[0]
    user, rights, once = re.findall(r"```xml\n(.*?)```", section, re.DOTALL)

    def of_both(lines: str) -> str:
        of_each = (lines.replace(IMEI_OF_THE_PAGE, imei).replace('"..."', f'"{password_of(imei)}"') for imei in (OWN, OTHER))
        return "".join(of_each)

    with_users = broker_xml.replace("</users>", f"{of_both(user)}</users>")
    return with_users.replace("</authorizationEntries>", f"{of_both(rights)}{once}</authorizationEntries>")


@pytest.fixture(scope="module")
def broker() -> Iterator[ActivemqProcess]:
    try:
        with local_activemq(edited=as_the_page_says) as process:
            yield process
    except requirement.ComponentMissing as missing:
        requirement.give_up(missing)


def device(broker: ActivemqProcess, imei: str) -> MqttConnection:
    return MqttConnection(broker.ports.mqtt, client_id=imei, user=imei, password=password_of(imei))


async def send_command(broker: ActivemqProcess, imei: str) -> None:
    address = ActiveMQAddress.parse(broker.url("ingest"))
    session = await Session.open(address, address.endpoints[0], None)
    body = json.dumps({"for": imei}).encode()
    await session.request("SEND", [("destination", device_topic(f"buoys/{imei}/c2d/cmd"))], body)
    await session.close()


def test_device_may_not_subscribe_to_the_commands_of_another(broker: ActivemqProcess) -> None:
    with device(broker, OWN) as connection:
        assert not connection.subscribe(f"buoys/{OTHER}/c2d/cmd")


@pytest.mark.parametrize("topic", [f"buoys/{OWN}/c2d/cmd", "buoys/+/c2d/cmd", "buoys/+/c2d/#", "buoys/+/+/+"])
async def test_device_hears_its_own_commands_alone_also_through_wildcards(topic: str, broker: ActivemqProcess) -> None:
    """The command for the other device goes out first: if it is heard at all, it is heard first."""
    with device(broker, OTHER) as other, device(broker, OWN) as own:
        assert await asyncio.to_thread(other.subscribe, f"buoys/{OTHER}/c2d/cmd")
        assert await asyncio.to_thread(own.subscribe, topic)
        await send_command(broker, OTHER)
        await send_command(broker, OWN)
        heard = [await asyncio.to_thread(each.next_message, PATIENCE_SECONDS) for each in (other, own)]
    assert [{"for": OTHER}, {"for": OWN}] == [json.loads(message.body) for message in heard if message is not None]


async def test_what_a_device_publishes_for_another_is_dropped_and_its_own_arrives(broker: ActivemqProcess) -> None:
    async with nemo_pi(broker, OWN, user=OWN) as own:
        await own.publish_to(f"buoys/{OTHER}/d2c/telemetry", data(31.0))
        await own.publish(data(26.5))
    address = ActiveMQAddress.parse(broker.url("ingest"))
    session, first = await Session.open(address, address.endpoints[0], None), asyncio.get_running_loop().create_future()
    await session.subscribe("1", "/queue/reef.telemetry.mqtt", (("ack", "auto"),), first.set_result)
    async with asyncio.timeout(PATIENCE_SECONDS):
        frame = await first
    await session.close()
    assert (OWN, data(26.5)) == (frame.headers["JMSXUserID"], frame.body)
    assert frame.headers["original-destination"] == f"/topic/buoys.{OWN}.d2c.telemetry"
