"""Heat stress of one reef by NOAA Coral Reef Watch version 3.1, day by day, from records with holes in them.

Sources: Skirving et al. 2020, Remote Sensing 12:3856 (HotSpot, DHW, 84 days including today); the bleaching alert area
table of December 2023 (levels); gap filling, days without a night, coverage and status are this project's rules for buoys.
Temperatures are integers of 1e-4 degC (``..._e4``), accumulations are integers of 1e-4 degC-days (``..._e4_days``), and days
count from 1970-01-01 (``date.toordinal() - EPOCH_ORDINAL``).

``score_days`` is the definition in its simplest form; ``heat_span`` computes the same incrementally.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final, Literal, NamedTuple, assert_never

from reefmesh.contracts.scores import DaySource, DayStatus, HeatStatus, Level
from reefmesh_scoring.domain.fixed_point import E4

EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
DHW_DAYS: Final = 84
DAYS_PER_WEEK: Final = 7
LEVEL_DAYS: Final = 7
FILL_DAYS_LIMIT: Final = 7
WAIT_DAYS: Final = FILL_DAYS_LIMIT
"""For so many days after a night, a day without one waits for the next night instead of standing in with its daytime."""

COVERAGE_DAYS_MINIMUM: Final = 63
"""75 % of 84 days; with fewer days of readings a DHW is ``insufficient``, with fewer nights ``daytime_only``."""

SUSPECT_SHARE_LIMIT_E4: Final = E4 // 4
"""A day that lost a larger share of its readings as suspect is not ``ok``: as for days, 75 % are to be there."""

STRESS_E4: Final = 1 * E4
"""A HotSpot counts from 1.0 degC on, that value included."""

E4_DAYS_PER_DHW: Final = DAYS_PER_WEEK * E4
"""1 degC-week in the unit of the accumulations."""

_LEVEL_FROM_E4_DAYS: Final = (
    (20 * E4_DAYS_PER_DHW, Level.ALERT_5),
    (16 * E4_DAYS_PER_DHW, Level.ALERT_4),
    (12 * E4_DAYS_PER_DHW, Level.ALERT_3),
    (8 * E4_DAYS_PER_DHW, Level.ALERT_2),
    (4 * E4_DAYS_PER_DHW, Level.ALERT_1),
)

RealSource = Literal["night", "whole_day"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRecord:
    """One solar date with readings. ``sst_e4`` is None when it has no temperature that can be scored.

    ``suspect_e4`` is the share of its readings that was left out as suspect, in 1e-4.
    """

    day: int
    sst_e4: int | None
    source: RealSource = "night"
    readings: int = 0
    suspect_e4: int = 0


class DayHeat(NamedTuple):
    """Heat stress on one day. A tuple is fast: a late reading compares and writes a hundred of them.

    ``coverage_days`` counts the nights among the days that DHW is summed over; these are ``coverage_days`` + ``whole_days`` +
    ``filled_days`` + ``missing_days``, and ``suspect_days`` of them lost too many readings. The last four, and ``suspect_e4``,
    are None on a day that was scored before they were counted.
    """

    day: int
    source: DaySource
    readings: int
    suspect_e4: int | None
    sst_e4: int | None
    hotspot_e4: int | None
    dhw_e4_days: int | None
    dhw_low_e4_days: int | None
    dhw_high_e4_days: int | None
    level: int | None
    level_7day_max: int | None
    coverage_days: int
    whole_days: int | None
    filled_days: int | None
    missing_days: int | None
    suspect_days: int | None
    status: HeatStatus


def level_of(hotspot_e4: int, dhw_e4_days: int) -> Level:
    """Return the single-day level. Without a HotSpot on that day it is no stress, however high the DHW."""
    if hotspot_e4 <= 0:
        return Level.NO_STRESS
    if hotspot_e4 < STRESS_E4:
        return Level.WATCH
    for least_e4_days, level in _LEVEL_FROM_E4_DAYS:
        if dhw_e4_days >= least_e4_days:
            return level
    return Level.WARNING


def status_of(
    *,
    night_days: int,
    whole_days: int,
    missing_days: int,
    suspect_days: int,
    observed_days: int,
    age_days: int,
    mmm_known: bool,
) -> HeatStatus:
    """Return how reliable a DHW is: the first status that applies.

    All but ``age_days`` (1 on the first day on record) count days of the last 84: with a night, standing in with their daytime,
    without a value, with too many suspect readings, and (``observed_days``) with any scored reading.
    """
    if not mmm_known or not night_days + whole_days:
        return HeatStatus.UNKNOWN
    if age_days < DHW_DAYS:
        return HeatStatus.WARMING_UP
    if observed_days < COVERAGE_DAYS_MINIMUM:
        return HeatStatus.INSUFFICIENT
    if whole_days or night_days < COVERAGE_DAYS_MINIMUM:
        return HeatStatus.DAYTIME_ONLY
    if suspect_days:
        return HeatStatus.SUSPECT_SHARE
    return HeatStatus.LOWER_BOUND if missing_days else HeatStatus.OK


def day_status_of(source: DaySource, suspect_e4: int | None) -> DayStatus:
    """Return what is to be said of a day's own value: the first that applies."""
    if suspect_e4 is not None and suspect_e4 > SUSPECT_SHARE_LIMIT_E4:
        return "suspect_share"
    match source:
        case "missing" | "filled":
            return source
        case "whole_day":
            return "daytime_only"
        case "night":
            return "ok"
        case _:
            assert_never(source)


