"""reefmesh's own format: whole batches fast, batches in trouble one reading and one channel at a time."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from reefmesh_ingest.domain.decode import Reason, Refusal, Report, decode
from reefmesh_ingest.domain.decode.telemetry import QUANTITIES_PER_READING_LIMIT

Make = Callable[..., bytes]


def decoded(payload: bytes) -> Report:
    report = decode("telemetry/1", payload)
    assert isinstance(report, Report), report
    return report


def changed(payload: bytes, place: int = 0, **reading: Any) -> bytes:
    document = json.loads(payload)
    document["readings"][place].update(reading)
    return json.dumps(document).encode()


def test_batch_without_trouble_is_read(telemetry: Make) -> None:
    report = decoded(telemetry([28.1, 28.2, None]))
    assert report.device == "agent-1"
    assert [each.values for each in report.observations] == [
        {"sea_water_temperature": 28.1},
        {"sea_water_temperature": 28.2},
        {"sea_water_temperature": None},
    ]
    assert report.refused == ()


def test_fault_without_a_value_is_a_missing_channel(telemetry: Make) -> None:
    payload = changed(telemetry([28.1]), channels={}, faults={"sea_water_temperature": "open circuit"})
    (observation,) = decoded(payload).observations
    assert observation.values == {"sea_water_temperature": None}
    assert observation.faults == {"sea_water_temperature": "open circuit"}


def test_unknown_channel_is_refused_alone_and_once_for_all_readings(telemetry: Make) -> None:
    document = json.loads(telemetry([28.1] * 5))
    for reading in document["readings"]:
        reading["channels"]["chlorophyll"] = 0.4
    report = decoded(json.dumps(document).encode())
    (part,) = report.refused
    assert (part.scope, part.reason, part.name, part.readings) == ("channel", Reason.UNKNOWN_QUANTITY, "chlorophyll", 5)
    assert all(each.values == {"sea_water_temperature": 28.1} for each in report.observations)


@pytest.mark.parametrize("name", ["depth", "observed", ""])
def test_extra_field_of_a_reading_refuses_that_reading_alone(telemetry: Make, name: str) -> None:
    report = decoded(changed(telemetry([28.1, 28.2]), **{name: 1}))
    (part,) = report.refused
    assert (part.scope, part.reason) == ("reading", Reason.BAD_READING)
    assert report.readings_refused == 1
    assert [each.values["sea_water_temperature"] for each in report.observations] == [28.2]


@pytest.mark.parametrize("observed_at", [None, 5, "", "yesterday", "2024-01-01T00:00:00", [1], "0000-01-01T00:00:00Z"])
def test_impossible_time_refuses_that_reading_alone(telemetry: Make, observed_at: Any) -> None:
    report = decoded(changed(telemetry([28.1, 28.2]), observed_at=observed_at))
    assert report.readings_refused == 1
    assert len(report.observations) == 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("28.1", Reason.NOT_A_NUMBER),
        (True, Reason.NOT_A_NUMBER),
        ([], Reason.NOT_A_NUMBER),
        (float("nan"), Reason.NUMBER_OUT_OF_RANGE),
        (float("inf"), Reason.NUMBER_OUT_OF_RANGE),
        (1e10, Reason.NUMBER_OUT_OF_RANGE),
        (10**500, Reason.NUMBER_OUT_OF_RANGE),
    ],
)
def test_impossible_number_refuses_that_channel_alone(telemetry: Make, value: Any, reason: Reason) -> None:
    channels = {"sea_water_temperature": value, "sea_water_speed": 0.3}
    report = decoded(changed(telemetry([28.1]), channels=channels))
    assert [(part.name, part.reason) for part in report.refused] == [("sea_water_temperature", reason)]
    assert report.observations[0].values == {"sea_water_speed": 0.3}


def test_impossible_position_is_refused_alone(telemetry: Make) -> None:
    report = decoded(changed(telemetry([28.1]), position={"lat": 91.0, "lon": 0.0}))
    assert [part.reason for part in report.refused] == [Reason.BAD_POSITION]
    assert report.observations[0].values == {"sea_water_temperature": 28.1}


@pytest.mark.parametrize(
    "frame",
    [
        {"schema": "telemetry/2"},
        {"schema": None},
        {"buoy_id": "no such name!"},
        {"seq": "17"},
        {"seq": -1},
        {"sent_at": 0},
        {"firmware": "1.0"},
        {"readings": []},
        {"readings": {}},
        {"readings": None},
    ],
)
def test_trouble_of_the_whole_batch_refuses_it(telemetry: Make, frame: dict[str, Any]) -> None:
    refused = decode("telemetry/1", json.dumps(json.loads(telemetry([28.1])) | frame).encode())
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.WRONG_STRUCTURE
    assert refused.detail


def test_more_readings_than_allowed_are_refused_whole(telemetry: Make) -> None:
    refused = decode("telemetry/1", telemetry([28.1] * 501))
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.WRONG_STRUCTURE


def test_more_channels_than_allowed_refuse_the_reading(telemetry: Make) -> None:
    channels = {f"c{number}": 1.0 for number in range(QUANTITIES_PER_READING_LIMIT + 1)}
    assert decoded(changed(telemetry([28.1, 28.2]), channels=channels)).readings_refused == 1


def test_many_different_troubles_are_bounded(telemetry: Make) -> None:
    document = json.loads(telemetry([28.1] * 400))
    for place, reading in enumerate(document["readings"]):
        reading["channels"] = {f"c{place}-{number}": 1.0 for number in range(10)}
    parts = decoded(json.dumps(document).encode()).refused
    assert len(parts) <= 65
    assert sum(part.readings for part in parts) == 4000


def test_offsets_from_utc_are_understood(telemetry: Make) -> None:
    east = decoded(changed(telemetry([28.1]), observed_at="2024-01-01T08:00:00+08:00"))
    utc = decoded(changed(telemetry([28.1]), observed_at="2024-01-01T00:00:00Z"))
    assert east.observations[0].observed_us == utc.observations[0].observed_us
