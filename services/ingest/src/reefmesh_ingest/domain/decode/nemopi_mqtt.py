"""Current Nemo-Pi firmware over MQTT (``nemopi-mqtt/1``): ``msg_type`` names the kind of message.

They hold no time, no number and no identity: the reading's instant is when the broker received it. ``connect``, ``detect``,
``diagnosis`` and ``response`` become readings with a status and no quantities.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from reefmesh.contracts.readings import NO_SENSOR_FOUND, DeviceStatus
from reefmesh_ingest.domain.battery import VOLTS_LIMIT, volts_of
from reefmesh_ingest.domain.decode.document import open_object
from reefmesh_ingest.domain.decode.refusals import Reason, Refusal, RefusedPart, RefusedParts
from reefmesh_ingest.domain.decode.report import Observation, Report, SensorSample
from reefmesh_ingest.domain.decode.values import clean_text, example_of, looks_numeric, number_of, position_of

SENSORS_LIMIT: Final = 64
CHANNELS_PER_SENSOR_LIMIT: Final = 16
_DETAIL_CHARACTERS: Final = 500


def decode(payload: bytes) -> Report | Refusal:
    document = open_object(payload)
    if isinstance(document, Refusal):
        return document
    msg_type = document.get("msg_type")
    reader = _READERS.get(msg_type) if isinstance(msg_type, str) else None
    if reader is None:
        named = "msg_type is missing" if msg_type is None else f"msg_type is {clean_text(msg_type, 100)}"
        return Refusal(reason=Reason.UNKNOWN_MSG_TYPE, detail=f"{named}; known are {', '.join(_READERS)}")
    return reader(document)


def _report(observation: Observation, *, device: str | None = None, refused: RefusedParts | None = None) -> Report:
    parts = refused.collected() if refused is not None else ()
    if parts:
        observation = replace(observation, has_refused=True)
    return Report(device=device, observations=(observation,), refused=parts)


def _detail(document: dict[str, Any], *names: str) -> dict[str, str]:
    return {name: clean_text(document[name], _DETAIL_CHARACTERS) for name in names if document.get(name) is not None}


def _connect(document: dict[str, Any]) -> Report:
    firmware = document.get("firmware")
    imei = document.get("imei")
    status = DeviceStatus(
        report="connect",
        firmware=clean_text(firmware, 100) if firmware is not None else None,
        detail=_detail(document, "version", "ticks", "power_on_reason"),
    )
    device = clean_text(imei, 128) if isinstance(imei, str | int) and not isinstance(imei, bool) else None
    return _report(Observation(observed_us=None, values={}, status=status), device=device)


def _list_of(value: object) -> object:
    """Return a list as it is, and an empty one for an empty object: the firmware's Lua writes every empty table as ``{}``."""
    return [] if value == {} else value


def _detect(document: dict[str, Any]) -> Report | Refusal:
    sensors = _list_of(document.get("sensors"))
    if not isinstance(sensors, list) or not all(isinstance(sensor, dict) for sensor in sensors):
        return Refusal(reason=Reason.WRONG_STRUCTURE, detail="sensors must be a list of objects")
    detail = {} if sensors else {**NO_SENSOR_FOUND}
    for sensor in sensors[:SENSORS_LIMIT]:
        feature = sensor.get("feature")
        present = [name for name, has in feature.items() if has is True] if isinstance(feature, dict) else []
        detail[_source(sensor)] = clean_text(",".join(sorted(map(str, present))), _DETAIL_CHARACTERS)
    return _report(Observation(observed_us=None, values={}, status=DeviceStatus(report="detect", detail=detail)))


def _diagnosis(document: dict[str, Any]) -> Report:
    refused = RefusedParts()
    position = None
    lat_lon = document.get("lat_lon")
    if lat_lon is not None:
        if isinstance(lat_lon, dict):
            position = position_of(lat_lon.get("lat"), lat_lon.get("lon"))
        if position is None:
            refused.add(
                RefusedPart(
                    scope="channel",
                    reason=Reason.BAD_POSITION,
                    name="lat_lon",
                    detail="lat_lon must hold lat and lon in degrees",
                    example=example_of(lat_lon),
                )
            )
    status = DeviceStatus(
        report="diagnosis",
        battery_volts=_volts(document, "vbat", refused),
        detail=_detail(document, "cell", "lua_mem", "sys_mem"),
    )
    return _report(Observation(observed_us=None, values={}, position=position, status=status), refused=refused)


