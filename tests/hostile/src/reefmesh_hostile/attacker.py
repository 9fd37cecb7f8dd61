"""Somebody who holds the password of one user of the broker, and nothing else."""

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from reefmesh_components.activemq_process import Ports, password_of
from reefmesh_components.ports import HOST
from reefmesh_components.rabbitmq_process import RabbitmqPorts
from reefmesh_hostile.amqp_wire import AmqpConnection
from reefmesh_hostile.mqtt_wire import MqttConnection, MqttMessage
from reefmesh_hostile.stomp_wire import Headers, Outcome, Send, StompConnection

DEVICE: Final = "buoy"
"""The user that all devices share on ActiveMQ: it speaks MQTT. On RabbitMQ each device has a user of its own."""
PUBLISHER: Final = "publisher"
"""The user that direct publishers of telemetry share: it speaks STOMP, or AMQP."""
CLIENT_ID: Final = "867740039999999"
"""The IMEI of the attacker's own device."""

ADDRESS: Final = "127.0.0.2"
"""The attacker's own: another peer than whoever looks at the pages."""
HALF_A_REQUEST: Final = b"GET /health HTTP/1.1\r\nHost: reefmesh\r\nX-Slow: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacker:
    """``user`` is the broker's: that of devices or of publishers, one device's own, or a service's. ``ports`` say which broker
    it is."""

    ports: Ports | RabbitmqPorts
    user: str

    def publishing(self, version: str = "1.2") -> StompConnection | AmqpConnection:
        """Return a connection of the protocol in which publishers and services speak there; ``version`` of STOMP."""
        return self.amqp() if isinstance(self.ports, RabbitmqPorts) else self.stomp(version)

    @property
    def ports_of_rabbitmq(self) -> RabbitmqPorts:
        if not isinstance(self.ports, RabbitmqPorts):
            raise TypeError("this act is of RabbitMQ, and attacks ActiveMQ")
        return self.ports

    def amqp(self) -> AmqpConnection:
        return AmqpConnection(self.ports_of_rabbitmq.amqp, user=self.user, password=password_of(self.user))

    def stomp(self, version: str = "1.2") -> StompConnection:
        if not isinstance(self.ports, Ports):
            raise TypeError("this act is of ActiveMQ, and attacks RabbitMQ")
        return StompConnection(self.ports.stomp, user=self.user, password=password_of(self.user), version=version)

    def mqtt(self, client_id: str = CLIENT_ID, *, clean_session: bool = True) -> MqttConnection:
        password = password_of(self.user)
        return MqttConnection(
            self.ports.mqtt, client_id=client_id, user=self.user, password=password, clean_session=clean_session
        )

    def send(self, destination: str, headers: Headers, body: bytes, *, version: str = "1.2") -> Outcome:
        """Send one message through a connection of its own."""
        with self.publishing(version) as connection:
            return connection.send(destination, headers, body)

    def send_all(self, sends: Iterable[Send], *, version: str = "1.2") -> list[Outcome]:
        with self.publishing(version) as connection:
            return connection.send_all(sends)

    def publish_all(self, messages: Sequence[MqttMessage]) -> int:
        """Publish over MQTT through one connection; return how many were acknowledged."""
        with self.mqtt() as connection:
            return connection.publish_all(messages)


@contextmanager
def half_open_requests(port: int, count: int) -> Iterator[None]:
    """Hold ``count`` HTTP requests open that never end, for as long as the context lasts, or the service lets them."""
    with ExitStack() as stack:
        for _ in range(count):
            place = (ADDRESS, 0)
            request = stack.enter_context(socket.create_connection((HOST, port), timeout=5.0, source_address=place))
            with suppress(ConnectionError):  # one too many, which the service closes at once
                request.sendall(HALF_A_REQUEST)
        yield
