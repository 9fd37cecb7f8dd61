"""Laws 12 and 13 on RabbitMQ: the acts that apply there, by the same checker beside the same honest traffic."""

from collections.abc import Iterator
from typing import Final

import pytest

from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_hostile.act import Act
from reefmesh_hostile.acts import ON_RABBITMQ
from reefmesh_hostile.performance import Theatre
from reefmesh_hostile.stage import stage

SHORT: Final = frozenset(
    {
        "key-that-is-no-text",
        "headers-of-every-type",
        "scoring-writes-readings-into-its-own-shards",
        "publisher-publishes-where-it-has-no-right",
        "frames-out-of-place",
    }
)
"""These are played by ``make rabbitmq``, all by ``make hostile BROKER=rabbitmq``."""


def marked(act: Act) -> "pytest.ParameterSet":
    return pytest.param(act, id=act.name, marks=pytest.mark.rabbitmq if act.name in SHORT else pytest.mark.hostile)


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    """One broker and one mesh for all acts that leave them well."""
    try:
        with stage("rabbitmq") as place:
            yield Theatre(place)
    except ComponentMissing as missing:
        give_up(missing)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("act", [marked(act) for act in sorted(ON_RABBITMQ, key=lambda act: -act.row)])
def test_act_leaves_the_mesh_well_and_believes_nobody_too_much(act: Act, theatre: Theatre) -> None:
    assert [] == theatre.play(act).findings


def test_short_selection_names_acts() -> None:
    assert {act.name for act in ON_RABBITMQ} >= SHORT
