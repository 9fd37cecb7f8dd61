"""A reading as JSON, the same text in the table and in ``readings/1``; written by hand because every reading passes here.

That it is what ``contracts.readings.Reading`` reads is a test.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from pydantic_core import from_json, to_json

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.readings import DeviceStatus
from reefmesh_ingest.domain.quality import MISSING, Verdict
from reefmesh_ingest.domain.quality.verdicts import VERDICTS, code_of
from reefmesh_ingest.domain.reading import (
    CONFLICT,
    NOT_EXCLUDED,
    Content,
    Place,
    StoredReading,
    flag_of,
    published_fault,
    published_flag,
)

_NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # offset-free on purpose: only used to write UTC text, with a Z
_VERDICTS: Final[dict[str, str]] = {}


@lru_cache(maxsize=4096)
def instant_text(us: int) -> str:
    """Return microseconds since 1970 as an ISO 8601 instant in UTC; cached, because a reading is written again with the next
    report, and the buoys of a fleet report at the same instants."""
    return (_NAIVE_EPOCH + timedelta(microseconds=us)).isoformat() + "Z"


def reading_text(buoy_id: str, reading: StoredReading, received_text: str) -> str:
    """Return the JSON of ``contracts.readings.Reading``; ``received_text`` is ``instant_text`` of its ``received_us``."""
    verdicts, excluded = reading.verdicts, reading.excluded
    quantities = []
    for name, content in reading.contents.items():
        raw, value, factor, fault = content
        verdict = verdicts[name]
        reported = repr(raw)
        number = reported if value is raw else repr(value)
        # A quantity's name needs no escaping: it is one of a closed list.
        text = f'"{name}":{{"value":{number},"raw":{reported},{_VERDICTS.get(verdict.tests) or _verdict_text(verdict)}'
        if raw is None:
            text = f'"{name}":{{"value":null,"raw":null,"flag":9,"tests":"99999"'
        elif name in excluded:
            flag = published_flag(reading, name)
            text = f'"{name}":{{"value":{number},"raw":{reported},"flag":{flag:d},"tests":"{verdict.tests}"'
        elif fault == CONFLICT:
            text = (
                f'"{name}":{{"value":{number},"raw":{reported},"flag":{flag_of(content, verdict):d},"tests":"{verdict.tests}"'
            )
        if factor != 1.0:
            text += f',"factor":{factor!r}'
        if name in excluded:
            fault = published_fault(reading, name)
        if fault is not None:
            text += f',"fault":{to_json(fault).decode()}'
        quantities.append(text)
    quantities.append("")
    rest = ""
    if reading.time_source != "device":
        rest = f',"time_source":"{reading.time_source}"'
    if reading.withdrawn:
        rest += ',"withdrawn":true'
    if reading.place is not None:
        rest += _place_text(reading.place)
    if reading.status is not None:
        rest += f',"status":{to_json(reading.status, exclude_none=True).decode()}'
    return (
        f'{{"buoy_id":"{buoy_id}","observed_at":"{instant_text(reading.observed_us)}","received_at":"{received_text}",'
        f'"revision":{reading.revision},"channels":{{{"},".join(quantities)[:-1]}}}{rest}}}'
    )


def excluded_text(reading: StoredReading) -> str | None:
    """Return what ``reading_text`` does not say of excluded values: quantity -> why, and the device's own fault; None if the
    reading has none."""
    if not reading.excluded:
        return None
    return to_json({name: (reason, reading.contents[name].fault) for name, reason in reading.excluded.items()}).decode()


def reading_from(
    text: str, *, observed_us: int, received_us: int, revision: int, withdrawn: bool, origin: str, excluded: str | None
) -> StoredReading:
    """Read back what ``reading_text`` and ``excluded_text`` wrote."""
    document: dict[str, Any] = from_json(text)
    beside: dict[str, tuple[str, str | None]] = {} if excluded is None else from_json(excluded)
    contents, verdicts = {}, {}
    for name, written in document["channels"].items():
        fault = beside[name][1] if name in beside else written.get("fault")
        contents[name] = Content(written["raw"], written["value"], written.get("factor", 1.0), fault)
        verdicts[name] = MISSING if written["raw"] is None else VERDICTS[code_of(written["tests"])]
    place, status = document.get("position"), document.get("status")
    return StoredReading(
        observed_us=observed_us,
        received_us=received_us,
        time_source=document.get("time_source", "device"),
        revision=revision,
        withdrawn=withdrawn,
        origin=origin,
        contents=contents,
        verdicts=verdicts,
        place=None
        if place is None
        else Place(place["latitude_degrees"], place["longitude_degrees"], Flag(place["flag"]), place.get("drift_metres")),
        status=None if status is None else DeviceStatus.model_validate(status),
        excluded={name: reason for name, (reason, _) in beside.items()} if beside else NOT_EXCLUDED,
    )


def _verdict_text(verdict: Verdict) -> str:
    text = _VERDICTS[verdict.tests] = f'"flag":{verdict.flag:d},"tests":"{verdict.tests}"'
    return text


def _place_text(place: Place) -> str:
    drift = "null" if place.drift_metres is None else repr(place.drift_metres)
    return (
        f',"position":{{"latitude_degrees":{place.latitude_degrees!r},"longitude_degrees":{place.longitude_degrees!r},'
        f'"flag":{place.flag:d},"drift_metres":{drift}}}'
    )
