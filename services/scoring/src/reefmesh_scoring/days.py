"""The tables of solar dates: what is counted on each, and how each is scored."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from reefmesh.contracts.scores import HeatStatus
from reefmesh.store.port import Row, Store, Write
from reefmesh_scoring.domain.heat_revision import Days, NewValue
from reefmesh_scoring.domain.heat_span import NO_VALUE, Stretch
from reefmesh_scoring.domain.heat_stress import DayHeat
from reefmesh_scoring.domain.solar_day import TOTALS, DayTotals

RECENT_DAYS_LIMIT: Final = 256
"""Days at hand without a query: what it takes to score today, and a reading that is up to two months late."""

_RECENT_DAYS_SLACK: Final = 64
PAGE_ROWS: Final = 5000

_TOTALS_COLUMNS: Final = (
    "night_temperature_e4, night_temperature_count, temperature_e4, temperature_count, "
    "ph_e4, ph_count, pco2_e4, pco2_count, salinity_e4, salinity_count"
)
_SCORE_COLUMNS: Final = (
    "source, readings, sst_e4, hotspot_e4, dhw_e4_days, dhw_low_e4_days, dhw_high_e4_days, "
    "level, level_7day_max, coverage_days, status"
)


def _upsert(table: str, columns: str) -> str:
    names = columns.split(", ")
    marks = ", ".join("?" * (len(names) + 2))
    updates = ", ".join(f"{name} = excluded.{name}" for name in names)
    return (
        f"INSERT INTO {table} (reef_id, day, {columns}) VALUES ({marks}) "  # noqa: S608  # constant names
        f"ON CONFLICT (reef_id, day) DO UPDATE SET {updates}"
    )


_UPSERT_TOTALS: Final = _upsert("day_totals", _TOTALS_COLUMNS)
_UPSERT_SCORE: Final = _upsert("days", _SCORE_COLUMNS)
_DELETE_TOTALS: Final = "DELETE FROM day_totals WHERE reef_id = ? AND day = ?"
_SELECT_SCORES: Final = (
    f"SELECT day, {_SCORE_COLUMNS} FROM days WHERE reef_id = ? AND day >= ? AND day <= ? ORDER BY day LIMIT ?"  # noqa: S608  # constant names
)
_SELECT_HIGHEST: Final = (
    "SELECT dhw_e4_days, day FROM days WHERE reef_id = ? AND dhw_e4_days IS NOT NULL AND day < ? "
    "ORDER BY dhw_e4_days DESC, day LIMIT ?"
)


def put_totals(reef_id: str, day: int, totals: DayTotals) -> Write:
    """Return the statement that keeps the totals of a day; a day with nothing scored has no row."""
    if not any(totals):
        return Write(_DELETE_TOTALS, (reef_id, day))
    return Write(_UPSERT_TOTALS, (reef_id, day, *totals))


def upsert_score(reef_id: str, row: DayHeat) -> Write:
    return Write(_UPSERT_SCORE, (reef_id, *row))


def delete_scores_outside(reef_id: str, days: Days) -> Write:
    return Write("DELETE FROM days WHERE reef_id = ? AND (day < ? OR day > ?)", (reef_id, *days))


def delete_all(reef_id: str) -> tuple[Write, Write]:
    return (
        Write("DELETE FROM day_totals WHERE reef_id = ?", (reef_id,)),
        Write("DELETE FROM days WHERE reef_id = ?", (reef_id,)),
    )


async def fetch_totals(store: Store, reef_id: str, days: Sequence[int]) -> dict[int, DayTotals]:
    """Return what is counted on the named days; a day that is not there has nothing."""
    found: dict[int, DayTotals] = {}
    for start in range(0, len(days), RECENT_DAYS_LIMIT):
        part = list(days[start : start + RECENT_DAYS_LIMIT])
        part += part[-1:] * ((1 << (len(part) - 1).bit_length()) - len(part))  # few texts, see samples.fetch_samples
        marks = ", ".join("?" * len(part))
        sql = f"SELECT day, {_TOTALS_COLUMNS} FROM day_totals WHERE reef_id = ? AND day IN ({marks})"  # noqa: S608  # only marks
        for row in await store.fetch(sql, (reef_id, *part)):
            found[row[0]] = list(row[1 : TOTALS + 1])
    return found


async def fetch_scores(store: Store, reef_id: str, days: Days) -> list[DayHeat]:
    """Return the rows of a span of days, oldest first, read in pages."""
    rows: list[DayHeat] = []
    first = days.first
    while page := await store.fetch(_SELECT_SCORES, (reef_id, first, days.last, PAGE_ROWS)):
        rows.extend(_read(row) for row in page)
        first = page[-1][0] + 1
    return rows


async def fetch_highest(store: Store, reef_id: str, *, before: int, apart_from: Iterable[int] = ()) -> tuple[int, int] | None:
    """Return (DHW in 1e-4 degC-days, day) of the highest DHW before a day, leaving out the days ``apart_from``."""
    excluded = set(apart_from)
    for dhw_e4_days, day in await store.fetch(_SELECT_HIGHEST, (reef_id, before, len(excluded) + 1)):
        if day not in excluded:
            return dhw_e4_days, day
    return None


def _read(row: Row) -> DayHeat:
    return DayHeat._make((*row[:-1], HeatStatus(row[-1])))


class RecentDays:
    """The values of the newest days of a record, compactly: two integers a day."""

    __slots__ = ("_readings", "_sst_e4", "base")

    def __init__(self, base: int, rows: Iterable[DayHeat] = ()) -> None:
        self.base = base
        self._sst_e4 = array("i")
        self._readings = array("i")
        for row in rows:
            value = value_of(row)
            self._sst_e4.append(value.sst_e4)
            self._readings.append(value.readings)

    def __len__(self) -> int:
        return len(self._sst_e4)

    def put(self, day: int, value: NewValue) -> None:
        """Set the value of a day; the days between the end and a later day have none; a day before the base is not kept."""
        if (index := day - self.base) < 0:
            return
        if (lacking := index + 1 - len(self._sst_e4)) > 0:
            self._sst_e4.extend([NO_VALUE] * lacking)
            self._readings.extend([0] * lacking)
            if (surplus := len(self._sst_e4) - RECENT_DAYS_LIMIT) > _RECENT_DAYS_SLACK:
                del self._sst_e4[:surplus], self._readings[:surplus]
                self.base += surplus
                index -= surplus
        self._sst_e4[index] = value.sst_e4
        self._readings[index] = value.readings

    def stretch(self, days: Days, older: Iterable[DayHeat] = ()) -> Stretch:
        """Return a span of days as lists; ``older`` are the rows of those before ``base``."""
        length = days.last - days.first + 1
        lead = max(0, min(self.base, days.last + 1) - days.first)
        sst_e4 = [NO_VALUE] * lead
        readings = [0] * lead
        for row in older:
            sst_e4[row.day - days.first], readings[row.day - days.first] = value_of(row)
        start = max(0, days.first - self.base)
        end = max(0, days.last + 1 - self.base)
        sst_e4 += self._sst_e4[start:end].tolist()
        readings += self._readings[start:end].tolist()
        lacking = length - len(sst_e4)
        return Stretch(base=days.first, sst_e4=sst_e4 + [NO_VALUE] * lacking, readings=readings + [0] * lacking)


def value_of(row: DayHeat) -> NewValue:
    """Return what a day is worth by itself: a filled day is worth nothing."""
    if row.sst_e4 is None or row.source not in {"night", "whole_day"}:
        return NewValue(NO_VALUE, 0)
    return NewValue(row.sst_e4, row.readings if row.source == "night" else -row.readings)
