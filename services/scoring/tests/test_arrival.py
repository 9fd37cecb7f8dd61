"""Law 9: whatever order, lateness and repetition readings arrive in, the tables and the score are the same in the end."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import PCO2, PH_TOTAL_SCALE, SEA_WATER_SPEED, VISIBILITY
from reefmesh.contracts.readings import DeviceStatus, Reading
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import INSTANT_HOURS, DiveInstant, ReefScore
from reefmesh_scoring import queries

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

BUOYS = [
    BuoyFacts(buoy_id="b1", temperature_accuracy_celsius=0.2),
    BuoyFacts(buoy_id="b2", temperature_accuracy_celsius=0.1, report_interval_seconds=7 * 86400),
]


@st.composite
def readings_with_revisions(draw: st.DrawFn, make_reading: Callable[..., Reading]) -> list[Reading]:
    """Readings of two buoys: clusters within minutes, weeks apart, all flags, faults, lost and added channels, withdrawals,
    revisions that say the same."""
    instants = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["b1", "b2"]),
                st.one_of(st.integers(0, 130), st.integers(60, 64)),
                st.sampled_from([0, 1, 2, 240, 300, 420, 700, 900, 1200]),
            ),
            min_size=1,
            max_size=40,
            unique=True,
        )
    )
    readings: list[Reading] = []
    for buoy, day, minute in instants:
        for revision in range(1, draw(st.sampled_from([1, 1, 1, 2, 3])) + 1):
            if revision > 1 and draw(st.booleans()):
                readings.append(readings[-1].model_copy(update={"revision": revision}))
                continue
            if revision > 1 and draw(st.booleans()):
                gone = dict.fromkeys(readings[-1].channels, None)
                readings.append(make_reading(day + minute / 1440, buoy=buoy, revision=revision, withdrawn=True, **gone))
                continue
            values: dict[str, float | None] = {}
            if draw(st.booleans()):
                values["t"] = draw(st.one_of(st.none(), st.integers(2850, 3300).map(lambda cents: cents / 100)))
            for name in (SEA_WATER_SPEED, VISIBILITY, PH_TOTAL_SCALE, PCO2):
                if draw(st.integers(0, 3)) == 0:
                    values[name] = draw(st.one_of(st.none(), st.sampled_from([0.1, 0.6, 4.0, 8.1, 12.0])))
            readings.append(
                make_reading(
                    day + minute / 1440,
                    buoy=buoy,
                    revision=revision,
                    flag=draw(st.sampled_from([Flag.PASS, Flag.PASS, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL])),
                    faults={name: "lost" for name, value in values.items() if value is None},
                    status=draw(st.sampled_from([None, None, DeviceStatus(report="d", battery_volts=3.5 + revision / 10)])),
                    **values,
                )
            )
    return readings


async def final(mesh: "Mesh", batches: list[list[Reading]], *, reload: bool) -> tuple[Any, Any, Any, Any]:
    """Send batches; return the tables, the score without what this last message changed (None of a reef that was never heard),
    the verdicts by instants that all messages together told, and the counters."""
    scores: list[ReefScore] = []
    told: dict[Any, DiveInstant] = {}
    for batch in batches:
        scores = await mesh.send(*batch, buoys=BUOYS, reload=reload)
        for score in scores:
            oldest = score.as_of - timedelta(hours=INSTANT_HOURS)
            told = {} if score.dive.all_instants else told
            told |= {(each.observed_at, each.buoy_id, each.quantity): each for each in score.dive.instants}
            told = {key: each for key, each in told.items() if each.observed_at > oldest}
    of_one_message: Any = {"heat": {"changed"}, "dive": {"instants", "all_instants"}, "failed_runs": True, "arrivals": True}
    last = scores[-1].model_dump(exclude=of_one_message) if scores else None
    instants = {key: each for key, each in told.items() if scores and each.value is not None}
    assert await queries.latest_scores(mesh.store) == scores[-1:]
    return await mesh.tables(), last, instants, mesh.states["reef"].readings


def in_batches(readings: list[Reading], sizes: Random) -> list[list[Reading]]:
    batches = []
    while readings:
        size = sizes.choice([1, 1, 2, 5, 50])
        batches.append(readings[:size])
        readings = readings[size:]
    return batches


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), seed=st.integers(0, 2**32), reload=st.booleans())
async def test_final_score_and_tables_do_not_depend_on_the_order_of_arrival(
    meshes: Callable[..., Any], make_reading: Callable[..., Reading], data: st.DataObject, seed: int, reload: bool
) -> None:
    clean = data.draw(readings_with_revisions(make_reading))
    clean.sort(key=lambda each: (each.observed_at, each.buoy_id, each.revision))
    random = Random(seed)
    shuffled = clean + random.sample(clean, len(clean) // 3)  # repeats, too
    random.shuffle(shuffled)
    async with meshes() as mesh:
        in_order = await final(mesh, in_batches(clean, random), reload=False)
    async with meshes() as mesh:
        assert in_order == await final(mesh, in_batches(shuffled, random), reload=reload)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), seed=st.integers(0, 2**32))
async def test_superseded_revisions_leave_no_trace(
    meshes: Callable[..., Any], make_reading: Callable[..., Reading], data: st.DataObject, seed: int
) -> None:
    """The record of all revisions in any order is that of the last revisions alone."""
    everything = data.draw(readings_with_revisions(make_reading))
    last = {(each.buoy_id, each.observed_at): each for each in everything}
    Random(seed).shuffle(everything)
    async with meshes() as mesh:
        alone = await final(mesh, [list(last.values())], reload=False)
    async with meshes() as mesh:
        assert alone == await final(mesh, in_batches(everything, Random(seed)), reload=True)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), seed=st.integers(0, 2**32), reload=st.booleans())
async def test_withdrawn_readings_never_were(
    meshes: Callable[..., Any], make_reading: Callable[..., Reading], data: st.DataObject, seed: int, reload: bool
) -> None:
    """The record is that of the readings that stand; of a withdrawn one nothing is left but its row."""
    everything = data.draw(readings_with_revisions(make_reading))
    last = {(each.buoy_id, each.observed_at): each for each in everything}
    standing = [each for each in last.values() if not each.withdrawn]
    Random(seed).shuffle(everything)
    async with meshes() as mesh:
        await mesh.send(make_reading(0.0, buoy="b3", revision=2, withdrawn=True), buoys=BUOYS)
        tables, *expected = await final(mesh, [standing] if standing else [], reload=reload)
    async with meshes() as mesh:
        await mesh.send(make_reading(0.0, buoy="b3", revision=2, withdrawn=True), buoys=BUOYS)
        other_tables, *others = await final(mesh, in_batches(everything, Random(seed)), reload=reload)
    other_tables["samples"] = [row for row in other_tables["samples"] if row[-1] is not None or row[1] == "b3"]
    assert (other_tables, others) == (tables, expected)


@pytest.mark.parametrize("late", [False, True])
async def test_cost_of_a_reading_does_not_grow_with_the_record(
    meshes: Callable[..., Any], make_reading: Callable[..., Reading], late: bool
) -> None:
    """The same queries, rows read and rows written after 12 years as after one, for a new reading and for a late one."""
    costs = []
    for years in (1, 12):
        last = years * 365
        async with meshes() as mesh:
            for start in range(0, last, 365):
                await mesh.send(*(make_reading(float(day), t=28.0 + day % 40 / 10) for day in range(start, start + 365)))
            mesh.counting.queries = mesh.counting.rows = 0
            scores = await mesh.send(make_reading(last - 150.5 if late else float(last), t=30.0))
            costs.append((mesh.counting.queries, mesh.counting.rows, len(mesh.writes), len(scores[0].heat.changed)))
    assert costs[0] == costs[1]
    if not late:
        assert costs[0] == (0, 0, 4, 1), "nothing is read; a sample, the day's totals, the day and the score are written"


@pytest.mark.parametrize("reload", [False, True])
@pytest.mark.parametrize("place", ["first", "last", "only"])
async def test_day_of_nothing_but_a_withdrawn_reading_was_no_day(
    meshes: Callable[..., Any], make_reading: Callable[..., Reading], place: str, reload: bool
) -> None:
    """The record begins and ends with the readings that stand; ``as_of`` and the day of the chemistry with it."""
    others = (
        []
        if place == "only"
        else [make_reading(day / 4, t=31.0, **{PH_TOTAL_SCALE: 8.1, PCO2: 400.0}) for day in range(40, 72)]
    )
    at = 2.0 if place == "first" else 19.0
    async with meshes() as mesh:
        await mesh.send(make_reading(at, revision=2, withdrawn=True))
        expected = await final(mesh, [others] if others else [], reload=reload)
    async with meshes() as mesh:
        batches = [[make_reading(at, t=33.0)], *([each] for each in others), [make_reading(at, revision=2, withdrawn=True)]]
        assert await final(mesh, batches, reload=reload) == expected


async def test_value_that_was_too_old_to_show_is_found_when_as_of_goes_back(
    mesh: "Mesh", make_reading: Callable[..., Reading]
) -> None:
    """As of day 60 the visibility of day 20 is not looked for; as of day 30 it is the newest."""
    await mesh.send(
        make_reading(20.0, t=28.0, **{VISIBILITY: 12.0}), make_reading(30.0, t=28.0), make_reading(59.0, **{VISIBILITY: 5.0})
    )
    await mesh.send(make_reading(60.0, t=28.0), make_reading(59.0, revision=2, **{VISIBILITY: None}))
    assert VISIBILITY not in mesh.states["reef"].scored
    (score,) = await mesh.send(make_reading(59.0, revision=3, withdrawn=True), make_reading(60.0, revision=2, withdrawn=True))
    assert score.dive.factors[1].value == 12.0


@pytest.mark.parametrize("reload", [False, True])
async def test_withdrawn_reading_stays_none_when_the_longitude_is_corrected(
    mesh: "Mesh", make_reading: Callable[..., Reading], make_reef: Callable[..., Any], reload: bool
) -> None:
    await mesh.send(make_reading(1.0, t=30.0), make_reading(5.0, t=30.0))
    await mesh.send(make_reading(5.0, revision=2, withdrawn=True))
    gone = make_reading(9.0, revision=2, withdrawn=True)
    await mesh.send(make_reading(0.6, t=30.0), gone, reef=make_reef(longitude_degrees=75), reload=reload)
    assert [day.readings for day in await mesh.days()] == [1, 1]


@pytest.mark.parametrize("reload", [False, True])
async def test_reading_withdrawn_twice_and_brought_back_counts_once(
    mesh: "Mesh", make_reading: Callable[..., Reading], reload: bool
) -> None:
    await mesh.send(make_reading(1.0, t=30.0), make_reading(2.0, t=32.0))
    for revision in (2, 3):
        await mesh.send(make_reading(2.0, revision=revision, withdrawn=True), reload=reload)
        assert (mesh.states["reef"].readings, [day.readings for day in await mesh.days()]) == (1, [1])
    await mesh.send(make_reading(2.0, t=31.0, revision=4), reload=reload)
    assert (mesh.states["reef"].readings, [day.sst_celsius for day in await mesh.days()]) == (2, [30.0, 31.0])
