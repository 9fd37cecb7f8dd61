"""The values that every archive reader yields."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedReading:
    """One instant of an archive: quantity -> value in the unit of ``quantities.UNITS``; absent values are left out."""

    observed_at: datetime
    channels: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A whole file: its readings in order of time, and the facts about the place in its header."""

    readings: list[RecordedReading]
    mmm_celsius: float | None = None
    latitude_degrees: float | None = None
    longitude_degrees: float | None = None
    name: str | None = None
