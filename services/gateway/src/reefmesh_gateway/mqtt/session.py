"""The gateway's session at an MQTT broker: it outlives connections, and a message in it waits until it is acknowledged.

paho-mqtt keeps the connection, in a thread of its own: it connects again by itself. Here is what the door needs of it: messages
in order, a bound on those in hand, and an acknowledgement that never reaches another message.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from reefmesh.clock import Clock
from reefmesh_gateway.domain.mqtt_message import FROM_DEVICES, MqttMessage
from reefmesh_gateway.mqtt.address import MqttAddress

KEEP_ALIVE_SECONDS: Final = 30
CONNECT_TIMEOUT_SECONDS: Final = 10.0
RECONNECT_SECONDS: Final = (1, 5)
SESSION_EXPIRY_SECONDS: Final = 7 * 86_400
"""For so long a broker keeps messages of a gateway that is away; it may allow less."""
UNPROMISED_LIMIT: Final = 1_000
"""Messages of QoS 0 that wait here. A broker bounds those of QoS 1 by what is not acknowledged, and these by nothing."""
INSTANT: Final = timedelta(microseconds=1)
"""Between two messages that come at once: a Nemo-Pi's report has no time but this, and two at one instant would be one."""

log = structlog.get_logger()


class DeviceSession(Protocol):
    """What the door does with a session."""

    @property
    def is_connected(self) -> bool:
        """Whether the broker has confirmed login and subscription."""
        ...

    @property
    def trouble(self) -> str: ...

    @property
    def dropped(self) -> int:
        """Messages of QoS 0 that found no room."""
        ...

    def open(self) -> None: ...

    async def receive(self) -> Sequence[MqttMessage]:
        """Wait for messages and return all that have come, in order; none when the session was closed."""
        ...

    def acknowledge(self, messages: Sequence[MqttMessage]) -> None:
        """Acknowledge, in order. What an earlier connection brought is not: the broker delivers it again on this one."""
        ...

    async def close(self) -> None:
        """Send what was acknowledged, and disconnect; the session stays at the broker. Idempotent, safe before ``open``."""
        ...


class MqttSession:
    """Implements ``DeviceSession`` with MQTT 5, by which the broker learns how many messages may be in hand."""

    def __init__(self, address: MqttAddress, *, in_hand_limit: int, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._latest_at = datetime.min.replace(tzinfo=UTC)
        self._waiting: deque[MqttMessage] = deque()
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection = 0
        self._is_up = False
        self._is_closed = False
        self.connected = asyncio.Event()
        self.trouble = "it is not connected yet"
        self.dropped = 0
        self._connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho types its client alone
        self._connect.ReceiveMaximum = in_hand_limit
        self._connect.SessionExpiryInterval = SESSION_EXPIRY_SECONDS
        self._client = self._new_client()

    def _new_client(self) -> mqtt.Client:
        address = self._address
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=address.client_id, protocol=mqtt.MQTTv5, manual_ack=True)
        client.connect_timeout = CONNECT_TIMEOUT_SECONDS
        client.reconnect_delay_set(*RECONNECT_SECONDS)
        if address.username is not None:
            client.username_pw_set(address.username, address.password)
        if address.tls is not None:
            client.tls_set_context(address.tls)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    @property
    def is_connected(self) -> bool:
        return self.connected.is_set()

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        address = self._address
        self._client.connect_async(address.host, address.port, KEEP_ALIVE_SECONDS, clean_start=False, properties=self._connect)
        self._client.loop_start()

    async def receive(self) -> Sequence[MqttMessage]:
        while not self._waiting and not self._is_closed:
            self._arrived.clear()
            await self._arrived.wait()
        if self._is_closed:
            return ()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def acknowledge(self, messages: Sequence[MqttMessage]) -> None:
        for message in messages:
            if message.packet_id is not None and message.connection == self._connection and self._is_up:
                self._client.ack(message.packet_id, 1)

    async def close(self) -> None:
        self._is_closed = True
        self._arrived.set()
        if self._loop is None:
            return
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        self.connected.clear()

    # The thread of paho calls these; each hands its work to the event loop, which does it in the same order.

    def _on_connect(self, client: mqtt.Client, _: Any, flags: Any, reason: Any, __: Any) -> None:
        if reason.is_failure:
            self._hand_over(self._lost, f"the broker refused the login: {reason}")
            return
        self._hand_over(self._begin, bool(flags.session_present))
        client.subscribe(FROM_DEVICES, options=SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND))

    def _on_connect_fail(self, *_: Any) -> None:
        self._hand_over(self._lost, f"nobody answers at {self._address.host}:{self._address.port}")

    def _on_subscribe(self, _: Any, __: Any, ___: Any, reasons: Sequence[Any], ____: Any) -> None:
        refused = next((each for each in reasons if each.is_failure), None)
        if refused is None:
            self._hand_over(self._subscribed)
        else:
            self._hand_over(self._not_subscribed, f"the broker refused the subscription to {FROM_DEVICES}: {refused}")

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self._hand_over(self._lost, f"the connection was lost: {reason}")

    def _on_message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # no broker delivers one; who does is answered as any message of no device is
            topic = ""
        self._hand_over(self._came, topic, message.payload, message.mid if message.qos else None, bool(message.dup))

    def _hand_over(self, call: Callable[..., None], *arguments: Any) -> None:
        assert self._loop is not None  # noqa: S101 - ``open`` has set it before it started the thread
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    def _begin(self, is_present: bool) -> None:
        self._connection += 1
        self._is_up = True
        self._waiting.clear()
        log.info("connected to the MQTT broker", session=self._address.session, session_present=is_present)

    def _subscribed(self) -> None:
        self.trouble = ""
        self.connected.set()

    def _not_subscribed(self, why: str) -> None:
        log.error("no subscription at the MQTT broker", session=self._address.session, reason=why)
        self.trouble = why
        self.connected.clear()

    def _lost(self, why: str) -> None:
        self._is_up = False
        self._waiting.clear()  # the broker delivers again what was not acknowledged
        if self._is_closed:
            return
        if self.is_connected or why != self.trouble:
            log.warning("no connection to the MQTT broker", session=self._address.session, reason=why)
        self.trouble = why
        self.connected.clear()

    def _came(self, topic: str, payload: bytes, packet_id: int | None, is_repeat: bool) -> None:
        if packet_id is None and len(self._waiting) >= UNPROMISED_LIMIT:
            self.dropped += 1
            return
        self._latest_at = max(self._clock.now(), self._latest_at + INSTANT)
        self._waiting.append(
            MqttMessage(
                topic=topic,
                payload=payload,
                packet_id=packet_id,
                is_repeat=is_repeat,
                connection=self._connection,
                received_at=self._latest_at,
            )
        )
        self._arrived.set()
