"""The current firmware's messages, with every oddity that WIRE names."""

import json
from typing import Any

import pytest

from reefmesh.contracts.readings import DeviceStatus
from reefmesh_ingest.domain.decode import Reason, Refusal, Report, decode
from reefmesh_ingest.domain.decode.nemopi_mqtt import SENSORS_LIMIT


def report_of(document: object) -> Report:
    report = decode("nemopi-mqtt/1", json.dumps(document).encode())
    assert isinstance(report, Report), report
    return report


def refusal_of(document: object) -> Refusal:
    refused = decode("nemopi-mqtt/1", json.dumps(document).encode())
    assert isinstance(refused, Refusal), refused
    return refused


def data(*channels: Any, model: Any = "DS18B20-LOGGER") -> dict[str, Any]:
    return {"msg_type": "data", "sensors": [{"model": model, "interface": "rs485", "address": 2, "data": list(channels)}]}


def test_data_with_a_value_becomes_a_sample_without_a_time() -> None:
    report = report_of(data({"channel": "ch1", "value": 29.4, "fault": ""}))
    (observation,) = report.observations
    assert observation.observed_us is None
    (sample,) = observation.samples
    assert (sample.source, sample.raw, sample.fault) == ("DS18B20-LOGGER/rs485/2/ch1", 29.4, None)


def test_data_null_with_a_fault_keeps_the_devices_words() -> None:
    report = report_of(data({"channel": "ch1", "value": None, "fault": "probe unreachable"}))
    (sample,) = report.observations[0].samples
    assert (sample.raw, sample.fault) == (None, "probe unreachable")


def test_data_with_a_number_as_text_is_a_number() -> None:
    assert report_of(data({"channel": "ch1", "value": "29.4", "fault": ""})).observations[0].samples[0].raw == 29.4


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (True, Reason.NOT_A_NUMBER),
        ("warm", Reason.NOT_A_NUMBER),
        ([29.4], Reason.NOT_A_NUMBER),
        ({}, Reason.NOT_A_NUMBER),
        (1e300, Reason.NUMBER_OUT_OF_RANGE),
        ("1e9999", Reason.NUMBER_OUT_OF_RANGE),
        (10**400, Reason.NUMBER_OUT_OF_RANGE),
    ],
)
def test_data_with_an_impossible_value_refuses_that_channel_alone(value: Any, reason: Reason) -> None:
    report = report_of(data({"channel": "ch1", "value": value}, {"channel": "ch2", "value": 28.0}))
    (part,) = report.refused
    assert (part.scope, part.reason, part.name) == ("channel", reason, "DS18B20-LOGGER/rs485/2/ch1")
    assert [sample.raw for sample in report.observations[0].samples] == [28.0]


def test_data_with_a_broken_sensor_entry_uses_the_others() -> None:
    document = data({"channel": "ch1", "value": 29.4, "fault": ""})
    document["sensors"] += ["what", {"model": "X"}]
    report = report_of(document)
    assert [part.name for part in report.refused] == ["sensors[1]", "sensors[2]"]
    assert len(report.observations[0].samples) == 1


def test_data_with_too_many_sensors_is_refused() -> None:
    assert refusal_of({"msg_type": "data", "sensors": [{}] * (SENSORS_LIMIT + 1)}).reason is Reason.WRONG_STRUCTURE


def test_connect_becomes_a_status_and_names_its_device() -> None:
    document = {
        "msg_type": "connect",
        "firmware": "1.4",
        "ticks": 9,
        "imei": "865",
        "power_on_reason": [0, 1, 0],
        "version": "2",
    }
    report = report_of(document)
    status = report.observations[0].status
    assert report.device == "865"
    assert status is not None
    assert (status.report, status.firmware) == ("connect", "1.4")
    assert status.detail == {"version": "2", "ticks": "9", "power_on_reason": "[0,1,0]"}


@pytest.mark.parametrize("message", ["data", "detect"])
def test_field_09_empty_table_of_the_firmware_is_an_empty_list(message: str) -> None:
    """FIELD 9: a Nemo-Pi without a sensor at boot sends an object where it otherwise sends a list."""
    report = report_of({"msg_type": message, "sensors": {}})
    assert report.refused == ()
    assert report.observations[0].samples == ()
    assert report.observations[0].status == DeviceStatus(report=message, detail={"sensors": "none"})


