"""Lines of sources: what passes is taken by ingest's own decoder, what does not is named."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reefmesh_buoy.measurement import BadLine, read_line
from reefmesh_buoy.report import body_of
from reefmesh_ingest.domain.decode import Report, decode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LINES = st.fixed_dictionaries(
    {"channels": st.dictionaries(st.sampled_from(["sea_water_temperature", "coffee"]) | st.text(), JSON, max_size=3)},
    optional={
        "faults": st.dictionaries(st.just("sea_water_temperature"), st.text()) | JSON,
        "position": st.fixed_dictionaries({"lat": st.floats(-100, 100), "lon": st.floats()}) | JSON,
        "observed_at": st.datetimes().map(lambda at: at.isoformat() + "Z") | st.text() | JSON,
    },
)


@settings(max_examples=60)
@given(LINES)
def test_line_that_is_a_measurement_makes_a_report_that_ingest_takes(line: Any) -> None:
    try:
        measurement = read_line(json.dumps(line).encode())
    except BadLine:
        return
    at_us = 1 if measurement.observed_us is None else measurement.observed_us
    report = decode("telemetry/1", body_of("agent-1", 1, 1, [(at_us, measurement.content_json)]))
    assert isinstance(report, Report), report
    assert [part for part in report.refused if part.scope != "channel" or part.name == "position"] == []
    assert len(report.observations) == 1
    assert report.observations[0].observed_us == at_us


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_measurement_or_a_bad_line(line: bytes) -> None:
    with contextlib.suppress(BadLine):
        assert read_line(line).content_json.startswith('{"channels":')


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"28.4", '"channels"'),
        (b'{"channels": {"t": "28.4"}}', "not a number"),
        (b'{"channels": {"t": NaN}}', "NaN"),
        (b'{"channels": {"t": 1e999}}', "not a number"),
        (b'{"channels": {}}', "neither"),
        (b'{"channels": {"t": 1}, "colour": 1}', "colour"),
        (b'{"channels": {"t": 1}, "observed_at": "2026-05-28T12:00:00"}', "offset"),
        (b'{"channels": {"t": 1}, "position": {"lat": 91, "lon": 0}}', "Earth"),
        (b"[" * 10_000, "JSON"),
        (b" " * 20_000, "longer"),
    ],
)
def test_bad_line_says_what_is_wrong(line: bytes, words: str) -> None:
    with pytest.raises(BadLine, match=words):
        read_line(line)
