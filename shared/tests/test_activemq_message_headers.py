"""An envelope survives its way through a frame's headers, and nothing else gets into it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reefmesh.broker.activemq.frames import SERVER_COMMANDS, FrameParser, encode
from reefmesh.broker.activemq.message_headers import carried, from_frame, text_of, to_frame
from reefmesh.broker.port import PublishRefused
from reefmesh.contracts.envelope import BODY_BYTES_LIMIT, HEADER_BYTES_LIMIT, Envelope

BROKERS_OWN = {
    "destination": "/queue/x",
    "message-id": "ID:b-1-2:3",
    "subscription": "s1",
    "ack": "ID:b:1",
    "expires": "0",
    "priority": "4",
    "persistent": "true",
    "redelivered": "true",
    "timestamp": "1700000000000",
    "JMSXGroupID": "reef-a",
    "original-destination": "/topic/y",
    "x-of-a-later-version": "1",
}
names = st.from_regex(r"[a-z][a-z0-9._-]{0,11}", fullmatch=True) | st.sampled_from(sorted(BROKERS_OWN))
reserved = {"event-id", "reef-id", "schema", "produced-at", "seq", "traceparent"}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def envelope(headers: dict[str, str], body: bytes = b"{}") -> Envelope:
    return Envelope(
        event_id="e/1",
        reef_id="reef-a",
        schema_id="readings/1",
        produced_at=datetime(2026, 3, 1, tzinfo=UTC),
        seq=3,
        headers=headers,
        body=body,
    )


@settings(deadline=None)  # a busy machine is no failure
@given(st.dictionaries(names.filter(lambda name: name not in reserved), texts, max_size=6), st.binary(max_size=50))
def test_any_facts_whatever_their_names_arrive_alone(headers: dict[str, str], body: bytes) -> None:
    """Law: what a broker adds is never a fact, and no fact is lost to a name that STOMP uses itself."""
    message = envelope(headers, body)
    frame = {**dict(to_frame(message)), **BROKERS_OWN}
    wire = encode("MESSAGE", frame.items(), body)
    (arrived,) = FrameParser(body_bytes_limit=1000, commands=SERVER_COMMANDS).feed(wire)
    assert message == from_frame(arrived.headers, arrived.body)


@settings(deadline=None)  # a busy machine is no failure
@given(texts)
def test_any_text_is_carried_without_what_the_broker_spoils(text: str) -> None:
    header = carried("name", text)
    assert text == text_of(dict([header]), "name")
    assert all(character <= "\uffff" and character != "\0" for character in header[1])


def test_message_is_persistent_and_in_its_reefs_group() -> None:
    """Without these two a broker may forget it, or hand its reef to two consumers."""
    headers = dict(to_frame(envelope({})))
    assert ("true", "reef-a") == (headers["persistent"], headers["JMSXGroupID"])


def test_agents_of_others_set_device_under_its_plain_name() -> None:
    """A buoy's agent need not know our prefixes to say who it is."""
    facts = {**dict(to_frame(envelope({}))), "device": "860000000000001", "received-at": "2026-03-01T00:00:00+00:00"}
    assert {"device": "860000000000001", "received-at": "2026-03-01T00:00:00+00:00"} == from_frame(facts, b"").headers


@pytest.mark.parametrize(
    "message",
    [envelope({}, b"x" * (BODY_BYTES_LIMIT + 1)), envelope({"device": "ü" * (HEADER_BYTES_LIMIT // 2)})],
    ids=["body", "headers"],
)
def test_too_large_is_refused_before_it_is_sent(message: Envelope) -> None:
    with pytest.raises(PublishRefused):
        to_frame(message)
