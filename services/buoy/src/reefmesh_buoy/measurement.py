"""One line of a source: ``{"channels": {"sea_water_temperature": 28.4}}``, with ``faults``, ``position``, ``observed_at``.

The limits are those of ``telemetry/1``: what passes here is taken by ingest, and a name that it does not know is refused alone.
"""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

LINE_BYTES_LIMIT: Final = 16 * 1024
CHANNELS_LIMIT: Final = 64
NAME_CHARACTERS_LIMIT: Final = 128
FAULT_CHARACTERS_LIMIT: Final = 500
MAGNITUDE_LIMIT: Final = 1e15
"""Ingest refuses numbers beyond it."""
_FIELDS: Final = frozenset({"channels", "faults", "position", "observed_at"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class BadLine(ValueError):
    """A line is no measurement; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """``content_json``: the reading without its time. ``observed_us``: the source's own time, microseconds since 1970."""

    content_json: str
    observed_us: int | None = None


def read_line(line: bytes) -> Measurement:
    """Raises BadLine."""
    if len(line) > LINE_BYTES_LIMIT:
        raise BadLine(f"longer than {LINE_BYTES_LIMIT} bytes")
    try:
        document = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"no JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("channels"), dict):
        raise BadLine('a measurement is an object with "channels"')
    if extra := document.keys() - _FIELDS:
        raise BadLine(f"unknown field {min(extra)[:100]!r}")
    content: dict[str, Any] = {"channels": _channels(document["channels"])}
    if faults := _faults(document.get("faults")):
        content["faults"] = faults
    if not content["channels"] and not faults:
        raise BadLine("neither a channel nor a fault")
    if (position := _position(document.get("position"))) is not None:
        content["position"] = position
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return Measurement(content_json=text, observed_us=_instant_us(document.get("observed_at")))


def instant_of(us: int) -> str:
    """Return microseconds since 1970 as text in UTC; what no calendar has is cut to the years 1 to 9999."""
    try:
        at = _EPOCH + us * _MICROSECOND
    except OverflowError:
        at = datetime.max.replace(tzinfo=UTC) if us > 0 else datetime.min.replace(tzinfo=UTC)
    return at.isoformat().replace("+00:00", "Z")


def _refuse_constant(name: str) -> float:
    raise BadLine(f"{name} is no number of JSON")


def _named(value: object, field: str) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > CHANNELS_LIMIT:
        raise BadLine(f"{field} must be an object of {CHANNELS_LIMIT} entries at most")
    if any(len(name) > NAME_CHARACTERS_LIMIT or not name.isprintable() for name in value):
        raise BadLine(f"a name in {field} is longer than {NAME_CHARACTERS_LIMIT} characters, or not printable")
    return value


def _channels(value: object) -> dict[str, Any]:
    channels = _named(value, "channels")
    for name, number in channels.items():
        if number is not None and not _is_number(number):
            raise BadLine(f"{name} is {str(number)[:100]!r}, not a number or null")
    return channels


def _faults(value: object) -> dict[str, str]:
    faults = {} if value is None else _named(value, "faults")
    for name, words in faults.items():
        if not isinstance(words, str) or not _is_text(words):
            raise BadLine(f"the fault of {name} is not a text")
    return {name: words[:FAULT_CHARACTERS_LIMIT] for name, words in faults.items()}


def _is_text(words: str) -> bool:
    """Whether it is Unicode: a lone surrogate is none, and ingest could not read the report."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in words)


def _position(value: object) -> dict[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != {"lat", "lon"} or not all(map(_is_number, value.values())):
        raise BadLine('position must be {"lat": degrees, "lon": degrees}')
    if not (-90 <= value["lat"] <= 90 and -180 <= value["lon"] <= 180):
        raise BadLine("position is not on Earth")
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) <= MAGNITUDE_LIMIT if isinstance(value, float) else abs(value) <= MAGNITUDE_LIMIT


def _instant_us(value: object) -> int | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is not None and at.tzinfo is not None:
            return (at - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        at = None
    raise BadLine(f"observed_at must be an instant with its offset, not {str(value)[:100]!r}")
