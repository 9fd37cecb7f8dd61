"""Headers that the decoder cannot read cost nobody the connection."""

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from reefmesh.broker.rabbitmq.transport import FAULT, announced, readable

FRAME_END = b"\xce"


def frame_of(table: bytes) -> tuple[bytes, bytes]:
    """Return the start and the rest of a frame with the properties of a message of 5 bytes, with these headers."""
    payload = b"\x00\x3c\x00\x00" + (5).to_bytes(8, "big") + b"\x20\x00" + len(table).to_bytes(4, "big") + table
    return b"\x02\x00\x01" + len(payload).to_bytes(4, "big"), payload + FRAME_END


def read(start: bytes, rest: bytes) -> ContentHeader:
    _, channel, frame = pamqp.frame.unmarshal(start + rest)
    assert isinstance(frame, ContentHeader)
    assert channel == 1
    return frame


def test_readable_headers_stay_as_they_are() -> None:
    start, rest = frame_of(b"\x01aS\x00\x00\x00\x01b")
    assert rest == readable(start, rest)
    assert read(start, rest).properties.headers == {"a": "b"}


@pytest.mark.parametrize(
    "table",
    [b"\x01aZ1234", b"\xff" * 4, b"\x01\xffS\x00\x00\x00\x01b", b"\x01aF\xff\xff\xff\xff"],
    ids=["type", "length", "name", "table"],
)
def test_headers_that_cannot_be_read_are_replaced_and_the_body_stays(table: bytes) -> None:
    start, rest = frame_of(table)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the decoder raises
        read(start, rest)
    replaced = readable(start, rest)
    assert len(rest) == len(replaced)
    header = read(start, replaced)
    assert header.body_size == 5


def test_tables_in_tables_without_end_are_replaced_with_the_reason() -> None:
    table = b""
    for _ in range(5_000):
        table = b"\x01aF" + len(table).to_bytes(4, "big") + table
    start, rest = frame_of(table)
    header = read(start, readable(start, rest))
    assert header.body_size == 5
    assert "cannot be read" in str((header.properties.headers or {})[FAULT])


def announcement(kind: type[Basic.Deliver | Basic.Return], key: bytes) -> tuple[bytes, bytes]:
    """Return the start and the rest of a frame that announces a message with this key."""
    place = b"k" * len(key)
    method = (
        Basic.Deliver("consumer-1", 7, True, "reef.telemetry", place.decode())
        if kind is Basic.Deliver
        else Basic.Return(312, "NO_ROUTE", "reef.telemetry", place.decode())
    )
    frame = pamqp.frame.marshal(method, 1)
    return frame[:7], frame[7 : -1 - len(key)] + key + FRAME_END


@pytest.mark.parametrize("kind", [Basic.Deliver, Basic.Return])
@given(key=st.binary(max_size=255))
def test_any_routing_key_can_be_read_afterwards_and_a_text_stays(kind: type[Basic.Deliver | Basic.Return], key: bytes) -> None:
    start, rest = announcement(kind, key)
    _, _, frame = pamqp.frame.unmarshal(start + announced(rest))
    assert isinstance(frame, Basic.Deliver | Basic.Return)
    assert (frame.exchange, len(frame.routing_key or "") > 0) == ("reef.telemetry", bool(key))
    if not key.decode(errors="replace").count("\ufffd"):
        assert key.decode() == frame.routing_key


@pytest.mark.parametrize("kind", [Basic.Deliver, Basic.Return])
def test_routing_key_that_is_no_text_costs_nobody_the_connection(kind: type[Basic.Deliver | Basic.Return]) -> None:
    start, rest = announcement(kind, b"25.\xff\xc3\xa9\xed\xa0\x80")
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the decoder raises
        pamqp.frame.unmarshal(start + rest)
    _, _, frame = pamqp.frame.unmarshal(start + announced(rest))
    assert isinstance(frame, Basic.Deliver | Basic.Return)
    assert "25.?\u00e9???" == frame.routing_key


@given(table=st.binary(max_size=200))
def test_any_headers_can_be_read_afterwards(table: bytes) -> None:
    start, rest = frame_of(table)
    header = read(start, readable(start, rest))
    assert header.body_size == 5
    assert isinstance(header.properties, Basic.Properties)
