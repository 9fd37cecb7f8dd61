"""Single values out of a device's JSON: numbers that may be text, text that may be anything, instants, positions."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic_core import to_json

from reefmesh.visible_text import visible
from reefmesh_ingest.domain.decode.refusals import EXAMPLE_BYTES_LIMIT

MAGNITUDE_LIMIT: Final = 1e9
"""No measurement is larger; with it every product with a factor, in 1e-4 of a unit, fits 64 bits."""

_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,4})?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def clean_text(value: object, limit: int) -> str:
    """Return one line that every database, log and page takes, at most ``limit`` long. A character that may not stay becomes
    U+FFFD and not a space: no device gets the name of another by a tab in its own."""
    text = value if isinstance(value, str) else example_of(value).decode("utf-8", "replace")
    return visible(text[:limit], instead="\N{REPLACEMENT CHARACTER}")


def example_of(value: object) -> bytes:
    """Return a refused value as JSON, cut at ``EXAMPLE_BYTES_LIMIT``."""
    return to_json(value, inf_nan_mode="constants", serialize_unknown=True)[:EXAMPLE_BYTES_LIMIT]


def number_of(value: object) -> float | None:
    """Return a finite number from a JSON number or a text that holds nothing else; None when it is not one, or too large."""
    match value:
        case bool():
            return None
        case int() | float():
            number = value
        case str() if _NUMBER.fullmatch(text := value.strip()):
            number = float(text)
        case _:
            return None
    # Comparisons of huge integers are exact, and those with NaN are false.
    return float(number) if -MAGNITUDE_LIMIT <= number <= MAGNITUDE_LIMIT else None


def looks_numeric(value: object) -> bool:
    """Tell whether a value was meant as a number, so that ``number_of`` refused its size and not its kind."""
    if isinstance(value, str):
        return _NUMBER.fullmatch(value.strip()) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def instant_us_of(value: object) -> int | None:
    """Return UTC microseconds of an ISO 8601 text with an offset; None when it is not one."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        instant = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return None if instant.tzinfo is None else us_of(instant)


def us_of(instant: datetime) -> int:
    """Return UTC microseconds since 1970 of an aware instant, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(us: int) -> datetime:
    """Return the aware UTC instant of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)


def position_of(latitude: object, longitude: object) -> tuple[float, float] | None:
    """Return (latitude, longitude) in degrees; None when they are not numbers or not on the globe."""
    north, east = number_of(latitude), number_of(longitude)
    if north is None or east is None or not math.fabs(north) <= 90 or not math.fabs(east) <= 180:
        return None
    return north, east
