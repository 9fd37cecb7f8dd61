"""The conditions that the register states of a reef and of its sensors: ``readings/2``."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from reefmesh.contracts.quantities import PCO2, PH_TOTAL_SCALE, SEA_WATER_SPEED, SEA_WATER_TEMPERATURE, VISIBILITY
from reefmesh.contracts.readings import Reading
from reefmesh.contracts.register import BuoyFacts, ChemistryBands, DiveLimits, ReefConditions, SensorFacts

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

MakeReading = Callable[..., Reading]

STRICT = ReefConditions(
    time_zone="Asia/Makassar",
    dive_limits=DiveLimits(current_good_knots=0.1, current_fair_knots=0.2, current_experienced_knots=0.3),
    chemistry_bands=ChemistryBands(good_above=9, adequate_from=8, low_from=7),
)


async def test_reefs_own_limits_decide_and_its_instants_are_told_anew_when_they_change(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    """0.25 m/s is 0.49 kn: good by the defaults, a no-go where the operator allows 0.3 kn."""
    (before,) = await mesh.send(make_reading(0.0, **{SEA_WATER_SPEED: 0.25, VISIBILITY: 15.0}))
    (after,) = await mesh.send(make_reading(0.02, **{VISIBILITY: 15.0}), conditions=STRICT)
    (back,) = await mesh.send(make_reading(0.04, **{VISIBILITY: 15.0}))
    assert ["good", "no_go", "good"] == [score.dive.verdict for score in (before, after, back)]
    assert (after.dive.all_instants, back.dive.all_instants) == (True, True)
    of_current = [[each.verdict for each in score.dive.instants if each.quantity == SEA_WATER_SPEED] for score in (after, back)]
    assert [["no_go"], ["good"]] == of_current
    (same,) = await mesh.send(make_reading(0.05, **{VISIBILITY: 15.0}))
    assert not same.dive.all_instants


async def test_reefs_own_bands_class_the_saturation(mesh: "Mesh", make_reading: MakeReading) -> None:
    readings = [make_reading(at / 10, t=27.0, **{PH_TOTAL_SCALE: 8.05, PCO2: 400.0}) for at in range(11)]
    (by_default,) = await mesh.send(*readings)
    (by_own,) = await mesh.send(make_reading(1.1, t=27.0), conditions=STRICT)
    assert ("adequate", "marginal") == (by_default.carbonate.band, by_own.carbonate.band)
    assert by_default.carbonate.omega_aragonite == by_own.carbonate.omega_aragonite


async def test_conditions_and_sensors_are_kept_with_the_reef_and_end_with_readings_1(
    mesh: "Mesh", make_reading: MakeReading
) -> None:
    probe = {SEA_WATER_TEMPERATURE: SensorFacts(resolution=0.01, depth_metres=3.0)}
    facts = [BuoyFacts(buoy_id="b1")]
    await mesh.send(make_reading(0.0, t=28.0), buoys=facts, conditions=STRICT, sensors={"b1": probe})
    for reload in (False, True):
        state = mesh.states["reef"] = (
            await mesh.handler.load("reef", mesh.handler.dump(mesh.states["reef"])) if reload else mesh.states["reef"]
        )
        assert (STRICT, probe) == (state.conditions, state.buoys["b1"].stated_sensors)
    await mesh.send(make_reading(0.1, t=28.0), buoys=facts)
    state = mesh.states["reef"]
    assert (None, {}) == (state.conditions, state.buoys["b1"].stated_sensors)


async def test_old_conditions_of_a_replayed_message_do_not_come_back(mesh: "Mesh", make_reading: MakeReading) -> None:
    await mesh.send(make_reading(0.0, t=28.0), seq=5, conditions=STRICT)
    await mesh.send(make_reading(0.1, t=28.0), seq=3, conditions=ReefConditions(time_zone="Asia/Bangkok"))
    assert STRICT == mesh.states["reef"].conditions


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (DiveLimits, {"current_good_knots": 1.5}),
        (DiveLimits, {"visibility_poor_metres": 6}),
        (ChemistryBands, {"adequate_from": 4.5}),
        (ChemistryBands, {"low_from": -1}),
    ],
)
def test_limits_out_of_order_are_refused(kind: type[DiveLimits | ChemistryBands], fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=r"must rise|must fall|greater than"):
        kind(**fields)


@pytest.mark.parametrize(("resolution", "best"), [(None, "fair"), (0.1, "good")])
async def test_stated_resolution_of_a_sensor_widens_the_margin_of_its_verdicts(
    mesh: "Mesh", make_reading: MakeReading, resolution: float | None, best: str
) -> None:
    """0.5 kn is 0.257 m/s: 0.3 m/s is beyond 10 % of it, and one step of 0.1 m/s is not."""
    sensors = {"b1": {SEA_WATER_SPEED: SensorFacts(resolution=resolution)}}
    buoys = [BuoyFacts(buoy_id="b1")]
    (score,) = await mesh.send(make_reading(0.0, sea_water_speed=0.3, visibility=20.0), buoys=buoys, sensors=sensors)
    (instant,) = [each for each in score.dive.instants if each.quantity == SEA_WATER_SPEED]
    assert ("fair", best) == (instant.verdict, instant.best)
