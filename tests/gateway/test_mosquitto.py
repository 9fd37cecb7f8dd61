"""A Nemo-Pi with its certificate at a real Mosquitto with the shipped configuration, through the gateway to a reading.

The steps are those of docs/nemo-pi.md, with its very commands (the fixture ``provisioned``).
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import aiomqtt
import pytest

from reefmesh.clock import SystemClock
from reefmesh_components.mosquitto import device_tls
from reefmesh_components.nemo_pi import data, nemo_pi
from reefmesh_gateway.domain.mqtt_message import MqttMessage
from reefmesh_gateway.mqtt.address import MqttAddress
from reefmesh_gateway.mqtt.session import MqttSession
from reefmesh_standalone.provisioning.authority import Authority

pytestmark = pytest.mark.timeout(240)
FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH = (f"86774003000000{number}" for number in range(1, 7))
REVOKED_WITHIN_SECONDS: Final = 10.0


def temperatures(messages: Any) -> list[float]:
    """Return the values of all readings in the order of their first arrival: a later one may bring one before it again, with
    another flag."""
    readings = [each for message in messages for each in json.loads(message.body)["readings"]]
    first = {each["observed_at"]: each["channels"]["sea_water_temperature"]["value"] for each in reversed(readings)}
    return list(reversed(first.values()))


async def test_nemo_pi_with_its_certificate_comes_through_the_gateway_to_a_reading(mesh: Any, provisioned: Any) -> None:
    gateway = await mesh.start_gateway()
    async with nemo_pi(mesh.mosquitto, FIRST, tls=provisioned.tls(FIRST)) as device:
        for celsius in (29.4, 29.5, 29.6):
            await device.publish(data(celsius))
    messages = await mesh.readings.until_there_are(3)
    assert [29.4, 29.5, 29.6] == temperatures(messages)
    assert {"menjangan"} == {each.reef_id for each in messages}
    await gateway.stop()
    lines = await provisioned.run("devices", "list")
    (line,) = [each for each in lines if each["device"] == FIRST]
    assert line["certificates"][0]["last_used_at"] is not None


async def test_topic_and_commands_of_another_device_are_closed(mesh: Any, provisioned: Any) -> None:
    await mesh.start_gateway()
    async with (
        nemo_pi(mesh.mosquitto, FIRST, tls=provisioned.tls(FIRST)) as device,
        nemo_pi(mesh.mosquitto, SECOND, tls=provisioned.tls(SECOND)) as other,
    ):
        await device.publish_to(f"buoys/{SECOND}/d2c/telemetry", data(35.0))  # MQTT 3.1.1 confirms it all the same
        await device.publish_to("buoys/gateway/d2c/telemetry", data(35.1))
        await other.publish(data(27.1))
        messages = await mesh.readings.until_there_are(1)
        assert [27.1] == temperatures(messages)
    assert [] == mesh.quarantined.messages


async def test_nobody_comes_in_without_a_certificate_of_the_authority(mesh: Any, provisioned: Any, tmp_path: Any) -> None:
    """Neither without one, nor with one of another authority, nor with the server's own."""
    ca_file = provisioned.authority / "ca.pem"
    Authority.create(tmp_path / "other", name="another authority", now=datetime.now(UTC)).write_gateway(now=datetime.now(UTC))
    of_another = device_tls(ca_file, tmp_path / "other/gateway/gateway.pem", tmp_path / "other/gateway/gateway.key")
    broker_folder = provisioned.authority / "broker"
    of_server = device_tls(ca_file, broker_folder / "server.pem", broker_folder / "server.key")
    for tls in (ssl.create_default_context(cafile=ca_file), of_another, of_server):
        with pytest.raises(aiomqtt.MqttError):
            async with nemo_pi(mesh.mosquitto, FIRST, tls=tls, confirm_timeout_seconds=2) as device:
                await device.publish(data(29.4))
    with pytest.raises(aiomqtt.MqttError):
        async with nemo_pi(mesh.mosquitto, FIRST, tls=None, confirm_timeout_seconds=2) as device:
            await device.publish(data(29.4))


async def test_client_id_of_another_device_puts_nobody_out(mesh: Any, provisioned: Any) -> None:
    """The client id is the certificate's name, whatever a device says."""
    await mesh.start_gateway()
    async with (
        nemo_pi(mesh.mosquitto, SECOND, tls=provisioned.tls(SECOND)) as device,
        nemo_pi(mesh.mosquitto, SECOND, tls=provisioned.tls(FIRST)) as attacker,
    ):
        await attacker.publish_to(f"buoys/{FIRST}/d2c/telemetry", data(28.1))
        await device.publish(data(29.4))
        assert [28.1, 29.4] == temperatures(await mesh.readings.until_there_are(2))[-2:]


