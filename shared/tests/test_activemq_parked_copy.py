"""The copy in the parking: the broker takes it, whatever the original holds."""

import hashlib
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from reefmesh.broker.activemq.frames import encode
from reefmesh.broker.activemq.message_headers import facts_of, text_of
from reefmesh.broker.activemq.outbound_message import OutboundMessage
from reefmesh.broker.activemq.parked_copy import BODY_SHA256, DETAIL, ParkedCopy
from reefmesh.broker.parking_quota import BODY_BYTES, SAMPLE_BYTES

BROKER_LINE_BYTES_LIMIT = 10_240
BROKER_HEADERS_LIMIT = 1_000
PARKED_AT = datetime(2026, 3, 1, tzinfo=UTC)


def copy_of(headers: dict[str, str], *, body: bytes = b"{}", detail: str = "") -> ParkedCopy:
    return ParkedCopy(headers=headers, body=body, reason="bad-envelope", detail=detail, attempts=0, parked_at=PARKED_AT)


def lines_of(message: OutboundMessage) -> list[bytes]:
    frame = encode("SEND", (("destination", message.destination), *message.headers), message.body)
    return frame.partition(b"\n\n")[0].split(b"\n")


texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.tuples(st.sampled_from([":", "\\", "a", "\ufffd", "\U0001f41f", "\n"]), st.integers(1, 30_000)).map(
        lambda it: it[0] * it[1]
    ),
)


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.dictionaries(texts.map(lambda text: f"h-{text}") | st.just("event-id") | st.just("device"), texts, max_size=40), texts
)
def test_copy_has_no_line_that_the_broker_refuses(headers: dict[str, str], detail: str) -> None:
    """Law: a parked message is settled. The broker closes the connection for a longer line, and the message comes again."""
    lines = lines_of(copy_of(headers, detail=detail).whole("/queue/Parking"))
    assert max(map(len, lines)) <= BROKER_LINE_BYTES_LIMIT
    assert sum(map(len, lines)) < 128 * 1024  # what we read back whole
    assert len(lines) < BROKER_HEADERS_LIMIT


def test_header_that_doubles_by_escaping_is_cut_and_those_of_the_envelope_come_first() -> None:
    many = {f"h-{number}": "x" * 9_000 for number in range(30)}
    kept = facts_of(dict(copy_of({**many, "event-id": "e", "device": ":" * 9_500}).whole("q").headers))
    assert ("e", ":" * 4_996) == (kept["event-id"], kept["device"])
    assert 5 < len(kept) < 10


def test_usual_copy_is_unchanged() -> None:
    headers = {"event-id": "e", "reef-id": "r", "h-x": "\u00fc:", "priority": "4"}
    copy = copy_of(headers, detail="why").whole("q")
    assert {"event-id": "e", "reef-id": "r", "x": "\u00fc:"} == facts_of(dict(copy.headers))
    assert ("why", b"{}") == (text_of(dict(copy.headers), DETAIL), copy.body)


def test_small_copy_keeps_the_beginning_and_proves_the_rest() -> None:
    body = bytes(range(256)) * 100
    small = copy_of({"event-id": "e"}, body=body).small("q")
    facts = dict(small.headers)
    assert body[:SAMPLE_BYTES] == small.body
    assert (str(len(body)), hashlib.sha256(body).hexdigest()) == (facts[BODY_BYTES], facts[BODY_SHA256])
