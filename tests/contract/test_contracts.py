"""What is on the wire stays on the wire: golden samples of every body, and a fingerprint that refuses silent changes."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from reefmesh.contracts import alerts, exclusion, quarantine, readings, schema, scores
from reefmesh.contracts.contract import Instant
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.errors import PoisonMessage

GOLDEN = Path(__file__).parent / "golden"
READERS: Mapping[str, TypeAdapter[Any]] = {
    **readings.READERS,
    **scores.READERS,
    **alerts.READERS,
    **quarantine.READERS,
    **exclusion.READERS,
}

FINGERPRINTS: Mapping[str, str] = {
    "alert/1": "d0c0b70ad72ad9e5",
    "alert/2": "251dd9ae81a1b04b",
    "exclusion/1": "f3ce7f112fae93dc",
    "quarantine/1": "76296ab48ca3776f",
    "readings/1": "b5f471af847aa2e2",
    "readings/2": "ab198abf1d6de2a7",
    "scores/1": "f758bb0900802997",
    "scores/2": "500fc15d2ebde4e8",
}
"""SHA-256 (first 16 digits) of each body's JSON schema without its prose, and without the number of an older major at the end
of its classes' names: they had none while it was the newest, and neither is on the wire."""


def envelope(schema_id: str, body: bytes) -> Envelope:
    return Envelope.model_validate(
        {
            "event_id": event_id_of("test", schema_id),
            "reef_id": "amed-wall",
            "schema_id": schema_id,
            "produced_at": "2026-03-01T18:30:03Z",
            "body": body,
            "seq": 1,
        }
    )


def sample(schema_id: str) -> bytes:
    return (GOLDEN / f"{schema_id.replace('/', '-')}.json").read_bytes()


@pytest.mark.parametrize("schema_id", sorted(READERS))
def test_golden_sample_is_read_and_written_unchanged(schema_id: str) -> None:
    """Every body that was ever sent can be read, and means the same when it is written again."""
    body = schema.read_body(envelope(schema_id, sample(schema_id)), READERS)
    assert json.loads(READERS[schema_id].dump_json(body)) == json.loads(sample(schema_id))


@pytest.mark.parametrize("schema_id", sorted(READERS))
def test_contract_does_not_change_under_its_version(schema_id: str) -> None:
    """Bodies are closed: any change of fields is a new major. Add ``name/2`` beside ``name/1`` instead of editing it."""
    adapter, major = READERS[schema_id], schema_id.rpartition("/")[2]
    named = re.sub(rf"(?<=[a-z]){major}\b", "", json.dumps(adapter.json_schema()))
    definition = json.dumps(_bare(json.loads(named)), sort_keys=True).encode()
    assert hashlib.sha256(definition).hexdigest()[:16] == FINGERPRINTS[schema_id]


def _bare(node: Any) -> Any:
    """A JSON schema without its prose: words may get better under the same version."""
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items() if key not in ("description", "title")}
    return [_bare(each) for each in node] if isinstance(node, list) else node


@pytest.mark.parametrize("schema_id", sorted(READERS))
def test_unknown_major_version_is_refused_not_guessed(schema_id: str) -> None:
    name = schema_id.partition("/")[0]
    with pytest.raises(PoisonMessage, match=f"unknown-schema: {name}/99 is not one of"):
        schema.read_body(envelope(f"{name}/99", sample(schema_id)), READERS)


