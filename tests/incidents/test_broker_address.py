"""Addresses of the broker that are wrong on the wire: its other ports, and a connector that is full."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.port import BrokerUnavailable
from reefmesh.errors import ConfigurationError
from reefmesh.service.exit import EXIT_CONFIGURATION, EXIT_UNAVAILABLE
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.ports import HOST, free_port
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_incidents.lone_ingest import LoneIngest

CONNECTIONS = 2
STARTS_LIMIT = 5
OPENWIRE_PORT = free_port()
FULL_PORT = free_port()


def with_connectors(broker_xml: str) -> str:
    more = (
        f'<transportConnector name="openwire" uri="tcp://{HOST}:{OPENWIRE_PORT}"/>'
        f'<transportConnector name="full" uri="stomp://{HOST}:{FULL_PORT}?maximumConnections={CONNECTIONS}"/>'
    )
    return broker_xml.replace("<transportConnectors>", f"<transportConnectors>{more}")


@pytest.fixture(scope="module")
def broker() -> Iterator[ActivemqProcess]:
    try:
        with local_activemq(edited=with_connectors) as process:
            yield process
    except ComponentMissing as missing:
        give_up(missing)


@asynccontextmanager
async def logged_in(broker: ActivemqProcess, port: int, parameters: str = "", *, tls: bool = False) -> AsyncIterator[Session]:
    url = broker.url(tls=tls, parameters=parameters)
    own = broker.ports.stomp_tls if tls else broker.ports.stomp
    address = ActiveMQAddress.parse(url.replace(f"{HOST}:{own}", f"{HOST}:{port}"))
    session = await Session.open(address, address.endpoints[0], address.ssl_context())
    try:
        yield session
    finally:
        await session.close()


@pytest.mark.row(9)
def test_port_for_java_clients_ends_the_start_with_one_line(
    broker: ActivemqProcess, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    url = broker.url("ingest").replace(f":{broker.ports.stomp}", f":{OPENWIRE_PORT}")
    ingest = LoneIngest(broker_url=url, folder=tmp_path)
    ended = EXIT_UNAVAILABLE
    for _ in range(STARTS_LIMIT):  # a busy broker may hang up over our greeting before its own is out: then it is tried again
        ingest.process.start()
        try:
            ended = ingest.process.wait_until_ended(60.0)
        finally:
            ingest.process.kill()
        if ended != EXIT_UNAVAILABLE:
            break
    assert ended == EXIT_CONFIGURATION
    lines = [line for line in ingest.process.log.read_text().splitlines() if line.startswith("reefmesh: ")]
    assert "speaks OpenWire" in lines[-1]
    assert "61613" in lines[-1]
    measured("broker: the port for Java clients is named (78), as are their addresses (failover:(...), tcp://, ssl://)")


async def test_tls_to_a_port_without_it_is_named(broker: ActivemqProcess) -> None:
    # ActiveMQ waits for the rest of our frame, or answers where the random bytes of a greeting happen to end one.
    named = r"is that its port for TLS\?|does not speak TLS there"
    with pytest.raises((BrokerUnavailable, ConfigurationError), match=named):
        async with logged_in(broker, broker.ports.stomp, "connect_timeout_ms=1000", tls=True):
            pass


async def test_full_connector_is_transient_and_not_the_passwords_fault(broker: ActivemqProcess) -> None:
    async with logged_in(broker, FULL_PORT), logged_in(broker, FULL_PORT):
        with pytest.raises(BrokerUnavailable, match=r"had not answered the login|refused the connection") as caught:
            async with logged_in(broker, FULL_PORT, "connect_timeout_ms=5000"):
                pass
    assert "\n" not in str(caught.value)
    async with asyncio.timeout(60):
        while not await is_free(broker):  # it counts a connection until it has noticed its end
            pass


async def is_free(broker: ActivemqProcess) -> bool:
    try:
        async with logged_in(broker, FULL_PORT, "connect_timeout_ms=5000"):
            return True
    except BrokerUnavailable:
        return False
