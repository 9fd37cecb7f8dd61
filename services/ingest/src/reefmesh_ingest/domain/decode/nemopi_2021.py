"""The 2021 Nemo-Pi generation (``nemopi-2021/1``): one JSON document per report, UTF-8 or UTF-16 with a mark.

Measurements carry their own times, a few seconds apart: those within ``REPORT_SPAN_MICROSECONDS`` of a group's first one
are one reading at that first instant. Measurements without a time go with the first group. The device's own status
(battery, signal, position) belongs to the newest group.
"""

from dataclasses import dataclass
from typing import Any, Final

from reefmesh.contracts.readings import DeviceStatus
from reefmesh_ingest.domain.decode.document import open_object
from reefmesh_ingest.domain.decode.refusals import Reason, Refusal, RefusedPart, RefusedParts
from reefmesh_ingest.domain.decode.report import Observation, Report, SensorSample
from reefmesh_ingest.domain.decode.values import (
    clean_text,
    example_of,
    instant_us_of,
    looks_numeric,
    number_of,
    position_of,
)

REPORT_SPAN_MICROSECONDS: Final = 5 * 60 * 1_000_000
MEASUREMENTS_LIMIT: Final = 500
PERCENT_LIMIT: Final = 105.0
"""Gauges of full batteries go a little beyond 100 %."""
CORRECTION_LIMITS: Final = (0.01, 100.0)

AUXILIARY: Final = frozenset({"SEN0140", "SEN0165", "DFR0300", "SEN0175", "SEN0236", "SEN0228", "SEN0237-A", "TEL0113"})
"""Known sensors (IMU, redox potential, conductivity, UV, air pressure, light, oxygen, modem) whose quantity reefmesh does not
score: their values are kept as text in the reading's status. The register can assign one to a quantity all the same."""

_POSITION: Final = "TEL0097"
_TEXT_CHARACTERS: Final = 500


@dataclass(slots=True)
class _MeasurementGroup:
    """The measurements of one instant while they are collected."""

    observed_us: int | None
    samples: list[SensorSample]
    position: tuple[float, float] | None
    detail: dict[str, str]
    has_refused: bool = False


def decode(payload: bytes) -> Report | Refusal:
    document = open_object(payload, utf16=True)
    if isinstance(document, Refusal):
        return document
    serial, measurements = document.get("serial_number"), document.get("measurements")
    if not isinstance(measurements, list):
        return Refusal(reason=Reason.WRONG_STRUCTURE, detail="measurements must be a list")
    if len(measurements) > MEASUREMENTS_LIMIT:
        detail = f"{len(measurements)} measurements, the limit is {MEASUREMENTS_LIMIT}"
        return Refusal(reason=Reason.WRONG_STRUCTURE, detail=detail)
    refused = RefusedParts()
    groups = _groups(measurements, refused)
    position = _own_position(document, refused)
    newest = len(groups) - 1
    statuses = [_status(document if place == newest else {}, group.detail, refused) for place, group in enumerate(groups)]
    return Report(
        device=clean_text(serial, 128) if isinstance(serial, str) and serial.strip() else None,
        observations=tuple(
            Observation(
                observed_us=group.observed_us,
                values={},
                samples=tuple(group.samples),
                position=group.position or (position if place == newest else None),
                status=statuses[place],
                has_refused=group.has_refused or (newest == 0 and refused.added > 0),
            )
            for place, group in enumerate(groups)
        ),
        sent_us=groups[newest].observed_us,  # a report is sent once its last measurement is made
        refused=refused.collected(),
    )


def _groups(measurements: list[Any], refused: RefusedParts) -> list[_MeasurementGroup]:
    timed: list[tuple[int, int, dict[str, Any]]] = []
    untimed: list[dict[str, Any]] = []
    for place, measurement in enumerate(measurements):
        if not isinstance(measurement, dict) or not isinstance(measurement.get("sensor"), dict):
            refused.add(_trouble(f"measurements[{place}]", Reason.WRONG_STRUCTURE, "sensor and value expected", measurement))
        elif measurement.get("datetime") is None:
            untimed.append(measurement)
        elif (at := instant_us_of(measurement["datetime"])) is None:
            stated = clean_text(measurement["datetime"], 100)
            refused.add(_trouble(_source(measurement), Reason.BAD_TIME, f"datetime is {stated}", measurement))
        else:
            timed.append((at, place, measurement))
    timed.sort(key=lambda entry: entry[:2])
    groups: list[_MeasurementGroup] = []
    for at, _, measurement in timed:
        first = groups[-1].observed_us if groups else None
        if first is None or at - first > REPORT_SPAN_MICROSECONDS:
            groups.append(_MeasurementGroup(at, [], None, {}))
        groups[-1].has_refused |= _take(measurement, groups[-1], refused)
    if not groups:
        groups.append(_MeasurementGroup(None, [], None, {}))
    for measurement in untimed:
        groups[0].has_refused |= _take(measurement, groups[0], refused)
    return groups


