"""The tables of solar dates: the totals of each, and its score."""

from collections.abc import Iterable, Sequence
from typing import Final

from reefmesh.contracts.scores import HeatStatus
from reefmesh.store.port import Row, Store, Write
from reefmesh_scoring.domain.heat_revision import Days
from reefmesh_scoring.domain.heat_stress import DayHeat
from reefmesh_scoring.domain.solar_day import TOTALS, DayTotals

PAGE_ROWS: Final = 5000
DAYS_PER_QUERY_LIMIT: Final = 256

_TOTALS_COLUMNS: Final = (
    "night_temperature_e4, night_temperature_count, temperature_e4, temperature_count, night_suspect_count, suspect_count, "
    "ph_e4, ph_count, pco2_e4, pco2_count, salinity_e4, salinity_count"
)
_SCORE_COLUMNS: Final = (
    "source, readings, suspect_e4, sst_e4, hotspot_e4, dhw_e4_days, dhw_low_e4_days, dhw_high_e4_days, "
    "level, level_7day_max, coverage_days, whole_days, filled_days, missing_days, suspect_days, status"
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
_SELECT_TOTALS: Final = (
    f"SELECT day, {_TOTALS_COLUMNS} FROM day_totals WHERE reef_id = ? AND day >= ? AND day <= ? ORDER BY day LIMIT ?"  # noqa: S608  # constant names
)
_SELECT_SCORES: Final = (
    f"SELECT day, {_SCORE_COLUMNS} FROM days WHERE reef_id = ? AND day >= ? AND day <= ? ORDER BY day LIMIT ?"  # noqa: S608  # constant names
)
_SELECT_HIGHEST: Final = (
    "SELECT dhw_e4_days, day FROM days WHERE reef_id = ? AND dhw_e4_days IS NOT NULL AND day < ? "
    "ORDER BY dhw_e4_days DESC, day LIMIT ?"
)


def put_totals(reef_id: str, day: int, totals: DayTotals) -> Write:
    """Return the statement that stores the totals of a day; a day without values to count has no row."""
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
    """Return the totals of the given days; a day without values to count is missing from the result."""
    found: dict[int, DayTotals] = {}
    for start in range(0, len(days), DAYS_PER_QUERY_LIMIT):
        part = list(days[start : start + DAYS_PER_QUERY_LIMIT])
        part += part[-1:] * ((1 << (len(part) - 1).bit_length()) - len(part))  # as in kept_readings.fetch_readings
        marks = ", ".join("?" * len(part))
        sql = f"SELECT day, {_TOTALS_COLUMNS} FROM day_totals WHERE reef_id = ? AND day IN ({marks})"  # noqa: S608  # only marks
        for row in await store.fetch(sql, (reef_id, *part)):
            found[row[0]] = list(row[1 : TOTALS + 1])
    return found


async def fetch_totals_between(store: Store, reef_id: str, days: Days) -> dict[int, DayTotals]:
    """Return the totals of a span of days, read in pages; a day without values to count is missing from the result."""
    found: dict[int, DayTotals] = {}
    first = days.first
    while page := await store.fetch(_SELECT_TOTALS, (reef_id, first, days.last, PAGE_ROWS)):
        found.update((row[0], list(row[1 : TOTALS + 1])) for row in page)
        first = page[-1][0] + 1
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
