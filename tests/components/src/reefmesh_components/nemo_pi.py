"""A Nemo-Pi as the broker sees it, with the current firmware's manners: MQTT 3.1.1, QoS 1, clean session, client id = IMEI."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiomqtt

from reefmesh_components.activemq_process import ActivemqProcess, password_of
from reefmesh_components.mosquitto import MosquittoProcess
from reefmesh_components.ports import HOST
from reefmesh_components.rabbitmq_process import RabbitmqProcess

KEEP_ALIVE_SECONDS: Final = 60
CONFIRM_TIMEOUT_SECONDS: Final = 20.0
USER: Final = "buoy"


class NemoPi:
    """Made by ``nemo_pi``."""

    def __init__(self, imei: str, client: aiomqtt.Client) -> None:
        self.imei = imei
        self._client = client

    async def publish(self, payload: bytes, *, kind: str = "telemetry", retain: bool = False) -> None:
        """Return when the broker has acknowledged it (PUBACK). Raises aiomqtt.MqttError."""
        await self._client.publish(f"buoys/{self.imei}/d2c/{kind}", payload, qos=1, retain=retain)

    async def publish_to(self, topic: str, payload: bytes) -> None:
        """As ``publish``, to a topic of any name."""
        await self._client.publish(topic, payload, qos=1)

    async def listen(self) -> None:
        """Subscribe to commands; returns when the broker has confirmed."""
        await self._client.subscribe(f"buoys/{self.imei}/c2d/cmd", qos=1)

    async def next_command(self) -> dict[str, Any]:
        """Wait for a command."""
        message = await anext(aiter(self._client.messages))
        assert isinstance(message.payload, bytes)
        document: dict[str, Any] = json.loads(message.payload)
        return document

    async def respond(self, command: dict[str, Any], *, status: str = "ok", reason: str = "") -> None:
        """Answer a command as the firmware does."""
        response = {
            "msg_type": "response",
            "cmd": command["cmd"],
            "operation_id": command["operation_id"],
            "status": status,
            "reason": reason,
        }
        await self.publish(json.dumps(response).encode(), kind="response")


@asynccontextmanager
async def nemo_pi(
    broker: ActivemqProcess | RabbitmqProcess | MosquittoProcess,
    imei: str,
    *,
    user: str | None = USER,
    confirm_timeout_seconds: float = CONFIRM_TIMEOUT_SECONDS,
    tls: ssl.SSLContext | None = None,
    will: aiomqtt.Will | None = None,
) -> AsyncIterator[NemoPi]:
    """Connect a device; a publish that the broker does not acknowledge within the time-out raises.

    ``user``: None without a user and a password, for a device that shows a certificate (RabbitMQ). ``tls``: to RabbitMQ's port
    for it. ``will``: what the broker publishes when the device is gone without a word. At Mosquitto it shows a certificate, and
    sends its IMEI and an empty password besides, as the firmware does."""
    password: str | None
    if isinstance(broker, MosquittoProcess):
        port, user, password = broker.port, imei, ""
    else:
        port = broker.ports.mqtts if tls is not None and isinstance(broker, RabbitmqProcess) else broker.ports.mqtt
        password = None if user is None else password_of(user)
    client = aiomqtt.Client(
        HOST,
        port,
        identifier=imei,
        username=user,
        password=password,
        tls_context=tls,
        will=will,
        protocol=aiomqtt.ProtocolVersion.V311,
        clean_session=True,
        keepalive=KEEP_ALIVE_SECONDS,
        timeout=confirm_timeout_seconds,
    )
    async with client:
        yield NemoPi(imei, client)


def data(celsius: float | None, *, fault: str = "") -> bytes:
    """Return a ``data`` message of one temperature probe."""
    channel = {"channel": "ch1", "value": celsius, "fault": fault}
    sensor = {"model": "DS18B20-LOGGER", "interface": "rs485", "address": 2, "data": [channel]}
    return json.dumps({"msg_type": "data", "sensors": [sensor]}).encode()


async def publish_and_retransmit(broker: ActivemqProcess, imei: str, payload: bytes) -> None:
    """Publish once and again with the DUP flag under the same packet id, as a device does that got no PUBACK; returns when both
    are acknowledged. No client library can be asked for that, so these are the packets themselves."""

    def text(value: str) -> bytes:
        return struct.pack("!H", len(value)) + value.encode()

    def packet(first: int, body: bytes) -> bytes:
        length, size = b"", len(body)
        while True:
            size, digit = divmod(size, 128)
            length += bytes([digit | (0x80 if size else 0)])
            if not size:
                return bytes([first]) + length + body

    connect = text("MQTT") + bytes([4, 0b1100_0010]) + struct.pack("!H", KEEP_ALIVE_SECONDS)
    connect += text(imei) + text(USER) + text(password_of(USER))
    publish = text(f"buoys/{imei}/d2c/telemetry") + struct.pack("!H", 7) + payload
    reader, writer = await asyncio.open_connection(HOST, broker.ports.mqtt, family=socket.AF_INET)
    try:
        async with asyncio.timeout(CONFIRM_TIMEOUT_SECONDS):
            writer.write(packet(0x10, connect))
            assert await reader.readexactly(4) == bytes([0x20, 2, 0, 0])  # CONNACK: accepted
            for first in (0x32, 0x3A):  # PUBLISH at QoS 1; the same with DUP
                writer.write(packet(first, publish))
                assert await reader.readexactly(4) == bytes([0x40, 2, 0, 7])  # PUBACK
    finally:
        writer.close()
        await writer.wait_closed()
