"""The RabbitMQ of the tests: it starts, comes back with its data, and leaves nothing behind."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiormq
import psutil
import pytest
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from reefmesh_components.ports import HOST
from reefmesh_components.rabbitmq import local_rabbitmq
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_components.requirement import ComponentMissing, give_up

pytestmark = [
    pytest.mark.rabbitmq,
    pytest.mark.timeout(300),  # a node starts in seconds, on a machine that others use in many
]


QUEUE = "test.outlives"


@asynccontextmanager
async def channel_of(process: RabbitmqProcess) -> AsyncIterator[AbstractChannel]:
    connection = await aiormq.connect(process.url())
    yield await connection.channel(publisher_confirms=True)
    await connection.close()


def belonging_to(folder: Path) -> list[psutil.Process]:
    """Return the processes that were started for a broker in this folder."""
    return [each for each in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(each.info["cmdline"] or [])]


def listening(port: int) -> bool:
    with socket.socket() as peer:
        return peer.connect_ex((HOST, port)) == 0


def test_broker_of_a_test_ends_with_all_that_it_started() -> None:
    try:
        with local_rabbitmq() as process:
            folder, ports = process.folder, process.ports
            assert process.pid is not None
            assert belonging_to(folder) != []
            assert listening(ports.epmd)
    except ComponentMissing as missing:
        give_up(missing)
    assert belonging_to(folder) == []
    assert not listening(ports.epmd)
    assert not listening(ports.amqp)
    assert not folder.exists()


async def test_confirmed_messages_outlive_a_stop_and_a_kill(own_rabbitmq: RabbitmqProcess) -> None:
    """A stop comes first: what RabbitMQ notes of a new queue it writes to the disk half a second later, or when it stops."""
    async with channel_of(own_rabbitmq) as channel:
        await channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        assert isinstance(await channel.basic_publish(b"before the stop", routing_key=QUEUE, mandatory=True), Basic.Ack)
    own_rabbitmq.restart()
    async with channel_of(own_rabbitmq) as channel:
        assert isinstance(await channel.basic_publish(b"before the kill", routing_key=QUEUE, mandatory=True), Basic.Ack)
    own_rabbitmq.kill()
    own_rabbitmq.start()
    async with channel_of(own_rabbitmq) as channel:
        bodies = [(await channel.basic_get(QUEUE)).body for _ in range(2)]
        await channel.queue_delete(QUEUE)
    assert bodies == [b"before the stop", b"before the kill"]


def test_broker_shows_the_certificate_of_the_test(rabbitmq_process: RabbitmqProcess) -> None:
    context = ssl.create_default_context(cafile=rabbitmq_process.certificate.ca_file)
    port = urlsplit(rabbitmq_process.url(tls=True)).port
    with (
        socket.create_connection((HOST, port or 0), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        assert secure.version() in {"TLSv1.2", "TLSv1.3"}
