"""The simulated devices: each generation writes its own format, byte for byte."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from reefmesh.contracts import quantities
from reefmesh.contracts.schema import NEMOPI_2021_1, NEMOPI_MQTT_1, TELEMETRY_1
from reefmesh_standalone.simulator.water import Water

NBS_ABOVE_TOTAL: Final = 0.1415
"""What a probe calibrated in NBS buffers reads above the total scale, in sea water of 27 degC."""


class Generation(StrEnum):
    """Which format a device speaks: the schema id that its telemetry declares."""

    NEMOPI_MQTT = NEMOPI_MQTT_1
    NEMOPI_2021 = NEMOPI_2021_1
    AGENT = TELEMETRY_1


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One buoy at one site."""

    buoy_id: str
    reef_id: str
    generation: Generation
    water: Water
    latitude_degrees: float
    longitude_degrees: float
    report_interval: timedelta = timedelta(minutes=30)
    battery_volts: float = 3.9
    wrong_unit: bool = False


def mqtt_connect(device: Device) -> bytes:
    return _json(
        {
            "msg_type": "connect",
            "firmware": "DTU-1.4.2",
            "ticks": 4711,
            "imei": device.buoy_id,
            "power_on_reason": [0, 1, 0],
            "version": "1.4.2",
        }
    )


def mqtt_data(device: Device, at: datetime, *, dead_probe: bool) -> bytes:
    """One report: the current firmware has a temperature probe in steps of 0.1 degC, and no clock."""
    value = None if dead_probe else round(device.water.temperature_celsius(at), 1)
    channel = {"channel": "ch1", "value": value, "fault": "sensor not reachable" if dead_probe else ""}
    sensor = {"model": "DS18B20-LOGGER", "interface": "rs485", "address": 2, "data": [channel]}
    return _json({"msg_type": "data", "sensors": [sensor]})


def mqtt_diagnosis(device: Device, at: datetime) -> bytes:
    return _json(
        {
            "msg_type": "diagnosis",
            "lat_lon": {"lat": device.latitude_degrees, "lon": device.longitude_degrees},
            "vbat": round(device.battery_volts + 0.02 * device.water.noise(at, "battery"), 2),
            "lua_mem": {"used": 61234, "total": 131072},
            "sys_mem": {"used": 412340, "total": 1048576},
        }
    )


def report_2021(device: Device, at: datetime) -> bytes:
    """One report of the 2021 generation: numbers as strings, an experimental channel whose unit cannot be right."""
    stamp = at.isoformat()
    measurements = [
        _measurement("KIT0021", "WATER_TEMPERATURE", "C", f"{device.water.temperature_celsius(at):.2f}", stamp),
        _measurement("SEN0169", "PH", "PH", f"{device.water.ph_total_scale(at) + NBS_ABOVE_TOTAL:.3f}", stamp),
        _measurement("TEL0097", "POSITION", "Degree", [str(device.latitude_degrees), str(device.longitude_degrees)], stamp),
        _measurement("SEN0237-A", "DISSOLVED_OXYGEN", "mg/L", "Sensor not found", stamp),
    ]
    if device.wrong_unit:
        measurements.append(_measurement("SEN0xxx", "DISSOLVED_NOX", "C", "0.84", stamp))
    return _json(
        {
            "serial_number": device.buoy_id,
            "ip_address": "10.64.0.7",
            "battery_level": "71.50",
            "gsm_strength": "-81.0",
            "latitude": str(device.latitude_degrees),
            "longitude": str(device.longitude_degrees),
            "solar_voltage": "5.1",
            "solar_amperage": "0.31",
            "measurements": measurements,
        }
    )


def agent_report(device: Device, seq: int, instants: Sequence[datetime], *, clock_offset: timedelta = timedelta()) -> bytes:
    """One ``telemetry/1`` document; ``clock_offset`` is how far the device's own clock is off."""
    return _json(
        {
            "schema": TELEMETRY_1,
            "buoy_id": device.buoy_id,
            "seq": seq,
            "sent_at": _zulu(instants[-1] + clock_offset),
            "readings": [_agent_reading(device, at, clock_offset) for at in instants],
        }
    )


def _agent_reading(device: Device, at: datetime, clock_offset: timedelta) -> dict[str, Any]:
    water = device.water
    return {
        "observed_at": _zulu(at + clock_offset),
        "position": {"lat": device.latitude_degrees, "lon": device.longitude_degrees},
        "channels": {
            quantities.SEA_WATER_TEMPERATURE: round(water.temperature_celsius(at), 2),
            quantities.PH_TOTAL_SCALE: round(water.ph_total_scale(at), 3),
            quantities.PCO2: round(water.pco2_microatmospheres(at), 1),
            quantities.SEA_WATER_SPEED: round(water.speed_metres_per_second(at), 3),
            quantities.VISIBILITY: round(water.visibility(at), 1),
        },
        "faults": {},
    }


def _measurement(serial: str, name: str, unit: str, value: str | list[str], stamp: str) -> dict[str, Any]:
    sensor = {"correction_value": None, "details": {"name": name, "unit": unit}, "serial_number": serial, "name": name}
    return {"sensor": sensor, "value": value, "error_text": "", "datetime": stamp}


def _zulu(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
