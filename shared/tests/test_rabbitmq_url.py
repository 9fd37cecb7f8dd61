"""Addresses of RabbitMQ: what is accepted, and one line for every mistake, without the password."""

import pytest

from reefmesh.broker.network_address import Endpoint
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.errors import ConfigurationError


def test_full_address_is_read_whole() -> None:
    address = RabbitMQAddress.parse(
        "amqps://ingest:p%40ss%2Fw:rd@host-1:5672,host-2,[::1]:7/me%2Fsh?ca=/etc/ca.pem&server_name=broker&heartbeat_ms=5000"
        "&connect_timeout_ms=2000&confirm_timeout_ms=30000&shards=16"
    )
    assert address == RabbitMQAddress(
        endpoints=(
            Endpoint(host="host-1", port=5672),
            Endpoint(host="host-2", port=5671),
            Endpoint(host="::1", port=7),
        ),
        tls=True,
        user="ingest",
        password="p@ss/w:rd",
        virtual_host="me/sh",
        ca_file="/etc/ca.pem",
        server_name="broker",
        heartbeat_seconds=5,
        connect_timeout_seconds=2.0,
        confirm_timeout_seconds=30.0,
        shards=16,
    )
    assert "p@ss" not in repr(address)


@pytest.mark.parametrize("url", ["amqp://localhost", "amqp://localhost/"])
def test_short_address_has_defaults(url: str) -> None:
    address = RabbitMQAddress.parse(url)
    assert (Endpoint(host="localhost", port=5672),) == address.endpoints
    assert (address.tls, address.virtual_host, address.shards, address.ssl_context()) == (False, "/", 64, None)


@pytest.mark.parametrize(
    "url",
    [
        "amqp:localhost",
        "stomp://localhost",
        "amqp://",
        "amqp://user:secret@",
        "amqp://:secret@host",
        "amqp://user:secret@host:port",
        "amqp://user:secret@host:0",
        "amqp://user:secret@host:65536",
        "amqp://user:secret@host,,other",
        "amqp://user:secret@host,user:secret@other",
        "amqp://user:sec/ret@host",
        "amqp://user:sec?ret@host",
        "amqp://user:secret@[::1",
        "amqp://user:secret@::1",
        "amqp://user:secret@host/a/b",
        "amqp://user:secret@host/%ff",
        "amqp://user:secret@host?heartbeat=3",
        "amqp://user:secret@host?heartbeat_ms=1500",
        "amqp://user:secret@host?heartbeat_ms=0",
        "amqp://user:secret@host?shards=0",
        "amqp://user:secret@host?shards=1000",
        "amqp://user:secret@host?shards=",
        "amqp://user:secret@host?shards=4&shards=5",
        "amqp://user:secret@host?ca=/etc/ca.pem",
        "amqp://user:secret%00@host",
        "amqp://user:%ff@host",
    ],
)
def test_mistake_is_one_line_without_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        RabbitMQAddress.parse(url)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("parameter", "meant"),
    [("vhost=a", "path"), ("heartbeat=3", "heartbeat_ms"), ("verify=0", "always checked"), ("shard=3", "shards")],
)
def test_parameter_of_other_clients_the_error_says_what_is_meant(parameter: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=meant):
        RabbitMQAddress.parse(f"amqps://host?{parameter}")


def test_password_from_elsewhere_replaces_the_one_of_the_address() -> None:
    assert RabbitMQAddress.parse("amqp://u:old@h").with_password("n%w@/:").password == "n%w@/:"