async def test_revoked_certificate_is_refused_within_ten_seconds_also_in_a_session_that_is_open(
    mesh: Any, provisioned: Any
) -> None:
    gateway = await mesh.start_gateway()
    async with nemo_pi(mesh.mosquitto, THIRD, tls=provisioned.tls(THIRD)) as device:
        await device.publish(data(29.4))
        await mesh.readings.until_there_are(1)
        revoked = await provisioned.run("devices", "revoke", THIRD)
        revoked_at = datetime.now(UTC)
        assert 1 == len(revoked["revoked_certificates"])
        while not mesh.quarantined.messages:
            await device.publish(data(35.0))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await mesh.quarantined.until_there_are(1)
        gateway_after = (datetime.now(UTC) - revoked_at).total_seconds()
    kept = json.loads(mesh.quarantined.messages[0].body)
    assert ("spoofed", THIRD) == (kept["reason"], kept["device"])
    assert "no valid certificate" in kept["detail"]

    async def is_let_in() -> bool:
        try:
            async with nemo_pi(mesh.mosquitto, THIRD, tls=provisioned.tls(THIRD), confirm_timeout_seconds=2) as again:
                await again.publish(data(35.1))
        except aiomqtt.MqttError:
            return False
        return True

    while await is_let_in():
        assert (datetime.now(UTC) - revoked_at).total_seconds() < 60
    broker_after = (datetime.now(UTC) - revoked_at).total_seconds()
    assert (True, True) == (gateway_after < REVOKED_WITHIN_SECONDS, broker_after < REVOKED_WITHIN_SECONDS)
    async with nemo_pi(mesh.mosquitto, FOURTH, tls=provisioned.tls(FOURTH)) as other:  # nobody else is touched
        await other.publish(data(28.8))
        await mesh.readings.until(lambda messages: temperatures(messages)[-1] == 28.8)
    await gateway.stop()


async def test_messages_wait_at_mosquitto_for_a_gateway_that_is_away(mesh: Any, provisioned: Any) -> None:
    """Also over a clean restart of Mosquitto: it keeps the session of the gateway on its disk."""
    await (await mesh.start_gateway()).stop()
    celsius = [20.0 + number / 10 for number in range(40)]
    async with nemo_pi(mesh.mosquitto, FIFTH, tls=provisioned.tls(FIFTH)) as device:
        for each in celsius[:20]:
            await device.publish(data(each))
    await asyncio.to_thread(mesh.mosquitto.restart)
    async with nemo_pi(mesh.mosquitto, FIFTH, tls=provisioned.tls(FIFTH)) as device:
        for each in celsius[20:]:
            await device.publish(data(each))
    await mesh.start_gateway()
    assert celsius == temperatures(await mesh.readings.until_there_are(len(celsius)))


async def test_session_gets_again_what_was_not_acknowledged_by_the_same_packet_ids(provisioned: Any, mosquitto: Any) -> None:
    """By which the gateway knows a repeat: after a lost connection, and after a clean restart of Mosquitto."""
    async with session(provisioned, mosquitto) as first:
        async with nemo_pi(mosquitto, FIRST, tls=provisioned.tls(FIRST)) as device:
            for number in range(3):
                await device.publish(str(number).encode())
        sent = await received(first, 3)
        first.acknowledge(sent[:1])
    async with session(provisioned, mosquitto) as second:
        again = await received(second, 2)
    await asyncio.to_thread(mosquitto.restart)
    async with session(provisioned, mosquitto) as third:
        once_more = await received(third, 2)
        third.acknowledge(once_more)
    assert [False, False, False] == [each.is_repeat for each in sent]
    assert [(each.packet_id, each.payload) for each in sent[1:]] == [(each.packet_id, each.payload) for each in again]
    assert [(each.packet_id, each.payload) for each in sent[1:]] == [(each.packet_id, each.payload) for each in once_more]
    assert [True, True] == [each.is_repeat for each in again]


async def test_mosquitto_keeps_back_what_is_beyond_the_messages_in_hand(provisioned: Any, mosquitto: Any) -> None:
    async with session(provisioned, mosquitto, in_hand_limit=2) as limited:
        async with nemo_pi(mosquitto, FIRST, tls=provisioned.tls(FIRST)) as device:
            for number in range(5):
                await device.publish(str(number).encode())
        payloads = list[bytes]()
        while len(payloads) < 5:
            messages = await received(limited, 1)
            assert len(messages) <= 3  # Mosquitto 2.0.11 was seen to give one more than it was allowed
            payloads += [each.payload for each in messages]
            limited.acknowledge(messages)
    assert [b"0", b"1", b"2", b"3", b"4"] == payloads


async def test_mosquitto_that_comes_back_is_found_again(mesh: Any, provisioned: Any) -> None:
    gateway = await mesh.start_gateway()
    await asyncio.to_thread(mesh.mosquitto.kill)
    await gateway.until_it_says("active", connected=False)
    await asyncio.to_thread(mesh.mosquitto.start)
    await gateway.until_it_says("active", connected=True)
    async with nemo_pi(mesh.mosquitto, SIXTH, tls=provisioned.tls(SIXTH)) as device:
        await device.publish(data(29.4))
        assert [29.4] == temperatures(await mesh.readings.until_there_are(1))


@asynccontextmanager
async def session(provisioned: Any, mosquitto: Any, *, in_hand_limit: int = 128) -> AsyncIterator[MqttSession]:
    """The gateway's session, without a gateway."""
    names = {name.removeprefix("mqtt_"): value for name, value in provisioned.settings(mosquitto).items()}
    address = MqttAddress.of(names.pop("url"), client_id="gateway", **names)
    opened = MqttSession(address, in_hand_limit=in_hand_limit, clock=SystemClock())
    opened.open()
    try:
        async with asyncio.timeout(30):
            await opened.connected.wait()
        yield opened
    finally:
        await opened.close()


async def received(opened: MqttSession, number: int) -> list[MqttMessage]:
    """Wait for so many messages, and for no more."""
    messages: list[MqttMessage] = []
    async with asyncio.timeout(30):
        while len(messages) < number:
            messages += await opened.receive()
    return messages
