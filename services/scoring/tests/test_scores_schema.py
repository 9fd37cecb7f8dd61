"""Which major of scores a deployment gets."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.contracts.channels import SCORING
from reefmesh.contracts.contract import Contract
from reefmesh.contracts.quantities import PCO2, PH_TOTAL_SCALE, SEA_WATER_SPEED, VISIBILITY
from reefmesh.contracts.readings import DeviceStatus, Reading
from reefmesh.contracts.register import BuoyFacts, DiveLimits, ReefConditions
from reefmesh.contracts.schema import SCORES_1, SCORES_2, read_body
from reefmesh.contracts.scores import READERS
from reefmesh.errors import ConfigurationError
from reefmesh.service.assembly import Parts
from reefmesh_scoring.bootstrap import blueprint
from reefmesh_scoring.handler import ScoresSchema
from reefmesh_scoring.settings import ScoringSettings

if TYPE_CHECKING:
    from services.scoring.tests.conftest import Mesh

REQUIRED = {"REEFMESH_BROKER_URL": "embedded://", "REEFMESH_STORE_URL": "sqlite://"}
VARIABLE = "REEFMESH_SCORING_SCORES_SCHEMA"


@pytest.mark.parametrize(
    ("given", "written"), [({}, SCORES_1), ({VARIABLE: SCORES_1}, SCORES_1), ({VARIABLE: SCORES_2}, SCORES_2)]
)
async def test_scores_are_written_in_the_major_that_the_settings_name_the_older_by_default(
    mesh: "Mesh", make_reading: Callable[..., Reading], given: dict[str, str], written: str
) -> None:
    """An alerts service of the version before parks the newer one, so nothing but an operator's word starts it."""
    settings = ScoringSettings.load(environment=REQUIRED | given)
    parts = Parts(store=mesh.store, broker=open_broker("embedded://", clock=mesh.clock), clock=mesh.clock, metrics=mesh.metrics)
    handler = blueprint(settings).handlers[SCORING](parts)
    mesh.handler = handler  # type: ignore[assignment]  # the blueprint's type is that of any handler
    await mesh.send(make_reading(-1.0, t=29.0))
    assert [output.schema_id for output in mesh.outputs] == [written]


def needless(value: Any) -> list[str]:
    """Return the fields that a body says although they have the contract's default."""
    if isinstance(value, dict | list | tuple):
        return [name for each in (value.values() if isinstance(value, dict) else value) for name in needless(each)]
    if not isinstance(value, Contract):
        return []
    fields = {name: (type(value).model_fields[name], getattr(value, name)) for name in value.model_fields_set}
    found = [
        name
        for name, (field, said) in fields.items()
        if not field.is_required() and said == field.get_default(call_default_factory=True)
    ]
    return found + needless([said for _, said in fields.values()])


@pytest.mark.parametrize("major", [SCORES_1, SCORES_2])
async def test_scores_leave_out_what_has_the_contracts_default_and_say_the_rest(
    meshes: Callable[..., Any], make_reading: Callable[..., Reading], major: ScoresSchema
) -> None:
    limits = DiveLimits(current_good_knots=0.4)
    facts = BuoyFacts(buoy_id="b1", report_interval_seconds=600)
    values = {"t": 29.0, SEA_WATER_SPEED: 0.1, VISIBILITY: 12.0, PH_TOTAL_SCALE: 8.0, PCO2: 400.0}
    async with meshes(scores_schema=major) as mesh:
        await mesh.send(*(make_reading(hour / 24, **values) for hour in range(5)), buoys=[facts])
        (usual,) = await mesh.send(make_reading(1.0, **values), buoys=[facts])
        body = read_body(mesh.outputs[0], READERS)
        assert needless(body) == []
        assert usual.buoys[0].facts == facts
        assert usual.carbonate.salinity_assumed
        (other,) = await mesh.send(
            make_reading(1.1, **values, status=DeviceStatus(report="1", battery_volts=3.9)),
            buoys=[facts],
            conditions=ReefConditions(time_zone="Asia/Makassar", dive_limits=limits),
        )
        assert other.buoys[0].battery_volts == 3.9
        if major == SCORES_2:
            assert b'"failing_since":null' in mesh.outputs[0].body, "what has no default is said, unknown or not"
            assert (usual.dive.limits, other.dive.limits) == (DiveLimits(), limits)
            assert (usual.dive.all_instants, other.dive.all_instants) == (False, True)
            assert (usual.time_zone, other.time_zone) == (None, "Asia/Makassar")


def test_major_that_nobody_writes_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match=rf"{VARIABLE} is 'scores/3'.*scores/1 or scores/2"):
        ScoringSettings.load(environment=REQUIRED | {VARIABLE: "scores/3"})
