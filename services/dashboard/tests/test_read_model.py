"""The read model on every database: what each message changes, in whatever order the messages come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reefmesh.contracts.channels import READINGS
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.readings import Readings
from reefmesh.contracts.schema import READINGS_1
from reefmesh.contracts.scores import CarbonateDay, DayScore, ReefScore
from reefmesh.errors import PoisonMessage
from reefmesh_dashboard.domain.aggregate import Aggregate, from_body
from reefmesh_dashboard.taken_readings import take_readings

if TYPE_CHECKING:
    from services.dashboard.tests.conftest import Bench, Samples

    from reefmesh.store.port import Row, Store, Value


async def sums(bench: Bench, table: str) -> dict[tuple[int, str], Aggregate]:
    """The sums of temperature, by place in time and buoy."""
    return {(at, buoy): from_body(body)[SEA_WATER_TEMPERATURE] for _, at, buoy, body in await bench.rows(table)}


async def test_readings_become_hours_and_days_of_their_scored_values(any_bench: Bench, samples: type[Samples]) -> None:
    bench = any_bench
    await bench.readings(samples.reading(0, t=29.0), samples.reading(10, t=30.5), samples.reading(20, t=99.0, flag=Flag.FAIL))
    await bench.readings(samples.reading(-60, t=28.0), samples.reading(0, buoy="b2", t=27.0), samples.reading(30, t=None))
    noon_us = int(samples.START.timestamp() * 1_000_000)
    two = Aggregate(count=2, sum_steps=59_500_000, lowest=29.0, highest=30.5, left_out=1)
    one = Aggregate(count=1, sum_steps=28_000_000, lowest=28.0, highest=28.0)
    other = Aggregate(count=1, sum_steps=27_000_000, lowest=27.0, highest=27.0)
    assert {(noon_us, "b1"): two, (noon_us - 3_600_000_000, "b1"): one, (noon_us, "b2"): other} == await sums(bench, "hours")
    day = (samples.START.date() - date(1970, 1, 1)).days
    three = Aggregate(count=3, sum_steps=87_500_000, lowest=28.0, highest=30.5, left_out=1)
    assert {(day, "b1"): three, (day, "b2"): other} == await sums(bench, "days")
    assert pytest.approx(29.1666666667) == three.mean


async def test_later_revision_replaces_a_reading_and_an_earlier_one_changes_nothing(
    any_bench: Bench, samples: type[Samples]
) -> None:
    bench = any_bench
    await bench.readings(samples.reading(0, revision=2, t=29.0))
    await bench.readings(samples.reading(0, revision=1, t=35.0))
    assert [29.0] == [each.highest for each in (await sums(bench, "hours")).values()]
    await bench.readings(samples.reading(0, revision=3, t=28.0))
    assert [28.0] == [each.highest for each in (await sums(bench, "days")).values()]
    assert [3] == [revision for _, _, _, revision, *_ in await bench.rows("readings")]


async def test_withdrawn_reading_counts_nowhere_and_may_come_back(any_bench: Bench, samples: type[Samples]) -> None:
    bench = any_bench
    await bench.readings(samples.reading(0, t=29.0))
    await bench.readings(samples.reading(0, revision=2, withdrawn=True, t=29.0))
    assert [] == [*await bench.rows("hours"), *await bench.rows("days")]
    assert [1] == [withdrawn for _, _, _, _, withdrawn, *_ in await bench.rows("readings")]
    await bench.readings(samples.reading(0, revision=3, t=29.0))
    assert [1] == [each.count for each in (await sums(bench, "days")).values()]


async def test_readings_of_many_months_lie_in_their_months(any_bench: Bench, samples: type[Samples]) -> None:
    """Also after a restart, when the process knows no month, and beside another process."""
    bench = any_bench
    days = [datetime(1987, 6, 30, 23, 59, tzinfo=UTC), datetime(1987, 7, 1, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)]
    await bench.readings(*(samples.reading(at, t=29.0) for at in days))
    bench.restart()
    await bench.readings(samples.reading(days[1] + timedelta(days=30), t=28.0), reef=samples.reef("south-wall"))
    assert ["1987-06", "1987-07", "2024-02"] == [month for month, _, _ in await bench.rows("months")]
    assert 4 == len(await bench.rows("readings")) == len(await bench.rows("hours")) == len(await bench.rows("days"))


async def test_month_of_postgresql_is_a_partition_that_is_dropped_alone(
    postgresql_schema_url: str, benches: Callable[..., AbstractAsyncContextManager[Bench]], samples: type[Samples]
) -> None:
    async with benches(postgresql_schema_url) as bench:
        await bench.readings(samples.reading(0, t=29.0), samples.reading(-30 * 24 * 60, t=28.0))
        parts = (
            "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
            " AND relnamespace = CAST(current_schema() AS regnamespace) ORDER BY 1"
        )
        made = [name for (name,) in await bench.store.fetch(parts)]
        assert ["hours_2026_10", "hours_2026_11", "readings_2026_10", "readings_2026_11"] == made
        ((october,),) = await bench.store.fetch("SELECT COUNT(*) FROM readings_2026_10")
        assert 1 == october


@pytest.mark.parametrize("at", [datetime(1969, 12, 31, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)])
async def test_reading_of_an_impossible_time_is_poison_and_makes_no_month(
    at: datetime, bench: Bench, samples: type[Samples]
) -> None:
    with pytest.raises(PoisonMessage, match="impossible-time"):
        await bench.readings(samples.reading(at, t=29.0))
    assert [] == await bench.rows("months")


async def test_body_about_another_reef_is_poison(bench: Bench, samples: type[Samples]) -> None:
    body = Readings(reef=samples.reef("south-wall"), buoys=[], readings=[samples.reading(0, t=29.0)])
    with pytest.raises(PoisonMessage, match="wrong-reef"):
        await bench.handle(READINGS.name, READINGS_1, samples.REEF, body)


async def test_facts_and_score_of_a_reef_meet_in_one_row_in_either_order(any_bench: Bench, samples: type[Samples]) -> None:
    bench = any_bench
    for reef_id, score_first in (("a", True), ("b", False)):
        facts, score = samples.reef(reef_id, name="The Wall"), samples.score(reef_id=reef_id)
        if score_first:
            await bench.score(score, seq=1)
        await bench.readings(samples.reading(0, t=29.0), reef=facts, seq=1)
        if not score_first:
            await bench.score(score, seq=1)
    known = await bench.store.fetch("SELECT name, latitude_degrees, score_seq, score_json FROM reefs ORDER BY reef_id")
    assert [("The Wall", -8.5, 1)] * 2 == [tuple(row[:3]) for row in known]
    assert all(ReefScore.model_validate_json(row[3]).dive.verdict == "good" for row in known)


async def test_older_score_and_older_facts_change_nothing(any_bench: Bench, samples: type[Samples]) -> None:
    """A message that was parked is replayed after later ones."""
    bench = any_bench
    on = samples.START.date()
    await bench.score(samples.score(heat=samples.heat(samples.day(on, 2)), dive=samples.dive("poor")), seq=8)
    await bench.readings(samples.reading(0, t=29.0), reef=samples.reef(name="new"), seq=8)
    yesterday = samples.day(on - timedelta(days=1), 1)
    await bench.score(samples.score(heat=samples.heat(yesterday, samples.day(on, 5))), seq=7)
    await bench.readings(samples.reading(1, t=29.0), reef=samples.reef(name="old"), seq=7)
    ((name, body),) = await bench.store.fetch("SELECT name, score_json FROM reefs")
    assert ("new", "poor") == (name, ReefScore.model_validate_json(body).dive.verdict)
    days = [DayScore.model_validate_json(row[3]) for row in await bench.rows("heat_days")]
    assert [1, 2] == [day.level for day in days], "the parked score sets only the day that no later one has set"


async def test_days_that_were_withdrawn_are_gone(any_bench: Bench, samples: type[Samples]) -> None:
    bench = any_bench
    on = samples.START.date()
    before = on - timedelta(days=1)
    await bench.score(
        samples.score(
            heat=samples.heat(samples.day(before), samples.day(on)), carbonate=samples.carbonate((before, 3.2), (on, 3.3))
        )
    )
    await bench.score(samples.score(heat=samples.heat(samples.day(before)), carbonate=samples.carbonate((before, 3.1))))
    assert [before] == [DayScore.model_validate_json(row[3]).date for row in await bench.rows("heat_days")]
    assert 1 == len(await bench.rows("carbonate_days"))


async def test_alert_is_kept_once(any_bench: Bench, samples: type[Samples]) -> None:
    await any_bench.alert(samples.alert("a1"))
    await any_bench.alert(samples.alert("a1"))
    await any_bench.alert(samples.alert("a2", kind="quantity_silent", subject="b1/sea_water_temperature"))
    assert ["a1", "a2"] == [row[0] for row in await any_bench.rows("alerts")]


async def test_reading_after_a_repeat_and_a_late_one_is_added_to_what_is_kept(any_bench: Bench, samples: type[Samples]) -> None:
    """After a restart nothing is known of the newest hour but what the tables have."""
    bench, newest = any_bench, samples.reading(20, t=29.0)
    await bench.readings(newest)
    bench.restart()
    await bench.readings(samples.reading(-90, t=28.0), newest)
    await bench.readings(samples.reading(30, t=30.0))
    noon_us = int(samples.START.timestamp() * 1_000_000)
    assert 2 == (await sums(bench, "hours"))[noon_us, "b1"].count
    assert [3] == [each.count for each in (await sums(bench, "days")).values()]
    await bench.readings(samples.reading(40, t=31.0), samples.reading(20, revision=2, t=20.0))
    await bench.readings(samples.reading(50, t=32.0))
    hour = Aggregate(count=4, sum_steps=113_000_000, lowest=20.0, highest=32.0)
    assert hour == (await sums(bench, "hours"))[noon_us, "b1"]
    assert [5] == [each.count for each in (await sums(bench, "days")).values()]


class CountingStore:
    """Passes reads on, and counts them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0

    async def fetch(self, sql: str, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        self.reads += 1
        return await self._store.fetch(sql, parameters)


async def test_live_message_asks_no_table(bench: Bench, samples: type[Samples]) -> None:
    """It has a new reading, and the one before it in a new revision that counts for the same."""
    await bench.readings(samples.reading(0, t=29.0))
    counting = CountingStore(bench.store)
    state = bench.states[samples.REEF]
    live = Readings(
        reef=samples.reef(), buoys=[], readings=[samples.reading(0, revision=2, t=29.0), samples.reading(30, t=30.0)]
    )
    taken = await take_readings(counting, live, state, seq=2, now_us=1 << 60)
    assert 0 == counting.reads
    assert ["readings", "readings", "hours", "days"] == [write.sql.split()[2] for write in taken.writes]
    other = Readings(reef=samples.reef(), buoys=[], readings=[samples.reading(30, revision=2, t=31.0)])
    await take_readings(counting, other, state, seq=3, now_us=1 << 60)
    assert counting.reads > 0, "a revision that counts for something else is summed up from the tables"


async def test_unchanged_facts_are_not_written_again_and_older_ones_never(any_bench: Bench, samples: type[Samples]) -> None:
    bench = any_bench
    for seq in (1, 2, 4):
        await bench.readings(samples.reading(seq, t=29.0), reef=samples.reef(name="new"), seq=seq)
    await bench.readings(samples.reading(9, t=29.0), reef=samples.reef(name="old"), seq=3)
    assert [("new", 1)] == [tuple(row) for row in await bench.store.fetch("SELECT name, facts_seq FROM reefs")]


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("restarts", [False, True])
async def test_parked_score_leaves_the_judged_days_that_later_ones_told_alike(
    any_bench: Bench, samples: type[Samples], *, restarts: bool, goes_on: bool
) -> None:
    """Days that score after score tells alike are written once; the number in their rows must not look old for that."""
    bench, on = any_bench, samples.START.date()
    days = [(on - timedelta(days=back), 3.0 + back / 10) for back in (3, 2, 1)]
    for seq in (1, 2, 4):
        await bench.score(samples.score(carbonate=samples.carbonate(*days)), seq=seq)
    following = [*days[1:], (on, 3.9)] if goes_on else days[1:]
    if goes_on:
        await bench.score(samples.score(carbonate=samples.carbonate(*following)), seq=5)
    if restarts:
        bench.restart()
    parked = [(day, 1.0) for day, _ in days]
    await bench.score(samples.score(carbonate=samples.carbonate(*parked)), seq=3)
    rows = [CarbonateDay.model_validate_json(row[3]) for row in await bench.rows("carbonate_days")]
    assert [days[0], *following] == [(day.date, day.omega_aragonite) for day in rows]


async def test_long_score_is_kept_without_its_news(bench: Bench, samples: type[Samples]) -> None:
    on = samples.START.date()
    days = [samples.day(on - timedelta(days=back)) for back in range(60, -1, -1)]
    await bench.score(samples.score(heat=samples.heat(*days)))
    ((body,),) = await bench.store.fetch("SELECT score_json FROM reefs")
    kept = ReefScore.model_validate_json(body)
    assert ([], days[-1]) == (kept.heat.changed, kept.heat.latest)
    assert 61 == len(await bench.rows("heat_days"))
