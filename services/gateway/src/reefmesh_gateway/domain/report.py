"""Reports of devices, told apart by their fields: of which format one is, and which device it names.

Ingest decodes a report and judges it. Here it is opened just so far that a sender learns at once of what no format is, and
that nobody sends for another.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic_core import from_json

from reefmesh.contracts.schema import NEMOPI_2021_1, NEMOPI_MQTT_1, TELEMETRY_1

REPORT_BYTES_LIMIT: Final = 256 * 1024
"""What ingest keeps whole."""
REPORTS_LIMIT: Final = 500
"""Reports in one batch."""
NAME_CHARACTERS_LIMIT: Final = 128

_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_UTF_8_MARK: Final = b"\xef\xbb\xbf"

Reason = Literal["not-json", "unknown-format", "too-large"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentReport:
    """One report, byte by byte as it was sent. ``names``: the device that it says it is of; None: it says none."""

    body: bytes
    schema_id: str
    names: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """What is no report, and why, for whoever sent it."""

    reason: Reason
    detail: str


def read_report(body: bytes) -> SentReport | Unusable:
    """Tell the format of one report."""
    if len(body) > REPORT_BYTES_LIMIT:
        return Unusable(reason="too-large", detail=f"a report has {REPORT_BYTES_LIMIT} bytes at most, this one has {len(body)}")
    try:
        document = from_json(_utf_8(body), allow_inf_nan=False)
    except ValueError as error:
        return Unusable(reason="not-json", detail=str(error).splitlines()[0][:200])
    if not isinstance(document, dict):
        return Unusable(reason="unknown-format", detail="a report is a JSON object")
    match document:
        case {"schema": "telemetry/1"}:
            return SentReport(body=body, schema_id=TELEMETRY_1, names=_name(document, "buoy_id"))
        case {"msg_type": str()}:
            return SentReport(body=body, schema_id=NEMOPI_MQTT_1, names=_name(document, "imei"))
        case {"serial_number": _, "measurements": _}:
            return SentReport(body=body, schema_id=NEMOPI_2021_1, names=_name(document, "serial_number"))
    detail = 'a report has "schema": "telemetry/1", or "msg_type", or "serial_number" and "measurements"'
    return Unusable(reason="unknown-format", detail=detail)


def split_batch(body: bytes) -> list[bytes]:
    """Return the reports of a batch: one on each line that is not empty."""
    return [line for line in (each.strip(b" \t\r") for each in body.split(b"\n")) if line]


def _utf_8(body: bytes) -> bytes:
    """Raises ValueError (UnicodeDecodeError is one)."""
    if body.startswith(_UTF_16_MARKS):
        return body.decode("utf-16").encode()
    return body.removeprefix(_UTF_8_MARK)


def _name(document: dict[str, Any], field: str) -> str | None:
    named = document.get(field)
    return named[:NAME_CHARACTERS_LIMIT] if isinstance(named, str) else None