def _take(measurement: dict[str, Any], group: _MeasurementGroup, refused: RefusedParts) -> bool:
    """Take one measurement in; return whether anything of it was refused."""
    added = refused.added
    _put(measurement, group, refused)
    return refused.added > added


def _put(measurement: dict[str, Any], group: _MeasurementGroup, refused: RefusedParts) -> None:
    """Put one measurement where it belongs: a sample, the position, or text beside the quantities."""
    sensor = measurement["sensor"]
    source, value = _source(measurement), measurement.get("value")
    details = sensor.get("details")
    details = details if isinstance(details, dict) else {}
    name, unit = details.get("name") or sensor.get("name") or "", details.get("unit")
    fault = _fault(measurement)
    if source == _POSITION:
        pair = value if isinstance(value, list) and len(value) == 2 else (None, None)
        position = position_of(*pair)
        if position is not None:
            group.position = position
        elif fault is None:
            refused.add(_trouble(source, Reason.BAD_POSITION, "a list of latitude and longitude is expected", measurement))
        else:
            group.detail[f"{source} fault"] = fault
        return
    if source in AUXILIARY:
        stated = clean_text(value, _TEXT_CHARACTERS)
        group.detail[clean_text(f"{source} {name}", 100)] = clean_text(f"{stated} {_unit_text(unit)}".strip(), _TEXT_CHARACTERS)
        if number_of(value) is None and fault is None:
            return
    number = number_of(value)
    if number is None and fault is None and value is not None:
        reason = Reason.NUMBER_OUT_OF_RANGE if looks_numeric(value) else Reason.NOT_A_NUMBER
        refused.add(_trouble(source, reason, f"value is {clean_text(value, 100)}", measurement))
        return
    correction = sensor.get("correction_value")
    factor = number_of(correction)
    if correction is not None and (factor is None or not CORRECTION_LIMITS[0] <= factor <= CORRECTION_LIMITS[1]):
        stated = clean_text(correction, 100)
        refused.add(_trouble(source, Reason.BAD_CORRECTION, f"correction_value is {stated}", measurement))
        return
    group.samples.append(
        SensorSample(
            source=source,
            hint=clean_text(name, 60),
            unit=_unit_text(unit),
            raw=number,
            factor=factor,
            fault=fault,
        )
    )


def _fault(measurement: dict[str, Any]) -> str | None:
    """The device's own words: ``error_text``, or the sentence that stands where a number should."""
    stated = measurement.get("error_text")
    if isinstance(stated, str) and stated.strip():
        return clean_text(stated, _TEXT_CHARACTERS)
    value = measurement.get("value")
    if isinstance(value, str) and any(letter.isalpha() for letter in value) and not looks_numeric(value):
        return clean_text(value, _TEXT_CHARACTERS)
    return None


def _own_position(document: dict[str, Any], refused: RefusedParts) -> tuple[float, float] | None:
    latitude, longitude = document.get("latitude"), document.get("longitude")
    if latitude in (None, "") and longitude in (None, ""):
        return None
    position = position_of(latitude, longitude)
    if position is None:
        example = {"latitude": latitude, "longitude": longitude}
        refused.add(_trouble("latitude, longitude", Reason.BAD_POSITION, "degrees are expected", example))
    return position


def _status(document: dict[str, Any], auxiliary: dict[str, str], refused: RefusedParts) -> DeviceStatus:
    """Return battery and signal as numbers where they are numbers, else as text in ``detail``."""
    battery, signal = number_of(document.get("battery_level")), number_of(document.get("gsm_strength"))
    if battery is not None and not 0 <= battery <= PERCENT_LIMIT:
        stated = f"battery_level is {clean_text(document['battery_level'], 100)}, which is no percentage"
        refused.add(_trouble("battery_level", Reason.NUMBER_OUT_OF_RANGE, stated, document["battery_level"]))
        battery = None
    names = ["ip_address", "solar_voltage", "solar_amperage"]
    names += ["battery_level"] if battery is None else []
    names += ["gsm_strength"] if signal is None else []
    own = {name: clean_text(document[name], 100) for name in names if document.get(name) not in (None, "")}
    return DeviceStatus(report="report-2021", battery_percent=battery, signal_dbm=signal, detail={**own, **auxiliary})


def _source(measurement: dict[str, Any]) -> str:
    sensor = measurement["sensor"]
    return clean_text(sensor.get("serial_number") or sensor.get("name") or "?", 60)


def _unit_text(unit: object) -> str:
    if isinstance(unit, list):
        return clean_text(", ".join(map(str, unit[:8])), 60)
    return clean_text(unit, 60).strip() if isinstance(unit, str) else ""


def _trouble(name: str, reason: Reason, detail: str, value: object) -> RefusedPart:
    return RefusedPart(scope="channel", reason=reason, name=name, detail=detail, example=example_of(value))
