"""What most messages are is handled by a shorter way, and nobody can tell by what comes of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import PCO2, PH_TOTAL_SCALE, SEA_WATER_SPEED, SEA_WATER_TEMPERATURE
from reefmesh.contracts.readings import Reading
from reefmesh_scoring import queries

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

MakeReading = Callable[..., Reading]


async def test_revision_that_says_the_same_is_kept_as_the_newest_and_counts_nothing(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    (before,) = await mesh.send(make_reading(0.0, t=30.0), make_reading(0.1, t=34.0, **{SEA_WATER_SPEED: 0.1}))
    tables = await mesh.tables()
    (same,) = await mesh.send(make_reading(0.1, t=34.0, revision=2, **{SEA_WATER_SPEED: 0.1}))
    assert same.latest == before.latest
    assert same.heat.changed == []
    assert same.dive.instants == []
    after = await mesh.tables()
    assert (after["days"], after["day_totals"]) == (tables["days"], tables["day_totals"])
    counts = await queries.reading_counts(mesh.store)
    assert (counts.readings, counts.revisions) == (2, 1)
    await mesh.send(make_reading(0.1, t=20.0, revision=2), reload=True)
    assert (await queries.reading_counts(mesh.store)).ignored == 1, "revision 2 is on record"
    (score,) = await mesh.send(make_reading(0.1, t=34.0, revision=3, flag=Flag.SUSPECT))
    assert score.heat.latest is not None
    assert (score.heat.latest.sst_celsius, score.heat.latest.readings) == (30.0, 1)


async def test_revision_that_changes_a_flag_a_fault_or_drops_a_value_is_not_the_same(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    await mesh.send(make_reading(0.0, t=30.0, **{SEA_WATER_SPEED: 0.1}))
    (flagged,) = await mesh.send(make_reading(0.0, t=30.0, revision=2, flag=Flag.FAIL, **{SEA_WATER_SPEED: 0.1}))
    assert flagged.latest[SEA_WATER_TEMPERATURE].flag == Flag.FAIL
    faults = {SEA_WATER_TEMPERATURE: "broken"}
    (faulty,) = await mesh.send(make_reading(0.0, t=30.0, revision=3, flag=Flag.FAIL, faults=faults, **{SEA_WATER_SPEED: 0.1}))
    assert faulty.buoys[0].faults == faults
    (dropped,) = await mesh.send(make_reading(0.0, t=30.0, revision=4, flag=Flag.FAIL, faults=faults))
    assert [*dropped.latest] == [SEA_WATER_TEMPERATURE]


async def test_second_reading_of_the_day_that_closes_a_gap_changes_the_filled_days_too(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    await mesh.send(make_reading(0.0, t=30.0))
    await mesh.send(make_reading(3.0, t=33.0))
    (score,) = await mesh.send(make_reading(3.1, t=36.0))
    assert [(day.source, day.sst_celsius) for day in score.heat.changed] == [
        ("filled", 31.5),
        ("filled", 33.0),
        ("night", 34.5),
    ]
    assert score.heat.changed == (await mesh.days())[1:]


async def test_readings_of_today_one_by_one_score_as_all_at_once(
    mesh: "Mesh", meshes: Callable[..., Any], make_reading: MakeReading
) -> None:
    days = [make_reading(float(day), t=31.0 + day % 3) for day in range(90)]
    today = [make_reading(89.0 + hour / 24, t=30.0 + hour) for hour in range(1, 4)]
    await mesh.send(*days)
    for reading in today:
        (score,) = await mesh.send(reading)
    one_by_one = await mesh.days()
    assert score.heat.latest == one_by_one[-1]
    async with meshes() as other:
        (at_once,) = await other.send(*days, *today)
        assert one_by_one == await other.days()
    assert score.heat.changed == [one_by_one[-1]]
    assert score.heat.model_copy(update={"changed": []}) == at_once.heat.model_copy(update={"changed": []})


async def test_late_reading_of_a_day_that_is_over_changes_its_chemistry(mesh: "Mesh", make_reading: MakeReading) -> None:
    both = {"t": 27.0, PCO2: 400.0}
    morning = [make_reading(hour / 24, **both, **{PH_TOTAL_SCALE: 8.0}) for hour in range(4)]
    (before,) = await mesh.send(*morning, make_reading(1.0, t=27.0))
    (after,) = await mesh.send(make_reading(0.5, **both, **{PH_TOTAL_SCALE: 8.3}))
    assert before.carbonate.omega_aragonite is not None
    assert after.carbonate.omega_aragonite is not None
    assert after.carbonate.omega_aragonite > before.carbonate.omega_aragonite
