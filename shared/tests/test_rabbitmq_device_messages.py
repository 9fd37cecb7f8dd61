"""What a message of a device says at RabbitMQ, without a broker."""

from datetime import UTC, datetime

import pytest

from reefmesh.broker.rabbitmq.device_messages import fingerprint_of, instant_of, routing_key_of, sender_of, topic_of

IMEI = "867740030000003"
KEY = f"buoys.{IMEI}.d2c.telemetry"


def test_topic_is_that_of_the_routing_key() -> None:
    topic = f"buoys/{IMEI}/d2c/telemetry"
    assert (KEY, topic) == (routing_key_of(topic), topic_of(KEY))


@pytest.mark.parametrize(
    ("routing_key", "headers", "user_id", "sender"),
    [
        (KEY, {}, None, IMEI),
        (KEY, {}, "", IMEI),
        (KEY, {"x-mqtt-publish-qos": 1}, None, IMEI),
        (KEY, {}, "operator", "operator"),
        (KEY, {"CC": [KEY]}, None, None),
        (KEY, {"BCC": []}, None, None),
        (KEY, {"x-death": [{}]}, None, None),
        (KEY, {"x-death": [{}]}, "scoring", "scoring"),
        ("reef.telemetry", {}, None, None),
        ("buoys", {}, None, None),
        ("", {}, None, None),
    ],
)
def test_sender_is_whom_the_broker_states_or_the_device_of_the_topic_and_nobody_for_what_was_relayed(
    routing_key: str, headers: dict[str, object], user_id: str | None, sender: str | None
) -> None:
    assert sender == sender_of(routing_key, headers, user_id)


@pytest.mark.parametrize("stamp", [None, "1", -1, 10**14, 1.5])
def test_time_that_is_none_is_not_believed(stamp: object) -> None:
    assert None is instant_of({"timestamp_in_ms": stamp})


def test_time_is_in_milliseconds() -> None:
    assert datetime(2026, 12, 1, 7, 0, 0, 250_000, tzinfo=UTC) == instant_of({"timestamp_in_ms": 1_796_108_400_250})


def test_fingerprint_is_of_device_and_bytes() -> None:
    same = fingerprint_of(KEY, b"x")
    assert same == fingerprint_of(KEY, b"x")
    assert 3 == len({same, fingerprint_of(KEY, b"y"), fingerprint_of("buoys.1.d2c.telemetry", b"x")})
