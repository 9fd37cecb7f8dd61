"""Options that say how long or until when."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from reefmesh.errors import ConfigurationError
from reefmesh_standalone.records.mistake import shown

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION: Final = re.compile(r"(\d{1,4})\s*([mhdw])")


def duration_of(text: str, *, option: str) -> timedelta:
    """Return a duration like ``90m``, ``2h``, ``3d`` or ``1w``.

    Raises:
        ConfigurationError: it is none, or is zero.
    """
    match = _DURATION.fullmatch(text.strip())
    duration = timedelta() if match is None else timedelta(**{_UNITS[match[2]]: int(match[1])})
    if not duration:
        raise ConfigurationError(f"{option} {shown(text)} is no duration; write it like 90m, 2h, 3d or 1w")
    return duration


def instant_of(text: str, *, option: str) -> datetime:
    """Return an instant with its offset from UTC, or the beginning of a day in UTC.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        day = date.fromisoformat(text.strip())
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    except ValueError:
        pass
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        what = "is neither a day (2026-03-31, in UTC) nor an instant (2026-03-31T08:00+08:00)"
        raise ConfigurationError(f"{option} {shown(text)} {what}") from None
    if instant.tzinfo is None:
        raise ConfigurationError(f"{option} {shown(text)} states no offset from UTC; add it, such as +08:00 or Z")
    return instant.astimezone(UTC)


def since_of(text: str, now: datetime, *, option: str) -> datetime:
    """Return an instant that is given as such, as a day, or as the time that has passed since then.

    Raises:
        ConfigurationError: it is none of these.
    """
    if _DURATION.fullmatch(text.strip()):
        return now - duration_of(text, option=option)
    return instant_of(text, option=option)
