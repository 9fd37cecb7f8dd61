"""What a device may do at a real RabbitMQ, over MQTT and AMQP: the acts of ``tests/hostile`` that apply there."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import aiormq
import pytest
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed
from pamqp.commands import Basic
from pamqp.common import FieldValue

from reefmesh.contracts.channels import QUARANTINE, TELEMETRY
from reefmesh.contracts.quarantine import QuarantineEntry
from reefmesh_components.activemq_process import password_of
from reefmesh_components.certificates import client_context
from reefmesh_components.nemo_pi import data, nemo_pi
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_hostile.mqtt_wire import MqttConnection, MqttCut

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(240)]  # the first of them starts the broker

OWN = "867740030000003"
OTHER = "867740030000004"
CERTIFIED = "867740030000005"
QUEUE = "reef.telemetry.mqtt"
DEVICES = "reef.devices"
PATIENCE_SECONDS = 30.0


def device(broker: RabbitmqProcess, imei: str, *, client_id: str | None = None, clean: bool = True) -> MqttConnection:
    password = password_of(imei)
    return MqttConnection(broker.ports.mqtt, client_id=client_id or imei, user=imei, password=password, clean_session=clean)


def is_granted(broker: RabbitmqProcess, topic: str) -> bool:
    with device(broker, OWN) as connection:
        try:
            return connection.subscribe(topic)
        except (MqttCut, TimeoutError):
            return False


@asynccontextmanager
async def amqp(broker: RabbitmqProcess, user: str) -> AsyncIterator[AbstractChannel]:
    connection = await aiormq.connect(broker.url(user))
    try:
        yield await connection.channel(publisher_confirms=True)
    finally:
        await connection.close()


@asynccontextmanager
async def tapped(broker: RabbitmqProcess, routing_key: str) -> AsyncIterator["asyncio.Queue[tuple[str, bytes]]"]:
    """Yield what is published with this key, as the operator sees it: routing key and body."""
    seen: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def read(message: DeliveredMessage) -> None:
        assert isinstance(message.delivery, Basic.Deliver)
        seen.put_nowait((message.delivery.routing_key or "", message.body))

    async with amqp(broker, "operator") as channel:
        queue = (await channel.queue_declare("", exclusive=True)).queue
        assert queue is not None
        await channel.queue_bind(queue, DEVICES, routing_key=routing_key)
        await channel.basic_consume(queue, read, no_ack=True)
        yield seen


async def next_of(seen: "asyncio.Queue[tuple[str, bytes]]") -> tuple[str, bytes]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await seen.get()


async def purge(broker: RabbitmqProcess) -> None:
    async with amqp(broker, "operator") as channel:
        await channel.queue_purge(QUEUE)


@pytest.mark.parametrize(
    "topic",
    [
        f"buoys/{OTHER}/d2c/telemetry",
        f"buoys/{OWN}.x/d2c/telemetry",
        f"buoys/{OWN}0/d2c/telemetry",
        f"x/buoys/{OWN}/d2c/telemetry",
        f"buoys/{OWN}/c2d/cmd",
        f"buoys/{OTHER}/c2d/cmd",
        "reef/telemetry",
    ],
)
async def test_device_publishes_under_no_other_name_and_no_command(rabbitmq_broker: RabbitmqProcess, topic: str) -> None:
    """The broker closes its connection and confirms nothing."""
    async with tapped(rabbitmq_broker, "#") as seen:
        with device(rabbitmq_broker, OWN) as connection:
            assert not connection.publish(topic, b"forged")
        with device(rabbitmq_broker, OWN) as connection:
            assert connection.publish(f"buoys/{OWN}/d2c/telemetry", b"honest")
        assert (f"buoys.{OWN}.d2c.telemetry", b"honest") == await next_of(seen)
    await purge(rabbitmq_broker)


@pytest.mark.parametrize(
    "topic", ["buoys/#", "#", "+/+/#", f"buoys/{OTHER}/c2d/cmd", f"buoys/{OWN}/d2c/#", "buoys/+/c2d/cmd", "$SYS/#"]
)
def test_device_subscribes_to_nothing_but_its_own_commands(rabbitmq_broker: RabbitmqProcess, topic: str) -> None:
    assert not is_granted(rabbitmq_broker, topic)
    assert is_granted(rabbitmq_broker, f"buoys/{OWN}/c2d/cmd")
    assert is_granted(rabbitmq_broker, f"buoys/{OWN}/c2d/#")


async def test_last_will_under_another_name_is_not_published(rabbitmq_broker: RabbitmqProcess) -> None:
    wills = {imei: aiomqtt.Will(f"buoys/{imei}/d2c/telemetry", f"will of {imei}", qos=1) for imei in (OTHER, OWN)}
    async with tapped(rabbitmq_broker, "#") as seen:
        for will in wills.values():
            with contextlib.suppress(aiomqtt.MqttError):
                async with nemo_pi(rabbitmq_broker, OWN, user=OWN, will=will) as dying:
                    dying._client._client._sock_close()  # as a cut cable would
        assert (f"buoys.{OWN}.d2c.telemetry", f"will of {OWN}".encode()) == await next_of(seen)
    await purge(rabbitmq_broker)


async def test_nothing_is_retained(rabbitmq_broker: RabbitmqProcess) -> None:
    async with amqp(rabbitmq_broker, "operator") as channel:
        with device(rabbitmq_broker, OWN) as connection:
            assert connection.subscribe(f"buoys/{OWN}/c2d/cmd")
            await channel.basic_publish(b"a command", exchange=DEVICES, routing_key=f"buoys.{OWN}.c2d.cmd")
    async with nemo_pi(rabbitmq_broker, OWN, user=OWN) as late:
        await late.publish(data(1.0), retain=True)
        await late.listen()
        async with amqp(rabbitmq_broker, "operator") as channel:
            command = json.dumps({"cmd": "ping"}).encode()
            await channel.basic_publish(command, exchange=DEVICES, routing_key=f"buoys.{OWN}.c2d.cmd")
        assert {"cmd": "ping"} == await late.next_command()
    await purge(rabbitmq_broker)


@pytest.mark.parametrize(
    ("user", "password"),
    [(OWN, "wrong"), (CERTIFIED, ""), (CERTIFIED, "x"), ("nobody", "x"), ("guest", "guest"), ("", "")],
)
def test_nobody_connects_without_the_password_of_a_device(rabbitmq_broker: RabbitmqProcess, user: str, password: str) -> None:
    with pytest.raises(MqttCut):
        MqttConnection(rabbitmq_broker.ports.mqtt, client_id=OWN, user=user, password=password)


@pytest.mark.parametrize("name", [OTHER, "operator", "ingest"])
async def test_certificate_lets_nobody_speak_for_a_device_but_itself(
    rabbitmq_broker: RabbitmqProcess, tmp_path: Path, name: str
) -> None:
    """Its common name is the user, also where that is one of the mesh: an authority for devices must sign no such names."""
    tls = client_context(rabbitmq_broker.certificate, name, tmp_path)
    async with tapped(rabbitmq_broker, "#") as seen:
        async with nemo_pi(rabbitmq_broker, OWN, user=None, tls=tls, confirm_timeout_seconds=5) as forger:
            with pytest.raises(aiomqtt.MqttError):
                await forger.publish(data(31.0))
        with device(rabbitmq_broker, OWN) as connection:
            assert connection.publish(f"buoys/{OWN}/d2c/telemetry", b"honest")
        assert (f"buoys.{OWN}.d2c.telemetry", b"honest") == await next_of(seen)
    await purge(rabbitmq_broker)


async def test_certificate_that_nobody_here_signed_is_refused(rabbitmq_broker: RabbitmqProcess, tmp_path: Path) -> None:
    from reefmesh_components.certificates import make_server_certificate

    (tmp_path / "theirs").mkdir()
    tls = client_context(make_server_certificate(tmp_path / "theirs"), OWN, tmp_path)
    tls.load_verify_locations(rabbitmq_broker.certificate.ca_file)
    with pytest.raises(aiomqtt.MqttError):
        async with nemo_pi(rabbitmq_broker, OWN, user=None, tls=tls, confirm_timeout_seconds=5) as stranger:
            await stranger.publish(data(31.0))


async def test_message_that_the_queue_refuses_is_not_confirmed(rabbitmq_broker: RabbitmqProcess) -> None:
    """Full, or without a majority: the device sends it again after it has connected again."""
    pattern = json.dumps({"max-length": 1, "overflow": "reject-publish"})
    rabbitmq_broker.control("set_policy", "--apply-to", "queues", "full", f"^{QUEUE}$", pattern)
    try:
        taken = 0
        with device(rabbitmq_broker, OWN) as connection:
            while connection.publish(f"buoys/{OWN}/d2c/telemetry", data(taken)):
                taken += 1
    finally:
        rabbitmq_broker.control("clear_policy", "full")
    async with amqp(rabbitmq_broker, "operator") as channel:
        ready = (await channel.queue_declare(QUEUE, passive=True)).message_count
    await purge(rabbitmq_broker)
    assert (True, taken) == (taken > 0, ready)


async def test_device_is_not_confirmed_while_an_alarm_is_in_force(rabbitmq_broker: RabbitmqProcess) -> None:
    """The broker reads nothing more of it; what it had sent is taken when the alarm ends."""
    async with nemo_pi(rabbitmq_broker, OWN, user=OWN) as waiting:
        await waiting.publish(data(1.0))
        await asyncio.to_thread(rabbitmq_broker.control, "set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            blocked = asyncio.create_task(waiting.publish(data(2.0)))
            done, _ = await asyncio.wait([blocked], timeout=3)
            assert not done
        finally:
            await asyncio.to_thread(rabbitmq_broker.control, "set_vm_memory_high_watermark", "0.5")
        await blocked
    await purge(rabbitmq_broker)


async def test_device_at_the_port_for_amqp_has_no_more_rights_there(rabbitmq_broker: RabbitmqProcess) -> None:
    """A device with a password can log in there too, if it reaches the port."""

    async def refused(act: Any) -> bool:
        async with amqp(rabbitmq_broker, OWN) as channel:
            try:
                await act(channel)
            except (ChannelAccessRefused, ChannelPreconditionFailed):
                return True
            return False

    forged = Basic.Properties(user_id=OTHER)
    session = f"mqtt-subscription-{OTHER}qos1"
    acts = {
        "another's topic": lambda each: each.basic_publish(b"", exchange=DEVICES, routing_key=f"buoys.{OTHER}.d2c.telemetry"),
        "another's command": lambda each: each.basic_publish(b"", exchange=DEVICES, routing_key=f"buoys.{OTHER}.c2d.cmd"),
        "telemetry itself": lambda each: each.basic_publish(b"", exchange="reef.telemetry", routing_key="menjangan"),
        "the default exchange": lambda each: each.basic_publish(b"", exchange="", routing_key=QUEUE),
        "another's name": lambda each: each.basic_publish(
            b"", exchange=DEVICES, routing_key=f"buoys.{OWN}.d2c.telemetry", properties=forged
        ),
        "what devices sent": lambda each: each.basic_get(QUEUE),
        "another's session": lambda each: each.queue_declare(session, durable=True, auto_delete=True),
        "an end to another's session": lambda each: each.queue_delete(session),
        "a purge": lambda each: each.queue_purge(QUEUE),
    }
    assert dict.fromkeys(acts, True) == {name: await refused(act) for name, act in acts.items()}


async def relayed(broker: RabbitmqProcess, how: str, routing_key: str) -> None:
    """Have the broker publish a message where OWN may not write, by tricks of AMQP. The content of a dead letter is not OWN's:
    it may bind its queue to its own commands alone."""
    body, allowed = data(31.0), f"buoys.{OWN}.d2c.telemetry"
    async with amqp(broker, OWN) as channel:
        if how == "dead letter":
            queue = f"mqtt-subscription-{OWN}qos1"
            arguments: dict[str, FieldValue] = {
                "x-dead-letter-exchange": DEVICES,
                "x-dead-letter-routing-key": routing_key,
                "x-message-ttl": 0,
            }
            await channel.queue_declare(queue, arguments=arguments)
            await channel.queue_bind(queue, DEVICES, routing_key=f"buoys.{OWN}.c2d.x")
            async with amqp(broker, "operator") as operator:
                await operator.basic_publish(body, exchange=DEVICES, routing_key=f"buoys.{OWN}.c2d.x")
            await channel.queue_delete(queue)
        else:
            properties = Basic.Properties(headers={how: [routing_key]})
            await channel.basic_publish(body, exchange=DEVICES, routing_key=allowed, properties=properties)


@pytest.mark.parametrize("how", ["CC", "BCC", "dead letter"])
async def test_ingest_believes_no_message_that_was_relayed_past_a_topic_permission(rabbitmq_stage: Any, how: str) -> None:
    """What is relayed to the queue of devices under another name is quarantined as spoofed; with CC and BCC it stays one
    message, of the name that its sender may use."""
    broker = rabbitmq_stage.broker
    async with rabbitmq_stage.ears(TELEMETRY, QUARANTINE) as (telemetry, quarantined), rabbitmq_stage.ingest():
        await relayed(broker, how, f"buoys.{OTHER}.d2c.telemetry")
        (message,) = await telemetry.until_there_are(1)
        assert message.headers["device"] == (OTHER if how == "dead letter" else OWN)
        if how != "BCC":
            (entry,) = await quarantined.until_there_are(1)
            assert "spoofed" == QuarantineEntry.model_validate_json(entry.body).reason


@pytest.mark.parametrize("how", ["CC", "BCC"])
async def test_device_at_the_port_for_amqp_can_send_a_command_to_another(rabbitmq_broker: RabbitmqProcess, how: str) -> None:
    """Not good, and why docs/rabbitmq.md keeps that port from devices: RabbitMQ asks no topic permission for these keys."""
    command = f"buoys.{OTHER}.c2d.cmd"
    async with tapped(rabbitmq_broker, command) as seen:
        await relayed(rabbitmq_broker, how, command)
        assert data(31.0) == (await next_of(seen))[1]
    await purge(rabbitmq_broker)


async def test_device_can_end_the_connection_of_another_by_its_client_id(rabbitmq_broker: RabbitmqProcess) -> None:
    """Not good either: the broker compares no client id with the user (3.10). The other connects again."""
    with device(rabbitmq_broker, OTHER) as honest:
        assert honest.publish(f"buoys/{OTHER}/d2c/telemetry", b"before")
        with contextlib.suppress(MqttCut), device(rabbitmq_broker, OWN, client_id=OTHER) as rude:
            rude.subscribe(f"buoys/{OWN}/c2d/cmd")
        assert not honest.publish(f"buoys/{OTHER}/d2c/telemetry", b"after")
    await purge(rabbitmq_broker)


async def test_topic_without_a_queue_is_confirmed_and_lost(rabbitmq_broker: RabbitmqProcess) -> None:
    """So the queue of devices is in the definitions, and reefmesh doctor looks for its binding."""
    async with amqp(rabbitmq_broker, "operator") as channel:
        await channel.queue_unbind(QUEUE, DEVICES, routing_key="buoys.*.d2c.#")
        try:
            with device(rabbitmq_broker, OWN) as connection:
                assert connection.publish(f"buoys/{OWN}/d2c/telemetry", b"lost")
            assert 0 == (await channel.queue_declare(QUEUE, passive=True)).message_count
        finally:
            await channel.queue_bind(QUEUE, DEVICES, routing_key="buoys.*.d2c.#")
