"""The broker of a mesh of local processes: ActiveMQ or RabbitMQ, with the configuration that reefmesh ships."""

import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from reefmesh_components.activemq_distribution import distribution
from reefmesh_components.activemq_process import USERS as ACTIVEMQ_USERS
from reefmesh_components.activemq_process import ActivemqProcess, Ports
from reefmesh_components.broker_process import BrokerProcess
from reefmesh_components.certificates import make_server_certificate
from reefmesh_components.ports import HOST
from reefmesh_components.rabbitmq_distribution import rabbitmq_distribution
from reefmesh_components.rabbitmq_process import USERS as RABBITMQ_USERS
from reefmesh_components.rabbitmq_process import RabbitmqPorts, RabbitmqProcess

ACTIVEMQ_PORTS: Final = Ports(stomp=61613, stomp_tls=61614, mqtt=1883, mqtt_tls=8883)
RABBITMQ_PORTS: Final = RabbitmqPorts(amqp=5672, amqps=5671, mqtt=1883, mqtts=8883, prometheus=15692, epmd=4369, node=25672)
SHARDS: Final = 8
"""Of each subscription: enough for the processes of one machine, and made in a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBroker:
    """``url_of``: the address for one of its users; ``describe``: where it listens; ``end``: stop it, and all that is its."""

    name: str
    process: BrokerProcess
    url_of: Callable[[str], str]
    describe: str
    end: Callable[[], None]


def local_broker(kind: str, folder: Path, *, usual_ports: bool) -> LocalBroker:
    """Return a broker that is not yet started; its passwords are made at the first time and kept in ``folder``.

    Raises:
        DistributionMissing, RabbitmqMissing: it is not installed.
    """
    return (_rabbitmq if kind == "rabbitmq" else _activemq)(folder, usual_ports=usual_ports)


def is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def _activemq(folder: Path, *, usual_ports: bool) -> LocalBroker:
    process = ActivemqProcess(
        distribution=distribution(),
        folder=folder,
        certificate=make_server_certificate(folder),
        ports=ACTIVEMQ_PORTS if usual_ports and all(map(is_free, astuple(ACTIVEMQ_PORTS))) else None,
        password_of=_passwords(folder / "passwords", ACTIVEMQ_USERS).__getitem__,
        dashboard=True,
    )
    ports = process.ports
    return LocalBroker(
        name="ActiveMQ",
        process=process,
        url_of=process.url,
        describe=f"STOMP {HOST}:{ports.stomp}, TLS {ports.stomp_tls}, MQTT {ports.mqtt}; log {process.log}",
        end=process.stop,
    )


def _rabbitmq(folder: Path, *, usual_ports: bool) -> LocalBroker:
    process = RabbitmqProcess(
        distribution=rabbitmq_distribution(),
        folder=folder,
        certificate=make_server_certificate(folder),
        ports=RABBITMQ_PORTS if usual_ports and all(map(is_free, astuple(RABBITMQ_PORTS))) else None,
        password_of=_passwords(folder / "passwords", RABBITMQ_USERS).__getitem__,
    )
    ports = process.ports

    def end() -> None:
        process.stop()
        process.close()

    return LocalBroker(
        name="RabbitMQ",
        process=process,
        url_of=lambda user: process.url(user, parameters=f"shards={SHARDS}"),
        describe=f"AMQP {HOST}:{ports.amqp}, TLS {ports.amqps}, MQTT {ports.mqtt}, pages {ports.prometheus}; log {process.log}",
        end=end,
    )


def _passwords(file: Path, users: tuple[str, ...]) -> Mapping[str, str]:
    """Return each broker user's password, made when the user first has to be there."""
    file.touch(mode=0o600)
    known = dict(line.split() for line in file.read_text().splitlines())
    new = {user: secrets.token_urlsafe(18) for user in users if user not in known}
    with file.open("a") as opened:
        opened.writelines(f"{user} {password}\n" for user, password in new.items())
    return known | new