def _response(document: dict[str, Any]) -> Report:
    status = DeviceStatus(report="response", detail=_detail(document, "cmd", "operation_id", "status", "reason"))
    return _report(Observation(observed_us=None, values={}, status=status))


def _data(document: dict[str, Any]) -> Report | Refusal:
    sensors = _list_of(document.get("sensors"))
    if not isinstance(sensors, list):
        return Refusal(reason=Reason.WRONG_STRUCTURE, detail="sensors must be a list")
    if len(sensors) > SENSORS_LIMIT:
        return Refusal(reason=Reason.WRONG_STRUCTURE, detail=f"{len(sensors)} sensors, the limit is {SENSORS_LIMIT}")
    refused = RefusedParts()
    samples: list[SensorSample] = []
    for place, sensor in enumerate(sensors):
        channels = _list_of(sensor.get("data")) if isinstance(sensor, dict) else None
        if not isinstance(channels, list) or len(channels) > CHANNELS_PER_SENSOR_LIMIT:
            refused.add(
                RefusedPart(
                    scope="channel",
                    reason=Reason.WRONG_STRUCTURE,
                    name=f"sensors[{place}]",
                    detail=f"a sensor must hold data, a list of at most {CHANNELS_PER_SENSOR_LIMIT} channels",
                    example=example_of(sensor),
                )
            )
            continue
        for channel in channels:
            sample = _sample(_source(sensor), clean_text(sensor.get("model", "?"), 40), channel)
            if isinstance(sample, SensorSample):
                samples.append(sample)
            else:
                refused.add(sample)
    status = None if sensors else DeviceStatus(report="data", detail={**NO_SENSOR_FOUND})
    return _report(Observation(observed_us=None, values={}, samples=tuple(samples), status=status), refused=refused)


def _sample(sensor: str, model: str, channel: object) -> SensorSample | RefusedPart:
    if not isinstance(channel, dict) or "value" not in channel:
        return RefusedPart(
            scope="channel",
            reason=Reason.WRONG_STRUCTURE,
            name=sensor,
            detail="a channel must hold channel, value and fault",
            example=example_of(channel),
        )
    source = f"{sensor}/{clean_text(channel.get('channel', '?'), 20)}"
    value, stated = channel["value"], channel.get("fault")
    fault = clean_text(stated, _DETAIL_CHARACTERS) if stated not in (None, "") else None
    number = number_of(value)
    if number is None and value is not None:
        reason = Reason.NUMBER_OUT_OF_RANGE if looks_numeric(value) else Reason.NOT_A_NUMBER
        return RefusedPart(
            scope="channel",
            reason=reason,
            name=source,
            detail=f"value is {clean_text(value, 100)}",
            example=example_of(channel),
        )
    return SensorSample(source=source, hint=model, unit="", raw=number, fault=fault)


def _source(sensor: dict[str, Any]) -> str:
    return "/".join(clean_text(sensor.get(name, "?"), 30) for name in ("model", "interface", "address"))


def _volts(document: dict[str, Any], name: str, refused: RefusedParts) -> float | None:
    """Return a battery's volts, also of a firmware that reports millivolts."""
    value = document.get(name)
    number = number_of(value)
    volts = None if number is None else volts_of(number)
    if volts is None and value is not None:
        is_number = number is not None or looks_numeric(value)
        stated = f"{name} is {clean_text(value, 100)}"
        refused.add(
            RefusedPart(
                scope="channel",
                reason=Reason.NUMBER_OUT_OF_RANGE if is_number else Reason.NOT_A_NUMBER,
                name=name,
                detail=f"{stated}: neither 0 to {VOLTS_LIMIT:g} V nor millivolts of a battery" if is_number else stated,
                example=example_of(value),
            )
        )
    return volts


_READERS: Final[dict[str, Callable[[dict[str, Any]], Report | Refusal]]] = {
    "connect": _connect,
    "detect": _detect,
    "data": _data,
    "diagnosis": _diagnosis,
    "response": _response,
}
