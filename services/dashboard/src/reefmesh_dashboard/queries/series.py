"""Readings, hours and days of a reef, and its scored days, oldest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from reefmesh.contracts.scores import CarbonateDay, DayScore
from reefmesh_dashboard.domain.aggregate import ByQuantity, from_body
from reefmesh_dashboard.queries.reading import Reader

# A withdrawn reading counts nowhere, and is not shown.
_SELECT_READINGS: Final = (
    "SELECT observed_us, buoy_id, revision, received_us, time_source, body_json FROM readings"
    " WHERE reef_id = ? AND observed_us >= ? AND observed_us < ?"
    " AND (observed_us, buoy_id) > (?, ?) AND withdrawn = 0 ORDER BY observed_us, buoy_id LIMIT ?"
)
_SELECT_HOURS: Final = (
    "SELECT hour_us, buoy_id, body_json FROM hours WHERE reef_id = ? AND hour_us >= ? AND hour_us < ?"
    " AND (hour_us, buoy_id) > (?, ?) ORDER BY hour_us, buoy_id LIMIT ?"
)
_SELECT_DAYS: Final = (
    "SELECT day, buoy_id, body_json FROM days WHERE reef_id = ? AND day >= ? AND day < ?"
    " AND (day, buoy_id) > (?, ?) ORDER BY day, buoy_id LIMIT ?"
)
_SELECT_HEAT: Final = "SELECT body_json FROM heat_days WHERE reef_id = ? AND day >= ? AND day < ? ORDER BY day LIMIT ?"
_SELECT_CARBONATE: Final = (
    "SELECT body_json FROM carbonate_days WHERE reef_id = ? AND day >= ? AND day < ? ORDER BY day LIMIT ?"
)


class SeriesPlace(NamedTuple):
    """A row's place in a series: its microsecond or day, and its buoy."""

    at: int
    buoy_id: str


BEFORE_ALL: Final = SeriesPlace(-(1 << 62), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A part of a series: from ``first`` on, before ``end``, after ``after``, at most ``limit`` rows."""

    reef_id: str
    first: int
    end: int
    after: SeriesPlace = BEFORE_ALL
    limit: int

    @property
    def parameters(self) -> tuple[str, int, int, int, str, int]:
        return (self.reef_id, self.first, self.end, self.after.at, self.after.buoy_id, self.limit)


class ShownReading(NamedTuple):
    """A reading in its newest revision; ``body`` has its quantities."""

    place: SeriesPlace
    revision: int
    received_us: int
    time_source: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summed:
    """The values of a buoy in an hour or a day."""

    place: SeriesPlace
    sums: ByQuantity


async def readings_of(reader: Reader, asked: Asked) -> Sequence[ShownReading]:
    """Asked in microseconds."""
    rows = await reader.fetch(_SELECT_READINGS, asked.parameters)
    return [ShownReading(SeriesPlace(at, buoy_id), *row) for at, buoy_id, *row in rows]


async def hours_of(reader: Reader, asked: Asked) -> Sequence[Summed]:
    """Asked in microseconds."""
    return [_summed(*row) for row in await reader.fetch(_SELECT_HOURS, asked.parameters)]


async def days_of(reader: Reader, asked: Asked) -> Sequence[Summed]:
    """Asked in days of UTC since 1970-01-01."""
    return [_summed(*row) for row in await reader.fetch(_SELECT_DAYS, asked.parameters)]


async def heat_of(reader: Reader, reef_id: str, *, first: int, end: int, limit: int) -> Sequence[DayScore]:
    """Asked in solar dates as days since 1970-01-01."""
    rows = await reader.fetch(_SELECT_HEAT, (reef_id, first, end, limit))
    return [DayScore.model_validate_json(body) for (body,) in rows]


async def carbonate_of(reader: Reader, reef_id: str, *, first: int, end: int, limit: int) -> Sequence[CarbonateDay]:
    """Asked in solar dates as days since 1970-01-01."""
    rows = await reader.fetch(_SELECT_CARBONATE, (reef_id, first, end, limit))
    return [CarbonateDay.model_validate_json(body) for (body,) in rows]


def _summed(at: int, buoy_id: str, body: str) -> Summed:
    return Summed(place=SeriesPlace(at, buoy_id), sums=from_body(body))
