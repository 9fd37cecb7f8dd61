"""What a device's MQTT message becomes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, HEADER_BYTES_LIMIT, Envelope
from reefmesh_ingest.domain.device_message import device_of, received_at, telemetry_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
IMEI = "867740030000003"


def telemetry(**named: object) -> Envelope:
    facts = {"message_id": "ID:1", "topic": f"buoys/{IMEI}/d2c/telemetry", "body": b"{}", "stamp": NOW, "reef_id": "amed"}
    return telemetry_of(**{**facts, "now": NOW, **named})  # type: ignore[arg-type]  # a test's keywords, one by one


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        (f"buoys/{IMEI}/d2c/telemetry", IMEI),
        (f"buoys/{IMEI}/d2c/response", IMEI),
        (f"buoys/{IMEI}/d2c", IMEI),
        (f"buoys/{IMEI}/d2c/telemetry/more", IMEI),
        ("buoys/a.b-c_1/d2c/telemetry", "a.b-c_1"),
        ("buoys/two words/d2c/telemetry", "two words"),
        ("buoys//d2c/telemetry", None),
        (f"buoys/{IMEI}/c2d/cmd", None),
        (f"buoys/{IMEI}/d2cx", None),
        (f"other/buoys/{IMEI}/d2c/telemetry", None),
        ("", None),
        (None, None),
    ],
)
def test_device_of_topic_is_its_second_level(topic: str | None, device: str | None) -> None:
    assert device == device_of(topic)


def test_device_longer_than_any_name_is_cut() -> None:
    assert device_of(f"buoys/{'9' * 5000}/d2c/telemetry") == "9" * 128


@pytest.mark.parametrize(
    "stamp",
    [None, datetime(1970, 1, 1, tzinfo=UTC), datetime(1999, 12, 31, tzinfo=UTC), NOW + timedelta(minutes=11)],
)
def test_received_at_of_a_stamp_that_cannot_be_right_is_now(stamp: datetime | None) -> None:
    assert received_at(stamp, NOW) == NOW


@pytest.mark.parametrize("waited", [timedelta(), timedelta(minutes=-9), timedelta(days=40)])
def test_received_at_is_the_brokers_however_long_it_waited(waited: timedelta) -> None:
    assert received_at(NOW - waited, NOW) == NOW - waited


def test_telemetry_keeps_the_bytes_and_carries_device_group_time_and_format() -> None:
    message = telemetry(body=b"\x00\xff not even text", stamp=NOW - timedelta(hours=3))
    assert message.body == b"\x00\xff not even text"
    assert (message.reef_id, message.schema_id, message.seq) == ("amed", "nemopi-mqtt/1", None)
    assert message.headers == {"device": IMEI, "received-at": "2026-03-01T09:00:00+00:00"}
    assert message.produced_at == NOW - timedelta(hours=3)


def test_telemetry_repeated_has_the_same_event_id_and_another_one_another() -> None:
    first, again, other = telemetry(), telemetry(now=NOW + timedelta(days=1)), telemetry(message_id="ID:2")
    assert first.event_id == again.event_id
    assert first.event_id != other.event_id


def test_telemetry_of_unknown_device_is_of_no_reef() -> None:
    message = telemetry(reef_id=None)
    assert (message.reef_id, message.headers["device"]) == ("unregistered", IMEI)


def test_telemetry_without_device_names_its_topic_instead() -> None:
    message = telemetry(topic="buoys//d2c/telemetry", reef_id=None)
    assert "device" not in message.headers
    assert message.headers["topic"] == "buoys//d2c/telemetry"


def test_telemetry_above_the_limit_is_cut_and_says_so() -> None:
    message = telemetry(body=b"x" * (BODY_BYTES_LIMIT + 5))
    assert (len(message.body), message.headers["body-bytes"]) == (BODY_BYTES_LIMIT, str(BODY_BYTES_LIMIT + 5))


@given(
    topic=st.none() | st.text() | st.text().map(lambda name: f"buoys/{name}/d2c/telemetry"),
    stamp=st.none() | st.datetimes(timezones=st.just(UTC)),
    body=st.binary(max_size=64),
    message_id=st.text(),
)
def test_telemetry_can_be_made_of_anything_and_is_within_every_limit(
    topic: str | None, stamp: datetime | None, body: bytes, message_id: str
) -> None:
    message = telemetry(topic=topic, stamp=stamp, body=body, message_id=message_id, reef_id=None)
    headers = message.to_headers()
    assert sum(len(name.encode()) + len(value.encode()) for name, value in headers.items()) <= HEADER_BYTES_LIMIT
    assert Envelope.from_headers(headers, body) == message
