"""The last days of a reef's heat: of the newest score that set each, bounded, in the unit of work; and their chart."""

from __future__ import annotations

import asyncio
import struct
import threading
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from reefmesh_alerts.charts.studio import CHARTS_KEPT, DRAWINGS_LIMIT, Studio, draw_with_matplotlib
from reefmesh_alerts.heat_days import DAYS_KEPT, DAYS_SHOWN
from reefmesh_alerts.reef_states import read_heat_days
from reefmesh_alerts.texts.background import HeatChart
from reefmesh_alerts.texts.heat_day import HeatDayRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from services.alerts.tests.conftest import AlertsBench, Samples


async def kept(bench: AlertsBench, reef_id: str = "north-wall") -> list[tuple[str, float | None]]:
    """The days that are told of, after a look at the rows: they are the same days, in whatever state the newest one is."""
    rows = await bench.store.fetch("SELECT day FROM heat_days WHERE reef_id = ? ORDER BY day", (reef_id,))
    days = await read_heat_days(bench.store, reef_id, limit=2 * DAYS_KEPT)
    assert [day.date.isoformat() for day in days] == [day for (day,) in rows]
    return [(day.date.isoformat(), day.dhw_celsius_weeks) for day in days]


async def test_days_are_kept_with_the_score_that_sets_them(bench: AlertsBench, samples: type[Samples]) -> None:
    await bench.send(samples.score(days=[samples.day(0, 0, dhw_celsius_weeks=1.0), samples.day(1, 3, dhw_celsius_weeks=None)]))
    await bench.send(samples.score(days=[samples.day(1, 3, dhw_celsius_weeks=2.0)]))
    first, second = await read_heat_days(bench.store, samples.REEF)
    assert ("2024-03-01", 1.0, 0) == (first.date.isoformat(), first.dhw_celsius_weeks, first.level_7day_max)
    assert ("2024-03-02", 2.0, 3, "ok") == (
        second.date.isoformat(),
        second.dhw_celsius_weeks,
        second.level_7day_max,
        second.status,
    )


async def test_score_without_days_writes_none(bench: AlertsBench, samples: type[Samples]) -> None:
    await bench.send(samples.score(days=[samples.day(0, 0)]))
    score = samples.score(days=[samples.day(0, 0)])
    quiet = score.model_copy(update={"heat": score.heat.model_copy(update={"changed": []})})
    before = await bench.store.fetch("SELECT reef_id, day, seq FROM heat_days")
    await bench.send(quiet)
    assert before == await bench.store.fetch("SELECT reef_id, day, seq FROM heat_days")


async def test_days_of_a_long_record_are_bounded(bench: AlertsBench, samples: type[Samples]) -> None:
    """Nothing grows for ever; of two reefs, each keeps its own."""
    await bench.send(samples.score(days=[samples.day(-5, 0)], reef_id="other"))
    for start in range(0, 600, 200):
        await bench.send(samples.score(days=[samples.day(start + number, 0) for number in range(200)]))
    assert DAYS_KEPT + 1 == len(await kept(bench))
    shown = await read_heat_days(bench.store, samples.REEF)
    assert DAYS_SHOWN == len(shown)
    assert samples.START.date() + timedelta(days=599) == shown[-1].date
    assert 1 == len(await kept(bench, "other"))


async def test_withdrawn_days_go(bench: AlertsBench, samples: type[Samples]) -> None:
    await bench.send(samples.score(days=[samples.day(0, 0), samples.day(9, 3)]))
    await bench.send(samples.score(days=[samples.day(0, 0)]))
    assert ["2024-03-01"] == [day for day, _ in await kept(bench)]


