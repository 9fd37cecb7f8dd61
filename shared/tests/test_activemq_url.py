"""Addresses of ActiveMQ: what is accepted, and one line for every mistake, without the password."""

from pathlib import Path
from urllib.parse import quote

import pytest

from reefmesh.broker.activemq.url import ActiveMQAddress
from reefmesh.broker.network_address import Endpoint
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


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("stomp://ingest:secret@a,ingest:secret@b", "stand once, before the first host"),
        ("stomp+ssl://a:61614,stomp+ssl://b:61614", "the scheme stands once"),
        ("stomp://ingest:se?cret@a", "as %3F"),
        ("stomp://ingest:secret%ff@a", "not UTF-8"),
        ("stomp://ingest:%20secret@a", "password begins with a blank, which ActiveMQ cuts off"),
        ("stomp://ingest:secret%09@a", r"password ends with U\+0009"),
        ("stomp://ingest%20:secret@a", "user name ends with a blank"),
        (f"stomp://ingest:{'secret' * 1000}@a", "more than 4096 bytes"),
        ("stomp://2001:db8::1:61613", "IPv6 address stands in brackets"),
        ("stomp://[host]", "not an IPv6 address"),
        ("stomp://a..b", "not a host and port"),
        (f"stomp://{'x' * 64}", "not a host and port"),
        ('stomp://"a"', "not a host and port"),
        ("stomp://(a,b)", "not a host and port"),
        ("stomp://a?hearbeat_ms=3000", "is heartbeat_ms meant"),
        ("stomp+ssl://a?sslrootcert=/etc/ca.pem", "is ca meant"),
        ("stomp+ssl://a?transport.trustAll=true", "the certificate is always checked"),
        ("stomp://a?randomize=false", "each host is tried"),
        ("stomp://a?colour=blue", "there are ca, server_name"),
        ("stomp+ssl://a?ca=", "ca= is empty"),
        ("stomp+ssl://a?ca=/a&ca=/b", "ca= stands twice"),
    ],
)
def test_mistake_in_an_address_is_named(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        ActiveMQAddress.parse(url)
    assert "secret" not in str(caught.value)
    assert "cret@" not in str(caught.value)


def test_link_local_address_keeps_its_zone() -> None:
    (endpoint,) = ActiveMQAddress.parse("stomp://[fe80::1%25eth0]:7").endpoints
    assert Endpoint(host="fe80::1%eth0", port=7) == endpoint


def test_signs_in_a_password_are_read_as_they_were_written() -> None:
    password = "a\\n:b c%@\"'é日,/#"
    assert password == ActiveMQAddress.parse(f"stomp://ingest:{quote(password, safe='')}@a").password
