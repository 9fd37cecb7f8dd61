"""What a dashboard sees of a reef is what its score says, and unknown is said as such."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, get_args

from reefmesh.contracts.quantities import SEA_WATER_SPEED, VISIBILITY
from reefmesh.contracts.readings import Reading
from reefmesh.contracts.register import ReefFacts
from reefmesh.contracts.scores import DiveVerdict, HeatStatus, Level
from reefmesh.observability import table
from reefmesh_scoring.reef_gauges import UNKNOWN_LEVEL, status_code, verdict_code

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

MakeReading = Callable[..., Reading]
MakeReef = Callable[..., ReefFacts]

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = (table.REEF_HEAT_STRESS_LEVEL, table.REEF_DEGREE_HEATING, table.REEF_COVERAGE_DAYS, table.REEF_DIVE_VERDICT)
HEAT_ROWS = (table.REEF_HEAT_STRESS_LEVEL, table.REEF_HEAT_STATUS)


async def shown(mesh: "Mesh") -> tuple[float, ...]:
    await mesh.metrics.refresh()  # as a scrape does
    return tuple(mesh.metrics.value(row, "reef") for row in ROWS)


async def test_gauges_of_a_scored_reef_show_its_score(mesh: "Mesh", make_reading: MakeReading) -> None:
    """The four values and the instant are the published score's own."""
    (score,) = await mesh.send(make_reading(0.0, t=30.5, **{SEA_WATER_SPEED: 0.1, VISIBILITY: 20.0}))
    latest = score.heat.latest
    assert latest is not None
    assert latest.dhw_celsius_weeks is not None
    expected = (Level.WARNING, latest.dhw_celsius_weeks, 1, verdict_code(score.dive.verdict))
    assert await shown(mesh) == expected
    assert score.dive.verdict == "good"
    assert mesh.metrics.value(table.REEF_SCORE_AS_OF_SECONDS, "reef") == score.as_of.timestamp()


async def test_gauges_of_a_reef_without_reference_say_unknown_and_not_zero(
    mesh: "Mesh", make_reading: MakeReading, make_reef: MakeReef
) -> None:
    """Without a maximum of monthly means there is no level: a zero would read as "no stress"."""
    await mesh.send(make_reading(0.0, t=30.5), reef=make_reef(mmm_celsius=None, mmm_source="unknown"))
    level, weeks, _, verdict = await shown(mesh)
    assert (level, math.isnan(weeks), verdict) == (UNKNOWN_LEVEL, True, verdict_code("unknown"))


async def test_gauges_of_a_reef_whose_readings_were_all_withdrawn_say_unknown(mesh: "Mesh", make_reading: MakeReading) -> None:
    await mesh.send(make_reading(0.0, t=31.5))
    assert (await shown(mesh))[0] != UNKNOWN_LEVEL
    assert await mesh.send(make_reading(0.0, t=None, revision=2, withdrawn=True)) == []
    level, weeks, coverage, verdict = await shown(mesh)
    assert (level, math.isnan(weeks), coverage, verdict) == (UNKNOWN_LEVEL, True, 0, verdict_code("unknown"))


async def test_gauges_withdrawn_before_anybody_looked_still_say_when_the_reef_was_scored(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    """Without an instant the dashboards, which take the process with the latest one, would not show the reef."""
    (score,) = await mesh.send(make_reading(0.0, t=31.5))
    assert await mesh.send(make_reading(0.0, t=None, revision=2, withdrawn=True)) == []
    assert (await shown(mesh))[0] == UNKNOWN_LEVEL
    assert mesh.metrics.value(table.REEF_SCORE_AS_OF_SECONDS, "reef") == score.as_of.timestamp()


async def test_field_01_gauge_says_daytime_only_in_the_words_of_the_score(mesh: "Mesh", make_reading: MakeReading) -> None:
    await mesh.send(*(make_reading(day + 0.5, t=31.0) for day in range(84)))
    mesh.clock.set(START + timedelta(days=83))
    await mesh.metrics.refresh()
    assert mesh.metrics.value(table.REEF_HEAT_STATUS, "reef") == status_code(HeatStatus.DAYTIME_ONLY)


async def test_field_18_gauges_of_a_reef_that_is_not_heard_any_more_become_unknown(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    """Without another message: the week that its level was the highest of has passed. A new reading brings it back."""
    await mesh.send(make_reading(0.0, t=31.5))
    for days, known in ((6, True), (7, False), (400, False)):
        mesh.clock.set(START + timedelta(days=days))
        await mesh.metrics.refresh()
        level, status = (mesh.metrics.value(row, "reef") for row in HEAT_ROWS)
        assert (level, status) == ((Level.WARNING, 1) if known else (UNKNOWN_LEVEL, 0)), days
        assert math.isnan(mesh.metrics.value(table.REEF_DEGREE_HEATING, "reef")) == (not known)
    await mesh.send(make_reading(400.0, t=31.5))
    assert (await shown(mesh))[0] == Level.WARNING


async def test_field_18_station_last_heard_long_ago_never_has_a_level(mesh: "Mesh", make_reading: MakeReading) -> None:
    """Scored today, from readings of 1987: the gauges say unknown from the first look on."""
    mesh.clock.set(START + timedelta(days=37 * 365))
    (score,) = await mesh.send(make_reading(0.0, t=31.5))
    assert score.heat.latest is not None
    assert score.heat.latest.level_7day_max is Level.WARNING, "the record keeps it, with its date"
    assert (await shown(mesh))[0] == UNKNOWN_LEVEL


def test_every_status_has_a_code_of_its_own_that_the_metrics_page_names() -> None:
    codes = {status_code(status): status.value for status in HeatStatus}
    assert list(range(len(HeatStatus))) == sorted(codes)
    assert ", ".join(f"{code} {words}" for code, words in sorted(codes.items())) in table.REEF_HEAT_STATUS.help


def test_every_verdict_has_a_code_of_its_own() -> None:
    codes = [verdict_code(verdict) for verdict in get_args(DiveVerdict)]
    assert list(range(len(codes))) == sorted(codes)
