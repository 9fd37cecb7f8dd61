"""The 2021 generation's documents, with every oddity that WIRE names."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reefmesh_ingest.domain.decode import Reason, Refusal, Report, decode
from reefmesh_ingest.domain.decode.values import us_of

AT = datetime(2021, 8, 3, 1, 30, 19, 10644, tzinfo=UTC)
Make = Callable[..., bytes]
WATER = ("KIT0021", "WATER_TEMPERATURE", "C", "26.22")


def decoded(payload: bytes) -> Report:
    report = decode("nemopi-2021/1", payload)
    assert isinstance(report, Report), report
    return report


def test_report_keeps_raw_number_and_the_devices_factor(report_2021: Make) -> None:
    report = decoded(report_2021((*WATER, "1.02"), at=AT))
    (observation,) = report.observations
    (sample,) = observation.samples
    assert report.device == "ABCDEF0123456789"
    assert observation.observed_us == us_of(AT)
    assert (sample.source, sample.hint, sample.unit, sample.raw, sample.factor) == (
        "KIT0021",
        "WATER_TEMPERATURE",
        "C",
        26.22,
        1.02,
    )


def test_report_says_what_the_device_says_of_itself(report_2021: Make) -> None:
    observation = decoded(report_2021(WATER)).observations[0]
    assert observation.position == (-8.1, 114.5)
    assert observation.status is not None
    assert (observation.status.battery_percent, observation.status.signal_dbm) == (52.85, -95.4)
    assert observation.status.detail["ip_address"] == "10.0.0.1"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-8-sig"])
def test_report_is_read_in_every_encoding_of_the_field(report_2021: Make, encoding: str) -> None:
    text = report_2021(WATER).decode()
    assert decoded(text.encode(encoding)).observations[0].samples[0].raw == 26.22


def test_big_endian_utf16_with_its_mark_is_read(report_2021: Make) -> None:
    payload = b"\xfe\xff" + report_2021(WATER).decode().encode("utf-16-be")
    assert decoded(payload).observations[0].samples[0].raw == 26.22


def test_utf16_cut_in_half_is_refused_as_no_text(report_2021: Make) -> None:
    refused = decode("nemopi-2021/1", report_2021(WATER).decode().encode("utf-16")[:-1])
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.NOT_TEXT


def test_error_sentence_in_place_of_a_number_is_a_fault(report_2021: Make) -> None:
    report = decoded(report_2021(("KIT0021", "WATER_TEMPERATURE", "C", "Sensor not found")))
    (sample,) = report.observations[0].samples
    assert (sample.raw, sample.fault) == (None, "Sensor not found")
    assert report.refused == ()


def test_error_text_beside_a_number_keeps_both(report_2021: Make) -> None:
    (sample,) = decoded(report_2021((*WATER, None, "checksum retried"))).observations[0].samples
    assert (sample.raw, sample.fault) == (26.22, "checksum retried")


def test_number_that_is_a_number_is_taken_too(report_2021: Make) -> None:
    assert decoded(report_2021(("SEN0169", "PH", "PH", 8))).observations[0].samples[0].raw == 8.0


def test_list_where_one_number_belongs_refuses_the_channel(report_2021: Make) -> None:
    report = decoded(report_2021(WATER, ("SEN0169", "PH", "PH", ["8.1", "8.2"])))
    assert [(part.name, part.reason) for part in report.refused] == [("SEN0169", Reason.NOT_A_NUMBER)]
    assert len(report.observations[0].samples) == 1


def test_position_list_beats_the_documents_own(report_2021: Make) -> None:
    report = decoded(report_2021(("TEL0097", "POSITION", "Degree", ["-8.2", "115.2"])))
    assert report.observations[0].position == (-8.2, 115.2)


def test_position_without_a_lock_is_a_note_not_a_refusal(report_2021: Make) -> None:
    report = decoded(report_2021(("TEL0097", "POSITION", "Degree", "No fix"), latitude=None, longitude=None))
    observation = report.observations[0]
    assert observation.position is None
    assert observation.status is not None
    assert observation.status.detail["TEL0097 fault"] == "No fix"
    assert report.refused == ()


def test_sensors_that_are_not_scored_stay_readable(report_2021: Make) -> None:
    observation = decoded(report_2021(("SEN0236", "AIR_PRESSURE", ["hPa", "C", "RH"], ["1009", "29", "80"]))).observations[0]
    assert observation.status is not None
    assert observation.status.detail["SEN0236 AIR_PRESSURE"] == '["1009","29","80"] hPa, C, RH'
    assert observation.samples == ()


@pytest.mark.parametrize("correction", ["much", 0, -1, "1e9", [1], True])
def test_impossible_correction_refuses_the_channel(report_2021: Make, correction: Any) -> None:
    report = decoded(report_2021((*WATER, correction)))
    assert [part.reason for part in report.refused] == [Reason.BAD_CORRECTION]
    assert report.observations[0].samples == ()


@pytest.mark.parametrize("at", ["yesterday", "2021-08-03T01:30:19", 5, "2021-13-45T00:00:00Z", "9" * 1000])
def test_unreadable_time_refuses_the_channel(report_2021: Make, at: Any) -> None:
    payload = json.loads(report_2021(WATER))
    payload["measurements"][0]["datetime"] = at
    report = decoded(json.dumps(payload).encode())
    assert [part.reason for part in report.refused] == [Reason.BAD_TIME]


def test_measurements_of_one_report_become_one_reading_at_the_first_instant(report_2021: Make) -> None:
    payload = json.loads(report_2021(WATER, ("SEN0169", "PH", "PH", "8.1"), ("SEN0175", "UV", "mW/cm2", "1"), at=AT))
    for seconds, measurement in enumerate(payload["measurements"]):
        measurement["datetime"] = (AT + timedelta(seconds=60 * (2 - seconds))).isoformat()
    report = decoded(json.dumps(payload).encode())
    assert [observation.observed_us for observation in report.observations] == [us_of(AT)]


def test_measurements_hours_apart_become_readings_of_their_own(report_2021: Make) -> None:
    payload = json.loads(report_2021(WATER, WATER, at=AT))
    payload["measurements"][1]["datetime"] = (AT - timedelta(hours=2)).isoformat()
    report = decoded(json.dumps(payload).encode())
    times = [observation.observed_us for observation in report.observations]
    assert times == [us_of(AT - timedelta(hours=2)), us_of(AT)]
    batteries = [observation.status.battery_percent for observation in report.observations if observation.status]
    assert batteries == [None, 52.85]


def test_report_without_measurements_still_says_the_buoy_lives(report_2021: Make) -> None:
    report = decoded(report_2021())
    (observation,) = report.observations
    assert observation.observed_us is None
    assert observation.status is not None


@pytest.mark.parametrize("measurements", [None, {}, "none", [0] * 501])
def test_document_without_a_list_of_measurements_is_refused(report_2021: Make, measurements: Any) -> None:
    refused = decode("nemopi-2021/1", report_2021(measurements=measurements))
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.WRONG_STRUCTURE
