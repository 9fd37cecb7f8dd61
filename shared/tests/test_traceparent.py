"""W3C Trace Context: what is followed, and what a message without a trace starts."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefmesh.contracts.envelope import Envelope
from reefmesh.observability.traceparent import is_valid, trace_id_of, traceparent_from, traceparent_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


def message(traceparent: str | None, *, event_id: str = "e-1") -> Envelope:
    return Envelope(
        event_id=event_id,
        reef_id="atoll",
        schema_id="x/1",
        produced_at=datetime(2026, 3, 1, tzinfo=UTC),
        body=b"",
        traceparent=traceparent,
    )


@pytest.mark.parametrize("traceparent", [GOOD, f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-more"])
def test_trace_that_can_be_followed_is_followed_unchanged(traceparent: str) -> None:
    assert traceparent_of(message(traceparent)) == traceparent
    assert trace_id_of(traceparent) == TRACE


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"{GOOD}\n",
    ],
)
def test_message_without_a_trace_to_follow_starts_one_named_by_its_event(broken: str | None) -> None:
    """A redelivery, with the same event id, belongs to the same trace; nobody recorded it, so it is not sampled."""
    started = traceparent_of(message(broken))
    assert started == traceparent_from("e-1")
    assert (is_valid(started), started[-3:]) == (True, "-00")


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_traces_of_different_events_are_different_and_valid(first: str, second: str) -> None:
    assert is_valid(traceparent_from(first))
    assert (trace_id_of(traceparent_from(first)) == trace_id_of(traceparent_from(second))) == (first == second)
