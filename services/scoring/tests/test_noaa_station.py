"""The scores of thirty years of NOAA's own regional virtual station, against NOAA's own columns.

The file's HotSpot is that of a pixel and not of its SST column, so the reef is driven with MMM + HotSpot on days with a HotSpot
above 0 and with min(SST, MMM) on others, as its data must be read.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reefmesh.contracts.readings import Reading
from reefmesh.contracts.register import ReefFacts
from reefmesh_scoring.domain.fixed_point import to_e4
from reefmesh_scoring.domain.heat_span import Stretch, score_span
from reefmesh_scoring.domain.heat_stress import DayRecord, score_days
from reefmesh_scoring.domain.solar_day import date_of, day_of

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

MMM = 29.6264
FIRST_VALID_DHW = date(1985, 3, 25)
FIRST_VALID_LEVEL = date(1985, 3, 31)

Row = tuple[datetime, float, float, float, int]


def driven(row: Row) -> float:
    _, sst, hotspot, _, _ = row
    return MMM + hotspot if hotspot > 0 else min(sst, MMM)


def check(row: Row, *, hotspot: float, dhw: float, level_7day_max: int) -> None:
    at, _, noaa_hotspot, noaa_dhw, noaa_level = row
    if at.date() >= FIRST_VALID_DHW:
        assert noaa_hotspot == pytest.approx(max(0.0, hotspot), abs=1e-4), at
        assert noaa_dhw == pytest.approx(dhw, abs=1e-3), at
    if at.date() >= FIRST_VALID_LEVEL:
        assert noaa_level == min(level_7day_max, 4), at


def test_noaa_station_by_definition_has_noaas_digits_on_every_day(noaa_rows: list[Row]) -> None:
    record = [DayRecord(day=day_of(row[0].date()), sst_e4=to_e4(driven(row)), readings=1) for row in noaa_rows]
    scored = score_days(record, to_e4(MMM), 0)
    assert len(noaa_rows) == len(scored) == 10957
    for row, day in zip(noaa_rows, scored, strict=True):
        assert row[0].date() == date_of(day.day)
        assert day.hotspot_e4 is not None
        assert day.dhw_e4_days is not None
        assert day.level_7day_max is not None
        check(row, hotspot=day.hotspot_e4 / 1e4, dhw=day.dhw_e4_days / 7e4, level_7day_max=day.level_7day_max)
    sst_e4, days = [to_e4(driven(row)) for row in noaa_rows], len(noaa_rows)
    stretch = Stretch(base=scored[0].day, sst_e4=sst_e4, readings=[1] * days, suspect_e4=[0] * days)
    whole = score_span(
        stretch, first=stretch.base, last=stretch.end - 1, first_day=stretch.base, mmm_e4=to_e4(MMM), accuracy_e4=0
    )
    assert scored == whole


async def test_noaa_station_through_the_handler_has_noaas_digits_on_every_day(
    noaa_rows: list[Row], mesh: "Mesh", make_reading: Callable[..., Reading], make_reef: Callable[..., ReefFacts]
) -> None:
    """Readings at solar midnight of a reef at the station's longitude, so that each makes the night value of its own date."""
    longitude = -81.625
    reef = make_reef(longitude_degrees=longitude, mmm_celsius=MMM)
    midnight = timedelta(hours=-longitude / 15)
    for start in range(0, len(noaa_rows), 400):
        part = noaa_rows[start : start + 400]
        await mesh.send(*(make_reading(row[0] + midnight, t=round(driven(row), 4)) for row in part), reef=reef)
    days = await mesh.days()
    assert len(noaa_rows) == len(days)
    for row, day in zip(noaa_rows, days, strict=True):
        assert row[0].date() == day.date
        assert day.hotspot_celsius is not None
        assert day.dhw_celsius_weeks is not None
        assert day.level_7day_max is not None
        check(row, hotspot=day.hotspot_celsius, dhw=day.dhw_celsius_weeks, level_7day_max=day.level_7day_max)
    (score,) = await mesh.send(make_reading(noaa_rows[-1][0] + midnight + timedelta(hours=1), t=20.0), reef=reef)
    highest = max(noaa_rows, key=lambda row: row[3])
    assert highest[3] == pytest.approx(score.heat.highest_dhw_celsius_weeks, abs=1e-3)
    assert highest[0].date() == score.heat.highest_dhw_date


Rule = Callable[[list[float]], list[float]]
WRONG_RULES: dict[str, Rule] = {
    "HotSpot - 1 instead of HotSpot": lambda window: [value - 1 for value in window[-84:] if value >= 1.0],
    "every HotSpot above 0": lambda window: window[-84:],
    "85 days": lambda window: [value for value in window if value >= 1.0],
    "83 days": lambda window: [value for value in window[-83:] if value >= 1.0],
    "above 1.0 only": lambda window: [value for value in window[-84:] if value > 1.0],
}


def farthest(noaa_rows: list[Row], rule: Rule) -> float:
    """Return how far (degC-weeks) the DHW by a rule gets from NOAA's column on its worst day."""
    hotspots = [row[2] for row in noaa_rows]
    return max(abs(sum(rule(hotspots[day - 84 : day + 1])) / 7 - noaa_rows[day][3]) for day in range(84, len(hotspots)))


def test_noaa_column_accepts_the_right_rule(noaa_rows: list[Row]) -> None:
    assert farthest(noaa_rows, lambda window: [value for value in window[-84:] if value >= 1.0]) < 1e-3


@pytest.mark.parametrize("name", WRONG_RULES)
def test_noaa_column_refuses_each_wrong_rule(noaa_rows: list[Row], name: str) -> None:
    """What the checks above would not notice they would not prove: every known mistake is far outside their tolerance."""
    assert farthest(noaa_rows, WRONG_RULES[name]) > 0.1