async def test_order_of_arrival_does_not_matter(benches: Callable[..., Any], samples: type[Samples]) -> None:
    """A parked score that is handled late sets only what no later one has set."""
    scores = [
        samples.score(days=[samples.day(0, 0, dhw_celsius_weeks=1.0), samples.day(1, 0, dhw_celsius_weeks=1.5)]),
        samples.score(days=[samples.day(1, 0, dhw_celsius_weeks=2.0), samples.day(2, 0, dhw_celsius_weeks=2.5)]),
        samples.score(days=[samples.day(1, 0, dhw_celsius_weeks=3.0), samples.day(2, 0, dhw_celsius_weeks=3.5)]),
    ]
    ends = []
    for seed in range(6):
        order = [0, 1, 2]
        Random(seed).shuffle(order)
        async with benches() as bench:
            for number in order:
                bench.sent = number
                await bench.send(scores[number])
            ends.append(await kept(bench))
    assert [[("2024-03-01", 1.0), ("2024-03-02", 3.0), ("2024-03-03", 3.5)]] * 6 == ends


async def test_newest_day_is_told_as_it_is_and_its_row_is_written_when_it_begins_and_when_the_next_one_does(
    bench: AlertsBench, samples: type[Samples]
) -> None:
    """The state that tells so is loaded anew for each score, as after a restart."""
    rows = []
    for day, dhw in ((0, 1.0), (0, 2.0), (0, 3.0), (1, 4.0)):
        await bench.send(samples.score(days=[samples.day(day, 0, dhw_celsius_weeks=dhw)]))
        assert dhw == (await kept(bench))[-1][1]
        rows.append(
            [tuple(row) for row in await bench.store.fetch("SELECT seq, dhw_celsius_weeks FROM heat_days ORDER BY day")]
        )
    assert [[(1, 1.0)], [(1, 1.0)], [(1, 1.0)], [(3, 3.0), (4, 4.0)]] == rows


@pytest.mark.parametrize("late", [4, 5])
async def test_day_that_a_later_score_left_as_it_was_is_not_set_by_one_that_is_handled_late(
    bench: AlertsBench, samples: type[Samples], late: int
) -> None:
    """Neither while the day is the newest, nor once another one has begun."""
    scores = {number: samples.score(days=[samples.day(0, 0, dhw_celsius_weeks=1.0)]) for number in (1, 3)}
    scores[4] = samples.score(days=[samples.day(1, 0, dhw_celsius_weeks=1.5)])
    scores[2] = samples.score(days=[samples.day(0, 0, dhw_celsius_weeks=9.0)])
    for number in sorted(scores, key=lambda each: late - 0.5 if each == 2 else each):
        bench.sent = number - 1
        await bench.send(scores[number])
    assert [("2024-03-01", 1.0), ("2024-03-02", 1.5)] == await kept(bench)


async def test_day_that_only_a_score_handled_late_has_set_is_written(bench: AlertsBench, samples: type[Samples]) -> None:
    for number in (1, 3, 2):
        bench.sent = number - 1
        await bench.send(samples.score(days=[samples.day(number, 0)]))
    assert ["2024-03-02", "2024-03-03", "2024-03-04"] == [day for day, _ in await kept(bench)]


async def test_earlier_day_is_revised_with_the_score_that_begins_a_day_and_later(
    bench: AlertsBench, samples: type[Samples]
) -> None:
    newest = samples.day(1, 0, dhw_celsius_weeks=1.5)
    await bench.send(samples.score(days=[samples.day(0, 0, dhw_celsius_weeks=1.0)]))
    for dhw in (2.0, 3.0):
        await bench.send(samples.score(days=[samples.day(0, 0, dhw_celsius_weeks=dhw), newest]))
        assert [("2024-03-01", dhw), ("2024-03-02", 1.5)] == await kept(bench)


async def test_withdrawn_day_that_comes_back_as_it_was_is_written_again(bench: AlertsBench, samples: type[Samples]) -> None:
    first, second = samples.day(0, 0), samples.day(1, 3)
    for days in ([first, second], [first], [first, second]):
        await bench.send(samples.score(days=days))
        assert [day.date.isoformat() for day in days] == [day for day, _ in await kept(bench)]


