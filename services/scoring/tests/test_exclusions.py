"""Values that an operator excluded count nowhere, and count again once they are included."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reefmesh.contracts.exclusion import excluded_fault
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import SEA_WATER_TEMPERATURE
from reefmesh.contracts.readings import Reading
from reefmesh.contracts.scores import ReefScore

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

MakeReading = Callable[..., Reading]
EXCLUDED = {SEA_WATER_TEMPERATURE: excluded_fault("cleaned")}


def told(score: ReefScore) -> dict[str, Any]:
    """What a score says of the reef as it is, without the days and instants that one message changed."""
    of_one_message: Any = {"heat": {"changed"}, "dive": {"instants", "all_instants"}, "failed_runs": True, "arrivals": True}
    return score.model_dump(exclude=of_one_message)


async def test_excluded_values_count_nowhere_and_are_no_fault_of_the_sensor(mesh: "Mesh", make_reading: MakeReading) -> None:
    """A probe in the bucket for an hour: not scored, no share of suspects, no failing newest value, no fault."""
    await mesh.send(*(make_reading(day + part / 8, t=30.0) for day in range(3) for part in range(8)))
    (before,) = await mesh.send(make_reading(3.0, t=30.0, sea_water_speed=0.2))
    wrong = {"t": 24.0, "sea_water_speed": 0.3, "flags": {SEA_WATER_TEMPERATURE: Flag.FAIL}, "faults": EXCLUDED}
    (score,) = await mesh.send(make_reading(3.1, **wrong))
    latest = score.latest[SEA_WATER_TEMPERATURE]
    assert (30.0, Flag.PASS) == (latest.value, latest.flag)
    assert 0.3 == score.latest["sea_water_speed"].value
    assert [{}] == [buoy.faults for buoy in score.buoys]
    assert before.heat.latest is not None
    assert score.heat.latest is not None
    assert before.heat.latest.sst_celsius == score.heat.latest.sst_celsius


async def test_exclusion_and_inclusion_of_the_newest_and_of_older_values_leave_the_score_as_it_was(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    def history(revision: int, **more: Any) -> list[Reading]:
        return [make_reading(day + part / 8, t=29.0 + day, revision=revision, **more) for day in range(4) for part in range(8)]

    (before,) = await mesh.send(*history(1))
    tables = await mesh.tables()
    (excluded,) = await mesh.send(*history(2, flag=Flag.FAIL, faults=EXCLUDED)[12:])
    assert excluded.heat.latest is not None
    assert "missing" == excluded.heat.latest.source
    assert (30.0, Flag.PASS) == (excluded.latest[SEA_WATER_TEMPERATURE].value, excluded.latest[SEA_WATER_TEMPERATURE].flag)
    (included,) = await mesh.send(*history(3)[12:], reload=True)
    assert told(before) == told(included)
    assert {"day_totals": tables["day_totals"], "days": tables["days"]} == {
        name: rows for name, rows in (await mesh.tables()).items() if name != "samples"
    }


def hour_of_last_value(score: ReefScore) -> int:
    (buoy,) = score.buoys
    assert buoy.sensors is not None
    at = buoy.sensors[SEA_WATER_TEMPERATURE].last_value_at
    assert at is not None
    return at.hour


async def test_quantity_whose_values_are_excluded_until_now_is_not_silent(mesh: "Mesh", make_reading: MakeReading) -> None:
    """Values come, though none counts; without the exclusion the last value is the same."""
    before = [make_reading(part / 8, t=29.0) for part in range(4)]
    await mesh.send(*before)
    revised = make_reading(3 / 8, t=29.0, revision=2, flag=Flag.FAIL, faults=EXCLUDED)
    (score,) = await mesh.send(revised, make_reading(4 / 8, t=24.0, flag=Flag.FAIL, faults=EXCLUDED))
    assert 12 == hour_of_last_value(score)
    assert 6 == score.latest[SEA_WATER_TEMPERATURE].observed_at.hour
    (included,) = await mesh.send(make_reading(4 / 8, t=29.0, revision=2))
    assert 12 == hour_of_last_value(included)