def test_field_09_sensor_without_channels_is_no_error_but_a_filled_object_is() -> None:
    assert report_of({"msg_type": "data", "sensors": [{"model": "X", "data": {}}]}).refused == ()
    assert refusal_of({"msg_type": "data", "sensors": {"ch1": 28.0}}).reason is Reason.WRONG_STRUCTURE


def test_detect_becomes_a_status_that_lists_the_sensors() -> None:
    sensor = {"model": "DS18B20-LOGGER", "feature": {"ch1": True, "ch2": False}, "address": 2, "interface": "rs485"}
    status = report_of({"msg_type": "detect", "sensors": [sensor]}).observations[0].status
    assert status is not None
    assert status.detail == {"DS18B20-LOGGER/rs485/2": "ch1"}


def test_diagnosis_carries_battery_and_position() -> None:
    document = {"msg_type": "diagnosis", "lat_lon": {"lat": -8.1, "lon": 115.1}, "vbat": 3.9, "lua_mem": {"used": 1}}
    observation = report_of(document).observations[0]
    assert observation.position == (-8.1, 115.1)
    assert observation.status is not None
    assert observation.status.battery_volts == 3.9


def test_diagnosis_without_a_lock_has_no_position() -> None:
    report = report_of({"msg_type": "diagnosis", "vbat": 3.9})
    assert report.observations[0].position is None
    assert report.refused == ()


def test_diagnosis_with_an_impossible_position_refuses_it_alone() -> None:
    report = report_of({"msg_type": "diagnosis", "vbat": 3.9, "lat_lon": {"lat": 91, "lon": 0}})
    assert [part.reason for part in report.refused] == [Reason.BAD_POSITION]
    assert report.observations[0].position is None


def test_response_becomes_a_status() -> None:
    document = {"msg_type": "response", "cmd": "ping", "operation_id": "7", "status": "failed", "reason": "busy"}
    status = report_of(document).observations[0].status
    assert status is not None
    assert status.detail == {"cmd": "ping", "operation_id": "7", "status": "failed", "reason": "busy"}


@pytest.mark.parametrize("document", [{}, {"msg_type": "dance"}, {"msg_type": None}, {"msg_type": ["data"]}])
def test_unknown_message_type_is_refused_with_the_known_ones(document: object) -> None:
    refused = refusal_of(document)
    assert refused.reason is Reason.UNKNOWN_MSG_TYPE
    assert "diagnosis" in refused.detail


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.EMPTY),
        (b" \n ", Reason.EMPTY),
        (b"\xff\x00", Reason.NOT_TEXT),
        (b"{", Reason.NOT_JSON),
        (b"[1]", Reason.WRONG_STRUCTURE),
        ('{"msg_type":"connect"}'.encode("utf-16"), Reason.NOT_TEXT),
        (b" " * (256 * 1024 + 1), Reason.TOO_LARGE),
        (b"[" * 40 + b"]" * 40, Reason.TOO_DEEP),
        (b'{"a":' * 100_000, Reason.TOO_LARGE),
        (b'{"a":' * 33 + b"1" + b"}" * 33, Reason.TOO_DEEP),
        (b'{"a":"[[[[', Reason.NOT_JSON),
        (b'"\\ud800"', Reason.NOT_JSON),
        (b"9" * 5000, Reason.NOT_JSON),
    ],
)
def test_front_door_refuses_what_is_no_document(payload: bytes, reason: Reason) -> None:
    refused = decode("nemopi-mqtt/1", payload)
    assert isinstance(refused, Refusal)
    assert refused.reason is reason
    assert refused.reason.sentence


def test_front_door_takes_brackets_inside_texts() -> None:
    text = "[" * 100 + '\\"' + "{" * 100
    report = decode("nemopi-mqtt/1", f'{{"msg_type":"connect","firmware":"{text}"}}'.encode())
    assert isinstance(report, Report)


def test_texts_lose_what_a_database_cannot_hold() -> None:
    report = report_of(data({"channel": "ch1", "value": None, "fault": "a\x00b\x1b[31m" + "x" * 600}))
    fault = report.observations[0].samples[0].fault
    assert fault is not None
    assert "\x00" not in fault
    assert "\x1b" not in fault
    assert len(fault) == 500


def test_unknown_schema_is_refused_with_the_known_ones() -> None:
    refused = decode("telemetry/2", b"{}")
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.UNKNOWN_SCHEMA
    assert "telemetry/1" in refused.detail
