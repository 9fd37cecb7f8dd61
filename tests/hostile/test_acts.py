"""Laws 12 and 13: whatever an authorised attacker does, nobody is spoken for, and the mesh stands.

An act that still breaks them is in ``HOLES``: it must fail, so whoever mends the hole is told here to take its line out.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_hostile.act import Act, Finding
from reefmesh_hostile.acts import ALL
from reefmesh_hostile.performance import Theatre
from reefmesh_hostile.stage import stage

SHORT: Final[frozenset[str]] = frozenset()
HOLES: Final[dict[str, str]] = {}
"""Name of an act -> what happens today."""


class Breach(Exception):
    """The checker found something: the only way in which a hole may fail."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(str(finding) for finding in findings))


def marked(act: Act) -> "pytest.ParameterSet":
    marks = [] if act.name in SHORT else [pytest.mark.hostile]
    if act.name in HOLES:
        marks.append(pytest.mark.xfail(raises=Breach, strict=True, reason=HOLES[act.name]))
    return pytest.param(act, id=act.name, marks=marks)


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    """One broker and one mesh for all acts that leave them well."""
    try:
        with stage() as place:
            yield Theatre(place)
    except ComponentMissing as missing:
        give_up(missing)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("act", [marked(act) for act in ALL if not act.heap])
def test_act_leaves_the_mesh_well_and_believes_nobody_too_much(act: Act, theatre: Theatre) -> None:
    if findings := theatre.play(act).findings:
        raise Breach(findings)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("act", [marked(act) for act in ALL if act.heap])
def test_act_against_a_broker_of_its_own_leaves_the_mesh_well(act: Act) -> None:
    try:
        with stage(heap=act.heap) as place:
            findings = Theatre(place).play(act).findings
    except ComponentMissing as missing:
        give_up(missing)
    if findings:
        raise Breach(findings)