def rows(samples: type[Samples], count: int, dhw: float | None = 5.0) -> list[HeatDayRow]:
    return [
        HeatDayRow(
            date=samples.START.date() + timedelta(days=number),
            sst_celsius=None if number % 7 == 3 else 29 + number / 40,
            hotspot_celsius=None if number % 7 == 3 else number / 40,
            dhw_celsius_weeks=None if dhw is None else dhw * number / 20,
            level_7day_max=1,
            status="ok",
            day_status="ok",
        )
        for number in range(count)
    ]


def test_chart_is_a_small_picture_in_two_forms(samples: type[Samples]) -> None:
    chart = draw_with_matplotlib(rows(samples, 90))
    for picture in (chart.light, chart.dark):
        assert picture.startswith(b"\x89PNG\r\n")
        assert (900, 555) == struct.unpack(">II", picture[16:24])
        assert len(picture) < 100_000
    assert chart.light != chart.dark
    assert chart == draw_with_matplotlib(rows(samples, 90))


class Painter:
    """Draws what it is told, and notes where and how often."""

    def __init__(self) -> None:
        self.drawn: list[Sequence[HeatDayRow]] = []
        self.threads: set[int] = set()
        self.error: Exception | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, days: Sequence[HeatDayRow]) -> HeatChart:
        self.may_go_on.wait()
        self.drawn.append(days)
        self.threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error
        return HeatChart(light=b"light", dark=str(len(self.drawn)).encode())


async def test_chart_is_drawn_off_the_loop_once_for_the_same_days(samples: type[Samples]) -> None:
    painter = Painter()
    studio = Studio(painter)
    charts = [await studio.chart_of(rows(samples, count)) for count in (10, 10, 11, 10)]
    studio.close()
    assert [b"1", b"1", b"2", b"1"] == [chart.dark for chart in charts if chart is not None]
    assert threading.get_ident() not in painter.threads


async def test_charts_that_are_kept_are_bounded(samples: type[Samples]) -> None:
    painter = Painter()
    studio = Studio(painter)
    for count in [*range(2, CHARTS_KEPT + 3), 2]:
        await studio.chart_of(rows(samples, count))
    studio.close()
    assert CHARTS_KEPT + 2 == len(painter.drawn)


async def test_alert_does_not_wait_for_a_chart_that_takes_too_long_and_the_next_one_has_it(samples: type[Samples]) -> None:
    painter = Painter()
    painter.may_go_on.clear()
    studio = Studio(painter, within_seconds=0.01)
    charts = await asyncio.gather(*(studio.chart_of(rows(samples, count)) for count in range(2, DRAWINGS_LIMIT + 5)))
    assert {None} == set(charts)
    painter.may_go_on.set()
    async with asyncio.timeout(60):
        while await studio.chart_of(rows(samples, 2)) is None:
            pass
    studio.close()
    assert len(painter.drawn) <= DRAWINGS_LIMIT


async def test_fault_of_drawing_leaves_the_chart_out_and_a_missing_extra_turns_charts_off(samples: type[Samples]) -> None:
    painter = Painter()
    studio = Studio(painter)
    painter.error = ValueError("a bug")
    assert await studio.chart_of(rows(samples, 10)) is None
    painter.error = None
    assert await studio.chart_of(rows(samples, 10)) is not None
    painter.error = ImportError("No module named 'matplotlib'")
    assert await studio.chart_of(rows(samples, 11)) is None
    assert await studio.chart_of(rows(samples, 12)) is None
    studio.close()
    assert 3 == len(painter.drawn)


async def test_nothing_to_draw_is_no_chart(samples: type[Samples]) -> None:
    studio = Studio(Painter())
    assert [None, None] == [await studio.chart_of(rows(samples, 1)), await studio.chart_of(rows(samples, 9, dhw=None))]
    studio.close()
