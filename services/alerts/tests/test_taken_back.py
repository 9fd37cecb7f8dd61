"""Scores that know less than the ones before them, because readings were withdrawn: ``as_of`` goes back, and days vanish."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reefmesh.contracts.flags import Flag
from reefmesh_alerts import queries
from reefmesh_alerts.domain.heat import HeatWatch, forget_days_after, judge_days
from reefmesh_alerts.domain.reef_watch import ReefWatch, judge_score

if TYPE_CHECKING:
    from services.alerts.tests.conftest import AlertsBench, Samples

    from reefmesh.contracts.scores import DayScore

SECOND = timedelta(seconds=1)


def test_day_that_vanished_is_not_judged_when_its_deadline_passes(samples: type[Samples]) -> None:
    watch, _ = judge_days(HeatWatch(), [samples.day(0, 0, readings=9), samples.day(1, 3, readings=1)], as_of=samples.START)
    assert watch.waiting is not None
    watch = forget_days_after(watch, samples.day(0, 0, readings=10))
    assert (watch.waiting, watch.judged_on) == (None, samples.day(0, 0).date)


def test_judged_day_that_vanished_closes_what_it_opened_and_may_come_again(samples: type[Samples]) -> None:
    """One reading a day is judged at once; the level of the last day that stands is judged again, though it did not change."""
    watch, opened = told(ReefWatch(), samples, [samples.day(0, 0), samples.day(1, 3)], seq=1)
    assert opened == ["opened"]
    score = samples.score(days=[samples.day(0, 0)])
    taken_back = score.model_copy(update={"heat": score.heat.model_copy(update={"changed": []})})
    watch, transitions = judge_score(watch, taken_back, heard_at=samples.START, seq=2)
    assert [each.change for each in transitions] == ["closed"]
    assert (watch.heat.judged_on, watch.heat.known_on) == (samples.START.date(), samples.START.date())
    watch, again = told(watch, samples, [samples.day(1, 3)], seq=3)
    assert again == [], "that day's rise was told before"
    watch, next_day = told(watch, samples, [samples.day(2, 3)], seq=4)
    assert next_day == ["opened"]


def test_first_reading_of_a_day_that_comes_again_is_not_taken_for_a_whole_day(samples: type[Samples]) -> None:
    """A vanished day of one reading says nothing of how many a day holds."""
    watch, _ = judge_days(HeatWatch(), [samples.day(0, 0, readings=1), samples.day(1, 0, readings=1)], as_of=samples.START)
    watch = forget_days_after(watch, samples.day(0, 0, readings=9))
    watch, transitions = judge_days(watch, [samples.day(1, 3, readings=1)], as_of=samples.START)
    assert transitions == []
    assert watch.waiting is not None


def test_score_that_was_parked_and_comes_late_takes_nothing_back(samples: type[Samples]) -> None:
    watch, _ = told(ReefWatch(), samples, [samples.day(0, 0), samples.day(1, 3)], seq=5, seen=samples.START + 60 * SECOND)
    after, changes = told(watch, samples, [samples.day(0, 0)], seq=4, seen=samples.START)
    assert (changes, after.heat, after.buoys, after.seq) == ([], watch.heat, watch.buoys, 5)


def told(
    watch: ReefWatch, samples: type[Samples], days: list[DayScore], *, seq: int, seen: datetime | None = None
) -> tuple[ReefWatch, list[str]]:
    """Judge a score of these days; returns what is watched and the changes."""
    buoys = [] if seen is None else [samples.buoy(seen=seen)]
    score = samples.score(days=days, buoys=buoys)
    watch, transitions = judge_score(watch, score, heard_at=samples.START, seq=seq)
    return watch, [each.change for each in transitions]


def test_failing_value_and_its_copy_count_once(samples: type[Samples]) -> None:
    """The copy was taken for a reading first: its instant is later, and then it never was."""
    watch, seq = ReefWatch(), 0
    for minute in (0, 30):
        for seconds in (4, 0):
            seq += 1
            at = samples.START + timedelta(minutes=minute, seconds=seconds)
            score = samples.score(
                as_of=at, buoys=[samples.buoy(seen=at)], latest={"sea_water_temperature": samples.latest(Flag.FAIL, at=at)}
            )
            watch, transitions = judge_score(watch, score, heard_at=at, seq=seq)
            assert transitions == []
    assert watch.buoys["b1"].channels["sea_water_temperature"].fails == 2


@pytest.mark.parametrize("seconds", [-1, 0])
async def test_silence_counts_from_the_last_report_that_stands(
    bench: AlertsBench, samples: type[Samples], seconds: int
) -> None:
    """The deadline in the table goes back with ``last_seen_at``: the silence is told when it is one, and not after."""
    late = samples.START + timedelta(minutes=20)
    bench.clock.set(late)
    await bench.send(samples.score(as_of=late, buoys=[samples.buoy(seen=late)]))
    await bench.send(samples.score(as_of=samples.START, buoys=[samples.buoy(seen=samples.START)]))
    bench.clock.set(samples.START + timedelta(minutes=90, seconds=seconds))
    assert await bench.ticker.look_once() == (1 if seconds == 0 else 0)
    assert [each.kind for each in await queries.newest_alerts(bench.store)] == (["buoy_silent"] if seconds == 0 else [])
