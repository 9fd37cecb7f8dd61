"""What a day and a DHW rest on, by records of the kind that reefs really send (docs/scoring.md)."""

import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import SEA_WATER_SPEED, SEA_WATER_TEMPERATURE
from reefmesh.contracts.readings import Reading
from reefmesh.contracts.register import ReefFacts
from reefmesh.contracts.schema import SCORES_1
from reefmesh.contracts.scores import DayScore, HeatStatus, Level, ReefScore
from reefmesh_scoring import queries

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

MakeReading = Callable[..., Reading]
MakeReef = Callable[..., ReefFacts]

START = datetime(2024, 1, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
LONGITUDE_DEGREES = 115.64
SOLAR_HOURS = LONGITUDE_DEGREES / 15
READINGS_PER_MESSAGE = 480
OLD_STATE = Path(__file__).parent / "data" / "scores_1.sql"
"""A store as the version before ``scores/2`` left it: a night with an afternoon, a day without a night, a night that lost three
of four readings as suspect, and again a day without a night."""


@pytest.fixture
def lagoon(make_reef: MakeReef) -> ReefFacts:
    return make_reef(latitude_degrees=-8.33, longitude_degrees=LONGITUDE_DEGREES, mmm_celsius=29.0)


def lagoon_celsius(solar_hour: float) -> float:
    """Shallow water: 28.8 degC by night, 31.2 degC at noon."""
    return 28.8 + 2.4 * max(0.0, math.sin(math.pi * (solar_hour - 6) / 12))


def hourly(make_reading: MakeReading, *, days: range, solar_hours: range, buoy: str = "b1") -> Iterator[Reading]:
    for day in days:
        for hour in solar_hours:
            yield make_reading(day + (hour - SOLAR_HOURS) / 24, buoy=buoy, t=round(lagoon_celsius(hour), 2))


async def send_all(mesh: "Mesh", readings: Iterator[Reading], reef: ReefFacts) -> ReefScore:
    everything = list(readings)
    scores: list[ReefScore] = []
    for start in range(0, len(everything), READINGS_PER_MESSAGE):
        scores = await mesh.send(*everything[start : start + READINGS_PER_MESSAGE], reef=reef)
    return scores[-1]


def latest_of(score: ReefScore) -> DayScore:
    assert score.heat.latest is not None
    return score.heat.latest


def counts(day: DayScore) -> tuple[int | None, ...]:
    """(nights, standing in with their daytime, filled, missing, with too many suspect readings) of the days of a DHW."""
    return day.coverage_days, day.whole_days, day.filled_days, day.missing_days, day.suspect_days


async def test_field_01_buoy_that_reports_all_day_shows_no_stress_in_a_hot_lagoon(
    mesh: "Mesh", make_reading: MakeReading, lagoon: ReefFacts
) -> None:
    day = latest_of(await send_all(mesh, hourly(make_reading, days=range(100), solar_hours=range(24)), lagoon))
    assert (day.sst_celsius, day.source, day.dhw_celsius_weeks) == (28.8, "night", 0.0)
    assert (day.level_7day_max, day.status, day.day_status) == (Level.NO_STRESS, HeatStatus.OK, "ok")
    assert counts(day) == (84, 0, 0, 0, 0)


async def test_field_01_buoy_that_sleeps_at_night_is_daytime_only_and_never_ok(
    mesh: "Mesh", make_reading: MakeReading, lagoon: ReefFacts
) -> None:
    """The same water by day: whatever DHW its daytime adds up to, no day of the record says ``ok``."""
    score = await send_all(mesh, hourly(make_reading, days=range(100), solar_hours=range(9, 18)), lagoon)
    day = latest_of(score)
    assert (day.status, day.day_status, day.source) == (HeatStatus.DAYTIME_ONLY, "daytime_only", "whole_day")
    assert counts(day) == (0, 84, 0, 0, 0)
    days = await mesh.days()
    assert {each.day_status for each in days} == {"daytime_only"}
    assert {each.status for each in days} == {HeatStatus.WARMING_UP, HeatStatus.DAYTIME_ONLY}


async def test_field_01_sleeping_buoy_beside_one_that_reports_all_day_changes_nothing(
    mesh: "Mesh", make_reading: MakeReading, lagoon: ReefFacts
) -> None:
    await send_all(mesh, hourly(make_reading, days=range(100), solar_hours=range(9, 18), buoy="b2"), lagoon)
    day = latest_of(await send_all(mesh, hourly(make_reading, days=range(100), solar_hours=range(24)), lagoon))
    assert (day.sst_celsius, day.dhw_celsius_weeks, day.status) == (28.8, 0.0, HeatStatus.OK)


async def test_field_01_status_says_daytime_only_until_three_quarters_of_the_days_have_a_night(
    mesh: "Mesh", make_reading: MakeReading, lagoon: ReefFacts
) -> None:
    """A buoy is set to report at night too: its nights replace the daytime, and the old daytime leaves with its 84 days."""
    await send_all(mesh, hourly(make_reading, days=range(100), solar_hours=range(9, 18)), lagoon)
    await send_all(mesh, hourly(make_reading, days=range(100, 190), solar_hours=range(24)), lagoon)
    by_day = [(day.coverage_days, day.whole_days, day.status) for day in await mesh.days()]
    assert by_day[99:102] == [(night, 84 - night, HeatStatus.DAYTIME_ONLY) for night in range(3)]
    assert by_day[182:184] == [(83, 1, HeatStatus.DAYTIME_ONLY), (84, 0, HeatStatus.OK)]


async def test_field_01_night_that_was_missed_is_filled_from_its_neighbours_and_not_from_its_noon(
    mesh: "Mesh", make_reading: MakeReading, lagoon: ReefFacts
) -> None:
    """Until the next night such a day has no value, so it raises nothing; then it is a gap like any other."""
    await send_all(mesh, hourly(make_reading, days=range(90), solar_hours=range(24)), lagoon)
    noon = latest_of(await send_all(mesh, hourly(make_reading, days=range(90, 91), solar_hours=range(11, 14)), lagoon))
    assert (noon.source, noon.sst_celsius, noon.level, noon.day_status) == ("missing", None, None, "missing")
    assert (noon.level_7day_max, noon.status, counts(noon)) == (Level.NO_STRESS, HeatStatus.LOWER_BOUND, (83, 0, 0, 1, 0))
    next_night = await send_all(mesh, hourly(make_reading, days=range(91, 92), solar_hours=range(3)), lagoon)
    assert [(day.source, day.sst_celsius, day.day_status) for day in next_night.heat.changed] == [
        ("filled", 28.8, "filled"),
        ("night", 28.8, "ok"),
    ]
    assert (latest_of(next_night).status, counts(latest_of(next_night))) == (HeatStatus.OK, (83, 0, 1, 0, 0))


async def test_field_01_days_without_a_night_stand_in_with_their_daytime_after_a_week(
    mesh: "Mesh", make_reading: MakeReading, lagoon: ReefFacts
) -> None:
    await send_all(mesh, hourly(make_reading, days=range(90), solar_hours=range(24)), lagoon)
    await send_all(mesh, hourly(make_reading, days=range(90, 99), solar_hours=range(9, 18)), lagoon)
    after = [(day.source, day.status) for day in (await mesh.days())[89:]]
    waiting = [("missing", HeatStatus.LOWER_BOUND)] * 7
    assert after == [("night", HeatStatus.OK), *waiting, *[("whole_day", HeatStatus.DAYTIME_ONLY)] * 2]


async def test_field_01_one_reading_before_sunrise_is_a_night(
    mesh: "Mesh", make_reading: MakeReading, lagoon: ReefFacts
) -> None:
    """A Nemo-Pi that wakes at 22:00 UTC on Bali: 05:42 by the sun."""
    readings = [make_reading(each - 2 / 24, t=28.9) for each in range(85)]
    noons = [make_reading(each + 0.2, t=31.2) for each in range(85)]
    day = latest_of(await send_all(mesh, iter(readings + noons), lagoon))
    assert (day.source, day.readings, day.sst_celsius, day.status) == ("night", 1, 28.9, HeatStatus.OK)


def bores(make_reading: MakeReading, *, days: range) -> Iterator[Reading]:
    """A fore reef of 30.2 degC, every ten minutes, and every two hours a cold bore, which quality control finds suspect
    together with the values on both sides of it."""
    for day in days:
        for step in range(144):
            bore = dict(enumerate((28.2, 26.9, 27.6, 28.6, 29.6), start=4)).get(step % 12)
            flag = Flag.SUSPECT if bore is not None or step % 12 in {3, 9} else Flag.PASS
            yield make_reading(day + (step / 6 - SOLAR_HOURS) / 24, t=bore or 30.2, flag=flag)


async def test_field_02_days_that_lost_their_cold_bores_as_suspect_are_not_ok(
    mesh: "Mesh", make_reading: MakeReading, lagoon: ReefFacts
) -> None:
    """The true mean is 29.36 degC. What is left of such a day says Alert Level 3, and that it is not to be relied on."""
    day = latest_of(await send_all(mesh, bores(make_reading, days=range(95)), lagoon))
    assert day.suspect_share == round(7 / 12, 4)
    assert (day.day_status, day.status, counts(day)) == ("suspect_share", HeatStatus.SUSPECT_SHARE, (84, 0, 0, 0, 84))


@pytest.mark.parametrize(("suspect", "expected"), [(0, "ok"), (1, "ok"), (2, "suspect_share")])
async def test_field_02_quarter_of_the_readings_may_be_suspect(
    mesh: "Mesh", make_reading: MakeReading, suspect: int, expected: str
) -> None:
    """Only those that would make the value count: by day the sun on a sensor is no loss to the night."""
    night = [make_reading(step / 100, t=29.0, flag=Flag.SUSPECT if step < suspect else Flag.PASS) for step in range(4)]
    by_day = [make_reading(0.5 + step / 100, t=29.0, flag=Flag.SUSPECT) for step in range(4)]
    (score,) = await mesh.send(*night, *by_day)
    assert (latest_of(score).day_status, latest_of(score).suspect_share) == (expected, suspect / 4)


async def test_field_02_day_of_suspect_readings_alone_has_no_value_and_says_why(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    """Filled from its neighbours or not: a cold week that was left out may have been real."""
    await mesh.send(make_reading(0.0, t=30.0), make_reading(1.0, t=26.0, flag=Flag.SUSPECT), make_reading(2.0, t=30.0))
    suspect = (await mesh.days())[1]
    assert (suspect.source, suspect.day_status, suspect.suspect_share) == ("filled", "suspect_share", 1.0)
    (score,) = await mesh.send(make_reading(3.0, t=26.0, flag=Flag.SUSPECT))
    day = latest_of(score)
    assert (day.source, day.readings, day.day_status, counts(day)) == ("missing", 0, "suspect_share", (2, 0, 1, 1, 2))


async def test_field_02_reading_that_passes_after_all_takes_its_share_back(mesh: "Mesh", make_reading: MakeReading) -> None:
    await mesh.send(make_reading(0.0, t=29.0), make_reading(0.1, t=26.0, flag=Flag.SUSPECT))
    (score,) = await mesh.send(make_reading(0.1, t=26.0, revision=2))
    day = latest_of(score)
    assert (day.day_status, day.suspect_share, day.sst_celsius, day.suspect_days) == ("ok", 0.0, 27.5, 0)


@pytest.fixture
def old_store(tmp_path: Path) -> str:
    database = sqlite3.connect(tmp_path / "scoring.db")
    database.executescript(OLD_STATE.read_text())
    database.close()
    return f"sqlite:///{tmp_path}/scoring.db"


async def test_state_from_before_is_counted_again_with_the_next_message_of_its_reef(
    old_store: str, meshes: Callable[..., Any], make_reading: MakeReading
) -> None:
    """Its readings tell what it did not count; the tables are then those of a reef that was always counted so."""
    async with meshes(url=old_store) as mesh:
        mesh.seq = 100
        scores = await mesh.send(make_reading(4.5, t=33.0))
        assert len(scores[0].heat.changed) == 5, "every day is announced again"
        upgraded = await mesh.tables(), latest_of(scores[0]), mesh.states["reef"].readings
        assert not (await mesh.handler.load("reef", mesh.handler.dump(mesh.states["reef"]))).is_outdated
    async with meshes() as mesh:
        await mesh.send(make_reading(0.1, t=30.5), make_reading(0.5, t=32.0), make_reading(1.5, t=33.0))
        await mesh.send(make_reading(2.1, t=30.5), *(make_reading(2.1 + n / 100, t=26.0, flag=Flag.SUSPECT) for n in (1, 2, 3)))
        await mesh.send(make_reading(3.5, t=33.0))
        await mesh.send(make_reading(4.5, t=33.0))
        assert upgraded == (await mesh.tables(), (await mesh.days())[-1], mesh.states["reef"].readings)


async def test_score_and_days_from_before_are_read_as_they_are_until_their_reef_is_heard(
    old_store: str, meshes: Callable[..., Any]
) -> None:
    async with meshes(url=old_store) as mesh:
        (score,) = await queries.latest_scores(mesh.store)
        days = await mesh.days()
    assert score.heat.latest == days[-1]
    assert [(day.date, day.source, day.day_status) for day in days] == [
        (date(2024, 1, 1), "night", "ok"),
        (date(2024, 1, 2), "whole_day", "daytime_only"),
        (date(2024, 1, 3), "night", "ok"),
        (date(2024, 1, 4), "whole_day", "daytime_only"),
    ]
    unknown = {(day.suspect_share, day.whole_days, day.filled_days, day.missing_days, day.suspect_days) for day in days}
    assert unknown == {(None,) * 5}


async def test_process_of_the_version_before_may_take_a_reef_over_and_give_it_back(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    """While a deployment rolls, the older process knows nothing of what the newer one counts, and stores a state without it."""
    await mesh.send(make_reading(0.0, t=30.0), make_reading(0.1, t=26.0, flag=Flag.SUSPECT))
    state = mesh.handler.dump(mesh.states["reef"])
    assert b'"counts_of":2' in state
    older = state.replace(b'"counts_of":2,', b"")
    loaded = await mesh.handler.load("reef", older)
    assert (loaded.is_outdated, (await mesh.handler.load("reef", state)).is_outdated) == (True, False)


async def test_scores_1_has_the_words_of_its_time_and_never_says_ok_for_daytime(
    meshes: Callable[..., Any], make_reading: MakeReading, lagoon: ReefFacts
) -> None:
    """What consumers of before get while a deployment rolls; the store holds the newer score all the same."""
    readings = list(hourly(make_reading, days=range(90), solar_hours=range(9, 18)))
    async with meshes(scores_schema=SCORES_1) as mesh:
        published = await send_all(mesh, iter(readings), lagoon)
        assert (latest_of(published).status, latest_of(published).whole_days) == (HeatStatus.INSUFFICIENT, None)
        assert {output.schema_id for output in mesh.outputs} == {SCORES_1}
        (stored,) = await queries.latest_scores(mesh.store)
    assert (latest_of(stored).status, latest_of(stored).whole_days) == (HeatStatus.DAYTIME_ONLY, 84)


async def test_score_carries_the_verdict_of_each_of_its_instants_of_the_last_hours(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    """A message of a day's readings tells of its last six hours; a value that fails later is taken back."""
    half_hours = [make_reading(step / 48, sea_water_speed=0.1 + (step == 47), t=29.0) for step in range(48)]
    (score,) = await mesh.send(*half_hours)
    instants = score.dive.instants
    assert [each.observed_at for each in instants] == [reading.observed_at for reading in half_hours[36:]]
    assert [(each.value, each.verdict) for each in instants[-2:]] == [(0.1, "good"), (1.1, "no_go")]
    (revised,) = await mesh.send(make_reading(47 / 48, sea_water_speed=1.1, t=29.0, revision=2, flag=Flag.FAIL))
    assert [(each.value, each.verdict) for each in revised.dive.instants] == [(None, "unknown")]
    (gone,) = await mesh.send(make_reading(46 / 48, revision=2, withdrawn=True))
    assert [(each.observed_at, each.verdict) for each in gone.dive.instants] == [(half_hours[46].observed_at, "unknown")]


@pytest.mark.parametrize("reload", [False, True])
async def test_withdrawal_of_the_newest_reading_tells_all_instants_before_it_anew(
    mesh: "Mesh", make_reading: MakeReading, reload: bool
) -> None:
    """What was too old to be told beside it is not so any more, and whoever listens forgets what is gone."""
    await mesh.send(make_reading(5.0, sea_water_speed=0.9))
    (late,) = await mesh.send(make_reading(2.0, sea_water_speed=0.1), reload=reload)
    assert (late.dive.instants, late.dive.all_instants) == ([], False)
    (gone,) = await mesh.send(make_reading(5.0, revision=2, withdrawn=True), reload=reload)
    assert [(each.value, each.verdict) for each in gone.dive.instants] == [(0.1, "good")]
    assert gone.dive.all_instants


async def test_score_carries_the_newest_days_that_chemistry_could_judge(mesh: "Mesh", make_reading: MakeReading) -> None:
    carbon = {"sea_water_ph_reported_on_total_scale": 8.05, "partial_pressure_of_carbon_dioxide_in_sea_water": 400.0}
    scores: list[ReefScore] = []
    for day in range(6):
        few = 1 if day == 2 else 4
        scores = await mesh.send(*(make_reading(day + step / 10, t=25.0, **carbon) for step in range(few)), reload=day == 5)
    carbonate = scores[-1].carbonate
    assert [each.date.day for each in carbonate.days] == [2, 4, 5], "the third day has too few readings, the sixth is not over"
    last = carbonate.days[-1]
    assert (last.date, last.omega_aragonite, last.band) == (carbonate.date, carbonate.omega_aragonite, carbonate.band)


def failing(make_reading: MakeReading, steps: range, *, good: tuple[int, ...] = (), revision: int = 1) -> list[Reading]:
    return [make_reading(step / 48, t=28.6, flag=Flag.PASS if step in good else Flag.FAIL, revision=revision) for step in steps]


@pytest.mark.parametrize("reload", [False, True])
async def test_field_06_run_of_failing_values_begins_anew_at_a_late_good_one(
    mesh: "Mesh", make_reading: MakeReading, reload: bool
) -> None:
    """The third failing value in a row by event time, whatever came when; two good ones in a row end a run."""
    on_time = [each for each in failing(make_reading, range(8)) if each.observed_at != START + 3 * HALF_HOUR]
    (score,) = await mesh.send(*on_time, reload=reload)
    assert failing_since(score) == START + 2 * HALF_HOUR
    (score,) = await mesh.send(*failing(make_reading, range(8), good=(3, 2, 1), revision=2)[1:4], reload=reload)
    assert failing_since(score) == START + 6 * HALF_HOUR
    (score,) = await mesh.send(*failing(make_reading, range(8, 10), good=(8,)), reload=reload)
    assert (failing_since(score), score.failed_runs) == (START + 6 * HALF_HOUR, [])
    (score,) = await mesh.send(*failing(make_reading, range(10, 12), good=(10, 11)), reload=reload)
    assert failing_since(score) is None
    assert [(each.since, each.ended_at) for each in score.failed_runs] == [(START + 6 * HALF_HOUR, START + 11 * HALF_HOUR)]


async def test_state_of_a_version_that_kept_no_sensors_finds_their_runs_on_record(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    await mesh.send(*failing(make_reading, range(5)))
    state = json.loads(mesh.handler.dump(mesh.states["reef"]))
    del state["sensors"]
    mesh.states["reef"] = await mesh.handler.load("reef", json.dumps(state).encode())
    (score,) = await mesh.send(make_reading(5 / 48, sea_water_speed=0.1))
    assert failing_since(score) == START + 2 * HALF_HOUR


async def test_last_value_of_a_sensor_is_told_until_it_is_a_month_old(mesh: "Mesh", make_reading: MakeReading) -> None:
    await mesh.send(make_reading(0.0, t=28.6, sea_water_speed=0.1), make_reading(1.0, t=None, sea_water_speed=0.1))
    (score,) = await mesh.send(make_reading(31.0, t=None, sea_water_speed=0.1))
    assert score.buoys[0].sensors is not None
    assert score.buoys[0].sensors[SEA_WATER_TEMPERATURE].last_value_at == START
    (score,) = await mesh.send(make_reading(31.1, t=None, sea_water_speed=0.1), reload=True)
    assert list(score.buoys[0].sensors or {}) == [SEA_WATER_SPEED]


async def test_score_says_how_long_new_readings_had_been_held_back(mesh: "Mesh", make_reading: MakeReading) -> None:
    held = [make_reading(step / 48, t=28.6).model_copy(update={"received_at": START + 6 * HALF_HOUR}) for step in range(6)]
    (score,) = await mesh.send(*held)
    assert [(each.received_at, each.held_back_seconds) for each in score.arrivals] == [(START + 6 * HALF_HOUR, 6 * 1800.0)]
    (late,) = await mesh.send(make_reading(0.5 / 48, t=28.6))
    assert late.arrivals == [], "a late reading is no sign of life"


def failing_since(score: ReefScore) -> datetime | None:
    assert score.buoys[0].sensors is not None
    return score.buoys[0].sensors[SEA_WATER_TEMPERATURE].failing_since