def test_score_of_the_older_major_means_the_same_as_one_of_the_newer() -> None:
    """What it did not say is None, or empty; all that it said stands."""
    older = json.loads(sample(schema.SCORES_1))
    newer = scores.current_score(schema.read_body(envelope(schema.SCORES_1, sample(schema.SCORES_1)), scores.READERS))
    said = json.loads(newer.model_dump_json())
    unsaid_parts = said["carbonate"].pop("days"), said["dive"].pop("instants"), said["dive"].pop("all_instants")
    assert unsaid_parts == ([], [], False)
    assert said["dive"].pop("limits") is None
    assert (said.pop("time_zone"), said.pop("failed_runs"), said.pop("arrivals")) == (None, [], [])
    for buoy in said["buoys"]:
        assert [buoy.pop(name) for name in ("battery_at", "position_at", "sensors")] == [None] * 3
    for day in (said["heat"]["latest"], *said["heat"]["changed"]):
        assert day.pop("day_status") == "ok"
        unsaid = ("suspect_share", "whole_days", "filled_days", "missing_days", "suspect_days")
        assert [day.pop(name) for name in unsaid] == [None] * 5
    assert said == older


def test_score_of_the_newer_major_is_taken_as_it_is() -> None:
    score = schema.read_body(envelope(schema.SCORES_2, sample(schema.SCORES_2)), scores.READERS)
    assert scores.current_score(score) is score


@pytest.mark.parametrize("schema_id", sorted(READERS))
def test_extra_field_is_refused_with_its_place(schema_id: str) -> None:
    body = json.dumps({**json.loads(sample(schema_id)), "surprise": 1}).encode()
    with pytest.raises(PoisonMessage, match="bad-body: surprise: "):
        schema.read_body(envelope(schema_id, body), READERS)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused(number: str) -> None:
    body = sample(schema.READINGS_1).replace(b"30.294", number.encode())
    with pytest.raises(PoisonMessage, match="bad-body"):
        schema.read_body(envelope(schema.READINGS_1, body), READERS)


def test_envelope_survives_its_headers() -> None:
    message = envelope(schema.READINGS_1, b"{}").model_copy(
        update={"headers": {"device": "a: b\nc\\d \N{FISH}"}, "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
    )
    assert Envelope.from_headers(message.to_headers(), message.body) == message


@pytest.mark.parametrize("broken", [{"reef-id": "Not A Reef"}, {"seq": "0"}, {"produced-at": "yesterday"}, {"event-id": ""}])
def test_broken_envelope_is_poison_with_a_reason(broken: dict[str, str]) -> None:
    headers = envelope(schema.READINGS_1, b"{}").to_headers() | broken
    with pytest.raises(PoisonMessage, match="bad-envelope"):
        Envelope.from_headers(headers, b"{}")


@pytest.mark.parametrize(
    ("cause", "step", "event_id"),
    [
        ("message-1", "readings-0", "8129fe83-e5f9-568e-a0a0-4cdbe9cb3613"),
        ("6f5c1f6e-2b0a-5c41-9d3a-0d7c6f0a7c55", "alert-2", "37d4532a-892c-57ad-b15b-9a59b460ac57"),
        ("p\u00e9ch\u00e9\n", "\u00e9", "a07d4c0a-b71b-5c06-92e0-36990160b809"),
    ],
)
def test_event_id_of_a_cause_and_a_step_never_changes(cause: str, step: str, event_id: str) -> None:
    """Databases and queues hold these ids: another id for the same output would be applied a second time (law 4)."""
    assert event_id == event_id_of(cause, step)


INSTANTS: TypeAdapter[datetime] = TypeAdapter(Instant)


@given(st.datetimes(min_value=datetime(1985, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001 - the offset is drawn apart
def test_instants_of_any_offset_are_the_same_instants_in_utc(wall: datetime, offset_minutes: int) -> None:
    instant = wall.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    for read in (INSTANTS.validate_python(instant), INSTANTS.validate_json(json.dumps(instant.isoformat()))):
        assert (read, read.utcoffset()) == (instant, timedelta(0))


@pytest.mark.parametrize("text", ["2026-03-01T18:30:03", "2026-03-01", "yesterday", ""])
def test_instant_without_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="instant with its offset"):
        INSTANTS.validate_json(json.dumps(text))


def test_instant_in_utc_is_taken_as_it_is() -> None:
    now = datetime.now(UTC)
    assert INSTANTS.validate_python(now) is now
