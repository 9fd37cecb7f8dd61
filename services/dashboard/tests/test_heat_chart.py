"""The heat chart: where its lines are, and that it says what is not known by leaving it out."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from reefmesh_dashboard.pages.heat_chart import HEIGHT, LEFT, RIGHT, WIDTH, heat_chart

if TYPE_CHECKING:
    from services.dashboard.tests.conftest import Bench, Samples

MOVES = re.compile(r"M(\d+) (\d+)")
POINTS = re.compile(r"[ML](\d+) (\d+)")


def test_chart_has_a_point_for_each_day_and_a_gap_for_each_missing_one(samples: type[Samples]) -> None:
    on = samples.START.date()
    days = [samples.day(on - timedelta(days=back), sst_celsius=30.0 - back / 100) for back in range(364, -1, -1) if back != 100]
    chart = heat_chart(days, mmm_celsius=29.0, today=on)
    assert chart is not None
    assert 2 == len(MOVES.findall(chart.water)) == len(MOVES.findall(chart.heat))
    points = [(int(x), int(y)) for x, y in POINTS.findall(chart.water)]
    assert 364 == len(points)
    assert (LEFT, WIDTH - RIGHT) == (points[0][0], points[-1][0])
    assert points[-1][1] < points[0][1], "warmer is higher"
    assert chart.bleaching is not None
    assert chart.mmm is not None
    assert points[-1][1] == chart.bleaching < chart.mmm, "30 degrees are MMM + 1"
    assert all(0 <= y <= HEIGHT for _, y in points)


def test_dhw_is_on_a_scale_that_holds_its_highest(samples: type[Samples]) -> None:
    on = samples.START.date()
    low = heat_chart([samples.day(on, dhw_celsius_weeks=4.0)], mmm_celsius=29.0, today=on)
    high = heat_chart([samples.day(on, dhw_celsius_weeks=22.3)], mmm_celsius=29.0, today=on)
    assert low is not None
    assert high is not None
    assert str(low.weeks[0].at) == POINTS.findall(low.heat)[1][1]
    assert "8" == POINTS.findall(high.heat)[1][1], "the top of the drawing"
    assert "22.3 degree Celsius-weeks" in high.summary
    none = heat_chart([samples.day(on, dhw_celsius_weeks=0.0)], mmm_celsius=29.0, today=on)
    assert none is not None
    assert "no degree heating weeks came together" in none.summary


def test_without_temperature_there_is_no_chart_and_without_mmm_no_line_of_it(samples: type[Samples]) -> None:
    on = samples.START.date()
    assert heat_chart([], mmm_celsius=29.0, today=on) is None
    assert heat_chart([samples.day(on, None, sst_celsius=None)], mmm_celsius=29.0, today=on) is None
    assert heat_chart([samples.day(on - timedelta(days=400))], mmm_celsius=29.0, today=on) is None
    chart = heat_chart([samples.day(on, None)], mmm_celsius=None, today=on)
    assert chart is not None
    assert (None, None, "") == (chart.mmm, chart.bleaching, chart.heat)
    assert "no degree heating weeks are known" in chart.summary


async def test_site_page_has_the_chart_as_a_picture_with_its_words(bench: Bench, samples: type[Samples]) -> None:
    on = samples.START.date()
    days = [samples.day(on - timedelta(days=back)) for back in (2, 1, 0)]
    await bench.score(samples.score(heat=samples.heat(*days)))
    async with bench.visitor() as visitor:
        page = (await visitor.get(f"/reefs/{samples.REEF}")).text
    (svg,) = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    drawn = ElementTree.fromstring(svg)  # noqa: S314 - our own page
    assert "img" == drawn.get("role")
    assert "3 days of water temperature from 2026-11-27 to 2026-11-29" in (drawn.findtext("desc") or "")
    assert "style=" not in svg, "the content security policy allows none"
    assert "<script" not in svg
