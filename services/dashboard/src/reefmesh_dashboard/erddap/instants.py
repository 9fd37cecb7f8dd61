"""Instants in ERDDAP's grammar: ISO 8601, seconds since 1970, and ``now``, ``min(time)``, ``max(time)`` with a distance."""

import math
import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Final

from reefmesh_dashboard.domain.spans import microseconds_of
from reefmesh_dashboard.exports.dataset import TimeRange

ALLOWED: Final = (
    "an instant like 2026-11-29T08:00:00Z (without an offset: UTC; a + is written %2B), seconds since 1970, or now, min(time)"
    " or max(time) with a distance like -7days (seconds, minutes, hours, days, weeks, months, years)"
)
_RELATIVE: Final = re.compile(r"(now|min\(time\)|max\(time\))(?:([+-])(\d{1,9})([a-z]*))?")
_ENDS: Final = re.compile(r"(?:min|max)\(")
_MONTH: Final = re.compile(r"(\d{4})(?:-(\d{2}))?")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400}
_MONTHS: Final = {"month": 1, "year": 12}


class WrongInstant(ValueError):
    """It is none."""


def names_an_end(text: str) -> bool:
    """Return whether the range of the dataset has to be known to read a question."""
    return _ENDS.search(text) is not None


def milliseconds_of(text: str, *, now: datetime, time_range: TimeRange | None) -> float:
    """Return an instant in milliseconds since 1970. Raises WrongInstant, with the reason."""
    text = text.strip()
    try:
        if (relative := _RELATIVE.fullmatch(text)) is not None:
            return _moved(_start(relative[1], now, time_range), relative)
        if _NUMBER.fullmatch(text) and not _MONTH.fullmatch(text):
            seconds = float(text)
            if not math.isfinite(seconds):
                raise WrongInstant("no finite number")
            return seconds * 1000
        return microseconds_of(_stated(text)) / 1000
    except OverflowError:
        raise WrongInstant("too far away") from None


def _stated(text: str) -> datetime:
    if (month := _MONTH.fullmatch(text)) is not None:
        text = f"{month[1]}-{month[2] or '01'}-01"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise WrongInstant("no instant") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _start(word: str, now: datetime, time_range: TimeRange | None) -> datetime:
    if word == "now":
        return now
    if time_range is None:
        raise WrongInstant("the dataset has no rows")
    milliseconds = time_range.first if word.startswith("min") else time_range.last
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


def _moved(start: datetime, relative: "re.Match[str]") -> float:
    if relative[2] is None:
        return microseconds_of(start) / 1000
    count = int(f"{relative[2]}{relative[3]}")
    unit = relative[4].removesuffix("s") or "second"
    if unit in _SECONDS:
        return microseconds_of(start + timedelta(seconds=count * _SECONDS[unit])) / 1000
    if unit in _MONTHS:
        return microseconds_of(_months_later(start, count * _MONTHS[unit])) / 1000
    raise WrongInstant(f"no unit {relative[4][:20]}")


def _months_later(start: datetime, months: int) -> datetime:
    """Return the same day of another month, or that month's last."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError
    return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))
