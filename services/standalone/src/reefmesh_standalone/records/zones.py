"""Time zones of records, as operators and files name them, and what local times mean in them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from reefmesh.errors import ConfigurationError
from reefmesh_standalone.records.mistake import shown

SITE: Final = "site"
"""In place of a zone: that of the reef, by its longitude."""

_OFFSET: Final = re.compile(r"(?:UTC|GMT)?\s*([+-])\s*(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)
_UTC_NAMES: Final = frozenset({"utc", "gmt", "z", "utc standard time"})
_HOURS_LIMIT: Final = 14
_DEGREES_PER_HOUR: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """``name`` is how it was stated, ``source`` by whom."""

    name: str
    source: str
    tz: tzinfo

    @property
    def is_fixed(self) -> bool:
        return isinstance(self.tz, timezone)


def offset_named(text: str, *, source: str) -> Zone | None:
    """Return an offset (``+08:00``, ``GMT+8``, ``UTC``), or None for anything else, also for abbreviations, which stand for
    several offsets each."""
    stripped = text.strip()
    if stripped.lower() in _UTC_NAMES:
        return Zone(name="UTC", source=source, tz=UTC)
    if (found := _OFFSET.fullmatch(stripped)) is None:
        return None
    hours, minutes = int(found[2]), int(found[3] or 0)
    if hours + minutes / 60 > _HOURS_LIMIT:
        return None
    ahead = timedelta(hours=hours, minutes=minutes)
    return Zone(name=stripped, source=source, tz=timezone(-ahead if found[1] == "-" else ahead))


def zone_of_option(text: str, *, longitude_degrees: float | None) -> Zone:
    """Return the zone that ``--timezone`` names: an offset, an IANA name, or ``site``.

    Raises:
        ConfigurationError: there is no such zone, or no site.
    """
    if text.strip().lower() == SITE:
        if longitude_degrees is None:
            raise ConfigurationError("--timezone site needs the reef: name it with --reef, or its buoy with --buoy")
        return _site(longitude_degrees)
    if (fixed := offset_named(text, source="--timezone")) is not None:
        return fixed
    try:
        return Zone(name=text.strip(), source="--timezone", tz=ZoneInfo(text.strip()))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(text, available_timezones(), n=1)
        meant = f"is {near[0]} meant?" if near else "Asia/Makassar, +08:00 and site are of the right kind"
        raise ConfigurationError(f"--timezone {shown(text)} is no time zone; {meant}") from None


def _site(longitude_degrees: float) -> Zone:
    hours = round(longitude_degrees / _DEGREES_PER_HOUR)
    name = f"UTC{hours:+03d}:00"
    return Zone(name=name, source=f"--timezone site: longitude {longitude_degrees:g}", tz=timezone(timedelta(hours=hours)))


def offsets_at(wall: datetime, tz: tzinfo) -> tuple[timedelta, timedelta]:
    """Return the offsets of a wall time before and after a change of the clocks; they are equal at any other time.

    The first is larger where the clocks go back and the time comes twice, smaller where it is skipped.
    """
    first, second = wall.replace(tzinfo=tz, fold=0).utcoffset(), wall.replace(tzinfo=tz, fold=1).utcoffset()
    if first is None or second is None:  # no tzinfo of ours is without an offset
        raise ValueError(f"{tz} has no offset at {wall}")
    return first, second
