"""Laws 12 and 13: whatever an authorised attacker does, nobody is spoken for, and the mesh stands.

An act that still breaks them is in ``HOLES``: it must fail, so whoever mends the hole is told here to take its line out.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_hostile.act import Act, Finding
from reefmesh_hostile.acts import ALL
from reefmesh_hostile.performance import Theatre
from reefmesh_hostile.stage import stage

SHORT: Final = frozenset(
    {
        "mqtt-topics-of-controls",
        "broken-frames",
        "device-writes-where-it-has-no-right",
        "observed-at-any-time",
        "score-through-VirtualTopic.reef.*",
        "unreadable-envelopes",
        "advisory-of-a-number",
        "70-half-open-requests",
        "three-payloads-of-16-MB",
        "invisible-text",
    }
)
"""These are played by the pipeline (``make test CI=1``); the others by ``make hostile``."""

HOLES: Final[dict[str, str]] = {
    "commands-of-another-device": "row 10: any device may subscribe to any device's commands",
}
"""Name of an act -> what happens today."""


IN_ORDER: Final = sorted(ALL, key=lambda act: (act.name in HOLES, -act.row))
"""Those that leave the mesh well first, and what forges or cuts links last: a new mesh takes seconds."""


class HoleFound(Exception):
    """The checker found something: the only way in which a hole may fail."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(str(finding) for finding in findings))


def marked(act: Act) -> "pytest.ParameterSet":
    marks: list[pytest.MarkDecorator] = [pytest.mark.ci if act.name in SHORT else pytest.mark.hostile]
    if act.name in HOLES:
        marks.append(pytest.mark.xfail(raises=HoleFound, strict=True, reason=HOLES[act.name]))
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
@pytest.mark.parametrize("act", [marked(act) for act in IN_ORDER if not act.heap])
def test_act_leaves_the_mesh_well_and_believes_nobody_too_much(act: Act, theatre: Theatre) -> None:
    if findings := theatre.play(act).findings:
        raise HoleFound(findings)


def test_holes_and_short_selection_name_acts() -> None:
    assert (HOLES.keys() | SHORT) <= {act.name for act in ALL}


def test_security_page_names_each_open_hole_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    table = page.partition("## Open holes")[2].partition("\n## ")[0]
    assert sorted(HOLES) == sorted(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("act", [marked(act) for act in ALL if act.heap])
def test_act_against_a_broker_of_its_own_leaves_the_mesh_well(act: Act) -> None:
    try:
        with stage(heap=act.heap) as place:
            findings = Theatre(place).play(act).findings
    except ComponentMissing as missing:
        give_up(missing)
    if findings:
        raise HoleFound(findings)
