"""Addresses of ActiveMQ: what is accepted, and one line for every mistake, without the password."""

from pathlib import Path

import pytest

from reefmesh.broker.activemq.url import ActiveMQAddress, Endpoint
from reefmesh.errors import ConfigurationError


def test_full_address_is_read_whole() -> None:
    address = ActiveMQAddress.parse(
        "stomp+ssl://ingest:p%40ss%2Fw:rd@host-1:61614,host-2,[::1]:7?ca=/etc/ca.pem&server_name=broker&heartbeat_ms=5000"
        "&connect_timeout_ms=2000&confirm_timeout_ms=30000&host=mesh"
    )
    assert address == ActiveMQAddress(
        endpoints=(
            Endpoint(host="host-1", port=61614),
            Endpoint(host="host-2", port=61614),
            Endpoint(host="::1", port=7),
        ),
        tls=True,
        user="ingest",
        password="p@ss/w:rd",
        ca_file="/etc/ca.pem",
        server_name="broker",
        virtual_host="mesh",
        heartbeat_seconds=5.0,
        connect_timeout_seconds=2.0,
        confirm_timeout_seconds=30.0,
    )
    assert "p@ss" not in repr(address)


def test_short_address_has_defaults() -> None:
    address = ActiveMQAddress.parse("stomp://localhost")
    assert (Endpoint(host="localhost", port=61613),) == address.endpoints
    assert (address.tls, address.user, address.ssl_context()) == (False, "", None)


@pytest.mark.parametrize(
    "url",
    [
        "stomp:localhost",
        "amqp://localhost",
        "stomp://",
        "stomp://user:secret@",
        "stomp://user:secret@host:port",
        "stomp://user:secret@host:0",
        "stomp://user:secret@host:65536",
        "stomp://user:secret@host,,other",
        "stomp://user:secret@[::1",
        "stomp://user:secret@host/queue",
        "stomp://user:secret@host?heartbeat=3",
        "stomp://user:secret@host?heartbeat_ms=soon",
        "stomp://user:secret@host?heartbeat_ms=1",
        "stomp://user:secret@host?ca=/etc/ca.pem",
        "stomp://user:secret%0alogin:root@host",
    ],
)
def test_mistake_in_an_address_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ActiveMQAddress.parse(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "no certificate", ""])
def test_authority_file_that_is_none_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        ActiveMQAddress.parse(f"stomp+ssl://host?ca={file}").ssl_context()
