"""What a dashboard sees of a reef is what its score says, and unknown is said as such."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

from reefmesh.contracts.quantities import SEA_WATER_SPEED, VISIBILITY
from reefmesh.contracts.readings import Reading
from reefmesh.contracts.register import ReefFacts
from reefmesh.contracts.scores import DiveVerdict, Level
from reefmesh.observability import table
from reefmesh_scoring.reef_gauges import UNKNOWN_LEVEL, verdict_code

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

MakeReading = Callable[..., Reading]
MakeReef = Callable[..., ReefFacts]

ROWS = (table.REEF_HEAT_STRESS_LEVEL, table.REEF_DEGREE_HEATING, table.REEF_COVERAGE_DAYS, table.REEF_DIVE_VERDICT)


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


def test_every_verdict_has_a_code_of_its_own() -> None:
    codes = [verdict_code(verdict) for verdict in get_args(DiveVerdict)]
    assert list(range(len(codes))) == sorted(codes)
