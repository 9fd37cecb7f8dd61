"""Which major of scores a deployment gets."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.contracts.channels import SCORING
from reefmesh.contracts.readings import Reading
from reefmesh.contracts.schema import SCORES_1, SCORES_2
from reefmesh.errors import ConfigurationError
from reefmesh.service.assembly import Parts
from reefmesh_scoring.bootstrap import blueprint
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


def test_major_that_nobody_writes_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match=rf"{VARIABLE} is 'scores/3'.*scores/1 or scores/2"):
        ScoringSettings.load(environment=REQUIRED | {VARIABLE: "scores/3"})
