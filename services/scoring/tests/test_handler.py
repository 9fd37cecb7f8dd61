"""The scoring service on readings: what it publishes and what it keeps."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import (
    PCO2,
    PH_TOTAL_SCALE,
    SALINITY,
    SEA_WATER_SPEED,
    SEA_WATER_TEMPERATURE,
    VISIBILITY,
)
from reefmesh.contracts.readings import DeviceStatus, Position, Reading, Readings
from reefmesh.contracts.register import BuoyFacts, DiveLimits, ReefFacts
from reefmesh.contracts.scores import HeatStatus, Level
from reefmesh.errors import PoisonMessage
from reefmesh_scoring import queries
from reefmesh_scoring.domain.carbonate import CarbonateRules, omega_aragonite
from reefmesh_scoring.rescoring import YIELD_AFTER_DAYS, let_others_run

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

MakeReading = Callable[..., Reading]
MakeReef = Callable[..., ReefFacts]
HALF_HOUR = 1 / 48


async def test_first_reading_makes_a_score_that_is_warming_up(mesh: "Mesh", make_reading: MakeReading) -> None:
    (score,) = await mesh.send(make_reading(0.0, t=30.5))
    assert score.heat.latest is not None
    assert [score.heat.latest] == score.heat.changed
    day = score.heat.latest
    assert (day.sst_celsius, day.hotspot_celsius, day.level, day.level_7day_max) == (30.5, 1.5, Level.WARNING, Level.WARNING)
    assert day.dhw_celsius_weeks == 1.5 / 7
    assert (day.coverage_days, day.status, day.source, day.readings) == (1, HeatStatus.WARMING_UP, "night", 1)
    assert (score.heat.mmm_celsius, score.heat.mmm_source) == (29.0, "adjusted")
    assert (score.heat.highest_dhw_celsius_weeks, score.heat.highest_dhw_date) == (1.5 / 7, day.date)
    assert score.reef_name == "A reef"


async def test_night_readings_make_the_day_and_whole_day_ones_only_stand_in(mesh: "Mesh", make_reading: MakeReading) -> None:
    (noon,) = await mesh.send(make_reading(0.5, t=32.0))
    assert noon.heat.latest is not None
    assert (noon.heat.latest.source, noon.heat.latest.sst_celsius) == ("whole_day", 32.0)
    (evening,) = await mesh.send(make_reading(0.8, t=29.0), make_reading(0.9, t=29.5))
    assert evening.heat.latest is not None
    assert (evening.heat.latest.source, evening.heat.latest.sst_celsius, evening.heat.latest.readings) == ("night", 29.25, 2)


async def test_all_buoys_of_a_reef_count_reading_by_reading(mesh: "Mesh", make_reading: MakeReading) -> None:
    (score,) = await mesh.send(make_reading(0.0, t=30.0), make_reading(0.01, t=30.0), make_reading(0.0, buoy="b2", t=33.0))
    assert score.heat.latest is not None
    assert score.heat.latest.sst_celsius == 31.0


@pytest.mark.parametrize("flag", [Flag.SUSPECT, Flag.FAIL])
async def test_suspect_and_failed_readings_are_shown_and_not_scored(
    mesh: "Mesh", make_reading: MakeReading, flag: Flag
) -> None:
    (score,) = await mesh.send(make_reading(0.0, t=30.0), make_reading(0.1, t=34.9, flag=flag))
    assert score.heat.latest is not None
    assert score.heat.latest.sst_celsius == 30.0
    latest = score.latest[SEA_WATER_TEMPERATURE]
    assert (latest.value, latest.flag) == (34.9, flag)
    assert latest.window is not None
    assert (latest.window.count, latest.window.maximum) == (1, 30.0)


async def test_reef_that_is_heard_without_temperature_has_a_missing_day_and_no_level(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    """Law 10: a dead probe shows as unknown, never as the last level that was known."""
    await mesh.send(make_reading(0.0, t=31.0))
    (score,) = await mesh.send(make_reading(8.0, t=None, faults={SEA_WATER_TEMPERATURE: "Sensor not found"}))
    assert score.heat.latest is not None
    assert (score.heat.latest.source, score.heat.latest.level, score.heat.latest.level_7day_max) == ("missing", None, None)
    assert len(score.heat.changed) == 8
    assert score.buoys[0].faults == {SEA_WATER_TEMPERATURE: "Sensor not found"}
    assert score.latest[SEA_WATER_TEMPERATURE].flag is Flag.MISSING


async def test_reef_without_mmm_is_unknown(mesh: "Mesh", make_reading: MakeReading, make_reef: MakeReef) -> None:
    (score,) = await mesh.send(make_reading(0.0, t=31.0), reef=make_reef(mmm_celsius=None, mmm_source="unknown"))
    assert score.heat.latest is not None
    assert (score.heat.latest.status, score.heat.latest.level, score.heat.highest_dhw_celsius_weeks) == ("unknown", None, None)


async def test_gap_of_seven_days_is_filled_when_it_closes_and_all_its_days_are_published(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    await mesh.send(make_reading(0.0, t=30.0))
    (score,) = await mesh.send(make_reading(8.0, t=30.8))
    assert [day.source for day in score.heat.changed] == ["filled"] * 7 + ["night"]
    assert score.heat.changed[3].sst_celsius == 30.4
    assert score.heat.changed[-1].coverage_days == 2


async def test_late_reading_revises_the_days_it_reaches_and_no_others(mesh: "Mesh", make_reading: MakeReading) -> None:
    await mesh.send(*(make_reading(float(day), t=30.0) for day in range(200)))
    (score,) = await mesh.send(make_reading(100.9, t=31.0))
    assert [str(day.date) for day in score.heat.changed][:1] == ["2024-04-10"]
    assert len(score.heat.changed) == 84
    assert score.heat.changed[0].sst_celsius == 30.5
    assert score.heat.latest is not None
    assert str(score.heat.latest.date) == "2024-07-18"


async def test_revision_takes_out_exactly_what_it_replaces(mesh: "Mesh", make_reading: MakeReading) -> None:
    await mesh.send(make_reading(0.0, t=30.0), make_reading(0.1, t=34.0))
    (score,) = await mesh.send(make_reading(0.1, t=34.0, revision=2, flag=Flag.SUSPECT))
    assert score.heat.latest is not None
    assert (score.heat.latest.sst_celsius, score.heat.latest.readings) == (30.0, 1)
    window = score.latest[SEA_WATER_TEMPERATURE].window
    assert window is not None
    assert (window.maximum, window.count) == (30.0, 1), "the newest scored value is the one before it now"
    assert score.latest[SEA_WATER_TEMPERATURE].value == 34.0
    (score,) = await mesh.send(make_reading(0.1, t=None, revision=3))
    assert score.latest[SEA_WATER_TEMPERATURE].value is None


async def test_older_revision_that_arrives_late_counts_nothing(mesh: "Mesh", make_reading: MakeReading) -> None:
    """A parked message that is replayed brings what was replaced long ago."""
    await mesh.send(make_reading(0.0, t=30.0, revision=2))
    before = await mesh.tables()
    (score,) = await mesh.send(make_reading(0.0, t=34.0, revision=1))
    assert before == await mesh.tables()
    assert score.heat.changed == []
    assert (await queries.reading_counts(mesh.store)).ignored == 1


async def test_revision_that_says_no_more_of_a_channel_falls_back_to_the_reading_before(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    await mesh.send(make_reading(0.0, **{"t": 30.0, VISIBILITY: 12.0}), make_reading(0.1, **{"t": 30.1, VISIBILITY: 3.0}))
    (score,) = await mesh.send(make_reading(0.1, t=30.1, revision=2))
    assert (score.latest[VISIBILITY].value, score.latest[VISIBILITY].age_seconds) == (12.0, 8640.0)
    assert score.latest[VISIBILITY].window is not None


async def test_changed_mmm_scores_every_day_again_in_messages_of_at_most_500_days(
    mesh: "Mesh", make_reading: MakeReading, make_reef: MakeReef
) -> None:
    for start in range(0, 1200, 300):
        await mesh.send(*(make_reading(float(day), t=30.0) for day in range(start, start + 300)))
    scores = await mesh.send(make_reading(1200.0, t=30.0), reef=make_reef(mmm_celsius=28.0))
    assert [500, 500, 201] == [len(score.heat.changed) for score in scores]
    dates = [day.date for score in scores for day in score.heat.changed]
    assert sorted(dates) == dates
    assert {day.hotspot_celsius for day in await mesh.days()} == {2.0}
    rest = [score.model_dump(exclude={"heat": {"changed"}, "arrivals": True}) for score in scores]
    assert rest[0] == rest[1] == rest[2]
    assert scores[0].heat.highest_dhw_celsius_weeks == 24.0


async def test_old_facts_of_a_replayed_message_do_not_come_back(
    mesh: "Mesh", make_reading: MakeReading, make_reef: MakeReef
) -> None:
    await mesh.send(make_reading(0.0, t=30.0), reef=make_reef(mmm_celsius=28.0), seq=7)
    (score,) = await mesh.send(make_reading(0.1, t=30.0), reef=make_reef(mmm_celsius=29.5), seq=3)
    assert score.heat.mmm_celsius == 28.0


async def test_changed_longitude_moves_readings_to_their_solar_dates(
    meshes: Callable[..., Any], make_reading: MakeReading, make_reef: MakeReef
) -> None:
    """Counting all again gives exactly what a reef has that was registered right from the beginning."""
    readings = [make_reading(index / 5, t=29.0 + index % 7 / 3) for index in range(300)]
    right = make_reef(longitude_degrees=115.5)
    async with meshes() as mesh:
        await mesh.send(*readings[:200])
        scores = await mesh.send(*readings[200:], make_reading(3.2, t=28.0, revision=2), reef=right)
        moved, moved_score = await mesh.tables(), scores[-1]
    async with meshes() as mesh:
        await mesh.send(*readings[:200], reef=right)
        scores = await mesh.send(*readings[200:], make_reading(3.2, t=28.0, revision=2), reef=right)
        assert await mesh.tables() == moved
        kept = {"heat": {"changed"}}
        assert scores[-1].model_dump(exclude=kept) == moved_score.model_dump(exclude=kept)


async def test_worse_accuracy_widens_the_band_of_every_day(mesh: "Mesh", make_reading: MakeReading) -> None:
    await mesh.send(*(make_reading(float(day), t=30.5) for day in range(90)), buoys=[BuoyFacts(buoy_id="b1")])
    (score,) = await mesh.send(
        make_reading(89.1, buoy="b2", t=30.5), buoys=[BuoyFacts(buoy_id="b2", temperature_accuracy_celsius=0.5)]
    )
    assert len(score.heat.changed) == 90
    day = score.heat.latest
    assert day is not None
    assert (day.dhw_low_celsius_weeks, day.dhw_celsius_weeks, day.dhw_high_celsius_weeks) == (12.0, 18.0, 24.0)


async def test_window_holds_the_five_minutes_of_the_newest_value(mesh: "Mesh", make_reading: MakeReading) -> None:
    minute = 1 / 1440
    (score,) = await mesh.send(*(make_reading(0.5 + index * minute, t=28.0 + index / 10) for index in range(9)))
    window = score.latest[SEA_WATER_TEMPERATURE].window
    assert window is not None
    assert (window.minimum, window.mean, window.maximum, window.count) == (28.5, 28.65, 28.8, 4)
    assert window.starts_at.isoformat() == "2024-01-01T12:05:00+00:00"


async def test_dive_verdict_comes_from_the_newest_scored_values_and_grows_old(mesh: "Mesh", make_reading: MakeReading) -> None:
    buoys = [BuoyFacts(buoy_id="b1", report_interval_seconds=1800)]
    both = {SEA_WATER_SPEED: 0.1, VISIBILITY: 12.0}
    (score,) = await mesh.send(make_reading(0.0, **both), buoys=buoys)
    assert score.dive.verdict == "good"
    assert score.dive.valid_until == score.as_of + timedelta(minutes=90)
    (score,) = await mesh.send(make_reading(HALF_HOUR, **{SEA_WATER_SPEED: 0.6}), buoys=buoys)
    assert (score.dive.verdict, score.dive.factors[1].age_seconds) == ("experienced_only", 1800.0)
    (score,) = await mesh.send(make_reading(5 * HALF_HOUR, **{SEA_WATER_SPEED: 0.1}), buoys=buoys)
    assert score.dive.verdict == "unknown"
    assert score.dive.advice is None


async def test_dive_advice_comes_with_alert_level_1(mesh: "Mesh", make_reading: MakeReading) -> None:
    (score,) = await mesh.send(*(make_reading(float(day), t=31.0) for day in range(14)))
    assert score.heat.latest is not None
    assert score.heat.latest.level_7day_max is Level.ALERT_1
    assert score.dive.advice is not None
    assert "no safety verdict" in score.dive.advice


async def test_carbonate_judges_the_daily_means_of_the_newest_day_that_is_over(
    mesh: "Mesh", make_reading: MakeReading, make_reef: MakeReef
) -> None:
    def chemistry(at: float, ph: float, **more: float) -> Reading:
        return make_reading(at, **{"t": 27.0, PH_TOTAL_SCALE: ph, PCO2: 400.0, **more})

    (score,) = await mesh.send(*(chemistry(hour / 24, 8.0 + (hour % 2) / 10) for hour in range(24)))
    assert (score.carbonate.status, score.carbonate.reason) == ("unknown", "the first day with pH and pCO2 is not over yet")
    (score,) = await mesh.send(chemistry(1.0, 7.0))
    carbonate = score.carbonate
    assert (carbonate.status, str(carbonate.date)) == ("indicative", "2024-01-01")
    expected = omega_aragonite(ph=8.05, pco2_uatm=400, salinity=35, celsius=27)
    assert carbonate.omega_aragonite == pytest.approx(expected, rel=1e-9)
    assert carbonate.relative_uncertainty == pytest.approx(0.4605 + 50 / 400, abs=1e-4)
    assert (carbonate.salinity, carbonate.salinity_assumed) == (35.0, True)
    assert carbonate.reason == "salinity 35 is assumed, not measured"
    precise = [BuoyFacts(buoy_id="b1", ph_accuracy=0.01, pco2_accuracy_uatm=4)]
    measured = [chemistry(1 + hour / 24, 8.1, **{SALINITY: 34.0}) for hour in range(1, 24)]
    (score,) = await mesh.send(*measured, chemistry(2.0, 8.1), buoys=precise, reef=make_reef(assumed_salinity=30))
    assert (score.carbonate.status, score.carbonate.salinity, score.carbonate.salinity_assumed) == ("ok", 34.0, False)
    assert str(score.carbonate.date) == "2024-01-02"


async def test_carbonate_of_too_few_readings_or_too_old_a_day_is_unknown(mesh: "Mesh", make_reading: MakeReading) -> None:
    both = {PH_TOTAL_SCALE: 8.1, PCO2: 400.0, "t": 27.0}
    (score,) = await mesh.send(*(make_reading(hour / 24, **both) for hour in range(3)), make_reading(1.0, t=27.0))
    assert score.carbonate.reason == "only 3 readings of pH or pCO2 on 2024-01-01, at least 4 make a daily mean"
    await mesh.send(make_reading(0.5, **both))
    (score,) = await mesh.send(make_reading(7.0, t=27.0))
    assert score.carbonate.status != "unknown"
    (score,) = await mesh.send(make_reading(8.0, t=27.0))
    assert score.carbonate.reason == "no day of the last 7 that is over has scored values of pH and pCO2"


@pytest.mark.parametrize(
    "corrected",
    [
        {"reef": {"assumed_salinity": 30.0}},
        {"buoy": {"ph_accuracy": 0.01}},
        {"buoy": {"pco2_accuracy_uatm": 5.0}},
    ],
)
async def test_carbonate_of_a_day_that_is_over_follows_corrected_facts(
    mesh: "Mesh", make_reading: MakeReading, make_reef: Callable[..., ReefFacts], corrected: dict[str, dict[str, float]]
) -> None:
    both = {PH_TOTAL_SCALE: 8.1, PCO2: 400.0, "t": 27.0}
    (before,) = await mesh.send(*(make_reading(hour / 24, **both) for hour in range(4)), make_reading(1.0, t=27.0))
    (same,) = await mesh.send(make_reading(1.1, t=27.0))
    assert same.carbonate == before.carbonate
    reef = make_reef(**corrected.get("reef", {}))
    buoy = BuoyFacts.model_validate({"buoy_id": "b1", **corrected.get("buoy", {})})
    (after,) = await mesh.send(make_reading(1.2, t=27.0), reef=reef, buoys=[buoy])
    assert (after.carbonate.omega_low, after.carbonate.omega_high) != (before.carbonate.omega_low, before.carbonate.omega_high)


async def test_carbonate_without_a_probe_says_so(mesh: "Mesh", make_reading: MakeReading) -> None:
    (score,) = await mesh.send(make_reading(0.0, t=27.0))
    assert score.carbonate.reason == "no pH and no pCO2 measured"


async def test_buoy_health_passes_through_what_the_buoy_said_last(mesh: "Mesh", make_reading: MakeReading) -> None:
    facts = BuoyFacts(buoy_id="b1", drift_limit_metres=40)
    position = Position(latitude_degrees=1, longitude_degrees=2, flag=Flag.SUSPECT, drift_metres=31.5)
    status = DeviceStatus(report="diagnosis", battery_volts=3.9, battery_percent=55)
    await mesh.send(
        make_reading(0.0, t=30.0, position=position, status=status), buoys=[facts, BuoyFacts(buoy_id="never-heard")]
    )
    (score,) = await mesh.send(make_reading(0.1, t=30.0, status=DeviceStatus(report="data", battery_volts=3.7)), buoys=[facts])
    (buoy,) = score.buoys
    assert (buoy.battery_volts, buoy.battery_percent, buoy.drift_metres, buoy.position_flag) == (3.7, 55.0, 31.5, Flag.SUSPECT)
    assert (buoy.facts, buoy.last_seen_at) == (facts, score.as_of)
    (score,) = await mesh.send(make_reading(0.05, t=30.0, status=DeviceStatus(report="data", battery_volts=1.0)), buoys=[facts])
    assert score.buoys[0].battery_volts == 3.7, "a late report is no news"


async def test_fault_is_gone_once_the_channel_works_again(mesh: "Mesh", make_reading: MakeReading) -> None:
    await mesh.send(make_reading(0.0, t=None, faults={SEA_WATER_TEMPERATURE: 'probe "1" lost'}))
    (score,) = await mesh.send(make_reading(0.1, t=30.0))
    assert score.buoys[0].faults == {}


async def test_state_survives_its_bytes(mesh: "Mesh", make_reading: MakeReading) -> None:
    """What a restarted service publishes is what the one before would have published."""
    status = DeviceStatus(report="data", battery_volts=3.7)
    for day in range(300):
        values = {"t": 30.0 + day % 5 / 2, SEA_WATER_SPEED: 0.1, PH_TOTAL_SCALE: 8.0, PCO2: 400.0}
        await mesh.send(make_reading(float(day), status=status, faults={PCO2: "drifts"}, **values))
    before = mesh.states["reef"]
    dumped = mesh.handler.dump(before)
    loaded = await mesh.handler.load("reef", dumped)
    assert dumped == mesh.handler.dump(loaded)
    assert (before.latest, before.highest_before, before.totals) == (loaded.latest, loaded.highest_before, loaded.totals)
    assert len(dumped) < 4096


async def test_state_of_a_later_version_is_refused(mesh: "Mesh") -> None:
    with pytest.raises(ValueError, match="format 2"):
        await mesh.handler.load("reef", b'{"format":2}')


@pytest.mark.parametrize(("body", "reason"), [(b"{}", "bad-body"), (b"\xff", "bad-body"), (b'{"readings":[{}]}', "bad-body")])
async def test_body_that_breaks_the_contract_is_poison(mesh: "Mesh", body: bytes, reason: str) -> None:
    with pytest.raises(PoisonMessage) as caught:
        await mesh.handle("reef", body, seq=1)
    assert reason == caught.value.reason


async def test_body_about_another_reef_is_poison(mesh: "Mesh", make_reading: MakeReading, make_reef: MakeReef) -> None:
    body = Readings(reef=make_reef(), buoys=[], readings=[make_reading(0.0, t=30.0)]).model_dump_json().encode()
    with pytest.raises(PoisonMessage, match="wrong-reef"):
        await mesh.handle("other", body, seq=1)


@pytest.mark.parametrize("days", [-25_000.0, 20_000.0, 2_900_000.0])
async def test_reading_of_an_impossible_time_is_poison_and_changes_nothing(
    mesh: "Mesh", make_reading: MakeReading, days: float
) -> None:
    """Law 13: one reading of 2099 would be the newest of its reef for decades, and one of 9999 would score 3 million days."""
    await mesh.send(make_reading(0.0, t=30.0))
    with pytest.raises(PoisonMessage, match="impossible-time"):
        await mesh.send(make_reading(0.5, t=30.0), make_reading(days, t=30.0))
    (score,) = await mesh.send(make_reading(1.0, t=30.0), reload=True)
    assert 2 == score.heat.latest.coverage_days if score.heat.latest else None


async def test_message_that_touches_every_day_since_2000_is_scored(mesh: "Mesh", make_reading: MakeReading) -> None:
    """Law 11: no message makes more work than this."""
    await mesh.send(make_reading(0.0, t=30.0))
    scores = await mesh.send(*(make_reading(-8700 + 17.4 * place, t=30.0) for place in range(500)))
    assert 8701 == sum(len(score.heat.changed) for score in scores)
    assert 18 == len(scores)


async def test_work_of_many_days_lets_others_run() -> None:
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    await let_others_run(YIELD_AFTER_DAYS - 1)
    assert not turns
    await let_others_run(YIELD_AFTER_DAYS)
    assert turns


async def test_operators_rules_are_used(meshes: Callable[..., Any], make_reading: MakeReading) -> None:
    rules = {
        "dive_limits": DiveLimits(visibility_good_metres=2, visibility_fair_metres=2, visibility_poor_metres=1),
        "carbonate_rules": CarbonateRules(readings_minimum=1),
    }
    async with meshes(**rules) as mesh:
        values = {"t": 27.0, SEA_WATER_SPEED: 0.1, VISIBILITY: 2.5, PH_TOTAL_SCALE: 8.1, PCO2: 400.0}
        await mesh.send(make_reading(0.0, **values))
        (score,) = await mesh.send(make_reading(1.0, **values))
    assert score.dive.verdict == "good"
    assert score.carbonate.omega_aragonite is not None


async def test_queries_give_scores_days_and_counts(mesh: "Mesh", make_reading: MakeReading, make_reef: MakeReef) -> None:
    assert await queries.latest_scores(mesh.store) == []
    assert (await queries.reading_counts(mesh.store)).newest_observed_at is None
    assert await mesh.days() == []
    (score,) = await mesh.send(make_reading(0.0, t=30.0), make_reading(2.0, t=31.0))
    (other,) = await mesh.send(make_reading(1.0, t=30.0), reef=make_reef("another"))
    assert await queries.latest_scores(mesh.store) == [other, score]
    assert await queries.latest_scores(mesh.store, reef_id="reef") == [score]
    days = await mesh.days()
    assert days == score.heat.changed
    middle = [day async for day in queries.day_scores(mesh.store, "reef", days[1].date, days[1].date)]
    assert middle == days[1:2]
    counts = await queries.reading_counts(mesh.store)
    assert (counts.reefs, counts.readings, counts.revisions, counts.newest_observed_at) == (2, 3, 0, score.as_of)


@pytest.mark.parametrize("days_late", range(1, 12))
async def test_late_reading_joins_the_mean_of_its_day_however_late(
    mesh: "Mesh", make_reading: MakeReading, days_late: int
) -> None:
    """The totals of recent days are in memory and those of older ones in a table: the seam between them is not seen."""
    await mesh.send(*(make_reading(float(day), t=30.0) for day in range(20)))
    (score,) = await mesh.send(make_reading(19.1 - days_late, t=31.0))
    assert (score.heat.changed[0].sst_celsius, score.heat.changed[0].readings) == (30.5, 2)


@pytest.mark.parametrize("reload", [False, True])
async def test_highest_dhw_falls_again_when_today_is_revised(mesh: "Mesh", make_reading: MakeReading, reload: bool) -> None:
    await mesh.send(*(make_reading(float(day), t=30.0) for day in range(7)), make_reading(7.0, t=36.0))
    (score,) = await mesh.send(make_reading(7.0, t=36.0, revision=2, flag=Flag.FAIL), reload=reload)
    assert (score.heat.highest_dhw_celsius_weeks, str(score.heat.highest_dhw_date)) == (1.0, "2024-01-07")
    (score,) = await mesh.send(make_reading(6.0, t=30.0, revision=2, flag=Flag.FAIL), reload=reload)
    assert (score.heat.highest_dhw_celsius_weeks, str(score.heat.highest_dhw_date)) == (6 / 7, "2024-01-06")