def between_e4(before_e4: int, after_e4: int, step: int, steps: int) -> int:
    """Return the value on the line, ``step`` of ``steps`` days after ``before_e4``, to the nearest 1e-4 degC (halves up)."""
    return before_e4 + (2 * (after_e4 - before_e4) * step + steps) // (2 * steps)


def fill_gaps(nights_e4: Mapping[int, int]) -> dict[int, int]:
    """Return day -> value for the days inside gaps of at most 7 days between two nights, on a straight line."""
    filled: dict[int, int] = {}
    days = sorted(nights_e4)
    for before, after in pairwise(days):
        steps = after - before
        if steps - 1 <= FILL_DAYS_LIMIT:
            for step in range(1, steps):
                filled[before + step] = between_e4(nights_e4[before], nights_e4[after], step, steps)
    return filled


def stand_ins(records: Mapping[int, DayRecord], nights: Mapping[int, int], filled: Mapping[int, int]) -> dict[int, int]:
    """Return day -> value for the days without a night that stand in with their daytime: those that no fill replaces, and
    before which there was no night for a week."""
    return {
        day: record.sst_e4
        for day, record in records.items()
        if record.sst_e4 is not None
        and day not in nights
        and day not in filled
        and not any(before in nights for before in range(day - WAIT_DAYS, day))
    }


def accumulate_e4_days(sst_e4: Mapping[int, int], day: int, mmm_e4: int) -> int:
    """Return the sum of the HotSpots of at least 1.0 degC over the 84 days that end with ``day``."""
    hotspots = (sst_e4[each] - mmm_e4 for each in range(day - DHW_DAYS + 1, day + 1) if each in sst_e4)
    return sum(hotspot for hotspot in hotspots if hotspot >= STRESS_E4)


def score_days(days: Sequence[DayRecord], mmm_e4: int | None, accuracy_e4: int) -> list[DayHeat]:
    """Score a whole record: one row for every date from the first on record to the last.

    ``accuracy_e4`` is the sensor's stated accuracy: the band is the DHW of the same record that much colder and warmer.
    While ``warming_up`` DHW and level are what the record has so far, and so at least that.
    """
    if not days:
        return []
    records = {record.day: record for record in days}
    observed = {record.day for record in days if record.sst_e4 is not None}
    nights = {record.day: record.sst_e4 for record in days if record.sst_e4 is not None and record.source == "night"}
    filled = fill_gaps(nights)
    whole = stand_ins(records, nights, filled)
    suspect = {record.day for record in days if record.suspect_e4 > SUSPECT_SHARE_LIMIT_E4}
    values = nights | filled | whole
    first, last = min(records), max(records)
    levels: dict[int, int] = {}
    rows: list[DayHeat] = []
    for day in range(first, last + 1):
        window = range(max(first, day - DHW_DAYS + 1), day + 1)
        night_days = sum(each in nights for each in window)
        whole_days = sum(each in whole for each in window)
        missing_days = sum(each not in values for each in window)
        suspect_days = sum(each in suspect for each in window)
        status = status_of(
            night_days=night_days,
            whole_days=whole_days,
            missing_days=missing_days,
            suspect_days=suspect_days,
            observed_days=sum(each in observed for each in window),
            age_days=day - first + 1,
            mmm_known=mmm_e4 is not None,
        )
        sst_e4 = values.get(day)
        hotspot_e4 = dhw = low = high = None
        if mmm_e4 is not None and status is not HeatStatus.UNKNOWN:
            dhw = accumulate_e4_days(values, day, mmm_e4)
            low = accumulate_e4_days(values, day, mmm_e4 + accuracy_e4)
            high = accumulate_e4_days(values, day, mmm_e4 - accuracy_e4)
            if sst_e4 is not None:
                hotspot_e4 = sst_e4 - mmm_e4
                levels[day] = level_of(hotspot_e4, dhw)
        record = records.get(day)
        source: DaySource = "missing"
        if day in nights:
            source = "night"
        elif day in whole:
            source = "whole_day"
        elif day in filled:
            source = "filled"
        rows.append(
            DayHeat(
                day=day,
                source=source,
                readings=record.readings if record is not None and source in {"night", "whole_day"} else 0,
                suspect_e4=0 if record is None else record.suspect_e4,
                sst_e4=sst_e4,
                hotspot_e4=hotspot_e4,
                dhw_e4_days=dhw,
                dhw_low_e4_days=low,
                dhw_high_e4_days=high,
                level=levels.get(day),
                level_7day_max=max(
                    (levels[each] for each in range(day - LEVEL_DAYS + 1, day + 1) if each in levels), default=None
                ),
                coverage_days=night_days,
                whole_days=whole_days,
                filled_days=len(window) - night_days - whole_days - missing_days,
                missing_days=missing_days,
                suspect_days=suspect_days,
                status=status,
            )
        )
    return rows


def highest(rows: Sequence[DayHeat]) -> tuple[int, int] | None:
    """Return (DHW in 1e-4 degC-days, day) of the highest DHW, on its first day; None when there is none.

    A record of this reef, not a standard product.
    """
    known = [(row.dhw_e4_days, -row.day) for row in rows if row.dhw_e4_days is not None]
    if not known:
        return None
    dhw_e4_days, negative_day = max(known)
    return dhw_e4_days, -negative_day
