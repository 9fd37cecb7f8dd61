"""Addresses as other clients of brokers write them: the line that refuses one has the right one, without its secrets."""

import pytest

from reefmesh.broker.connect import engine_of
from reefmesh.broker.foreign_address import stomp_address
from reefmesh.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("failover:(stomp+ssl://a:61614,stomp+ssl://b:61614)", "stomp+ssl://a,b"),
        ("failover://(ssl://u:secret@a:61617,ssl://u:secret@b:61617)?randomize=false", "stomp+ssl://a,b"),
        ("failover:(tcp://a:61616,tcp://b:61616)", "stomp://a,b"),
        ("activemq+ssl://u:secret@a:61614,b:61614", "stomp+ssl://a,b"),
        ("tcp://a:61616", "stomp://a"),
        ("ssl://[::1]:61617", "stomp+ssl://[::1]"),
        ("stomp+nio+ssl://a:61614/", "stomp+ssl://a"),
        ("FAILOVER:(SSL://a)", "stomp+ssl://a"),
    ],
)
def test_address_of_another_client_is_refused_with_the_one_meant(url: str, meant: str) -> None:
    assert meant == stomp_address(url)
    with pytest.raises(ConfigurationError) as caught:
        engine_of(url)
    assert f"is {meant} meant?" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://a:8162", "vm://localhost", "failover:()", "tcp://", "amqp://a"])
def test_address_of_no_known_client_has_no_other_meaning(url: str) -> None:
    assert stomp_address(url) is None
