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
"""These are played by ``make test``; the others by ``make hostile``."""

HOLES: Final[dict[str, str]] = {
    "mqtt-topic-of-65521-colons": "row 1: ingest loses its link at every delivery of the same frame; nobody is handled",
    "stomp-header-block-of-270-kB": "row 1: ingest loses its link at every delivery of the same frame, 33 times in 10 s",
    "stomp-header-block-then-restart-of-ingest": "row 1: the same frame meets ingest again when it was started again",
    "stomp-header-block-to-scoring-and-alerts": "rows 1 and 2: all three services lose their links, 30 times in 10 s",
    "backslash-in-the-name-of-a-header": "row 1: ingest loses its link at every delivery of the same frame: unknown escape",
    "ingest-writes-scores-through-a-queue-of-any-service": "row 2: not applied; it lies in a queue of that very name",
    "unreadable-envelopes": "row 5: parked without being counted",
    "unreadable-flood": "row 5: parked without being counted until the broker's store is full",
    "advisory-of-a-number": "row 8: AttributeError in the connection's callback, every service loses its link",
    "advisory-of-200000-brackets": "row 8: RecursionError in the connection's callback, every service loses its link",
    "advisory-with-a-count-of-5000-digits": "row 8: ValueError in the connection's callback, every service loses its link",
    "advisories-of-400-members": "row 8: 400 of 400 forged joins are believed",
    "hand-over-in-a-flood-of-joins": "row 8: each forged join begins the hand-over anew; reefs keep moving, one waits 12.8 s",
    "1000-idle-topics": "row 9: no topic is ever collected",
    "9000-topics-on-a-small-broker": "row 9: the broker gets slower with every topic and answers nobody any more",
    "commands-of-another-device": "row 10: any device may subscribe to any device's commands",
    "stomp-1.0-header-of-9500-colons": "row 12: the broker closes the connection at the SEND to parking, again and again",
}
"""Name of an act -> what happens today."""


IN_ORDER: Final = sorted(ALL, key=lambda act: (act.name in HOLES, -act.row))
"""Those that leave the mesh well first, and what forges or cuts links last: a new mesh takes seconds."""


class HoleFound(Exception):
    """The checker found something: the only way in which a hole may fail."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(str(finding) for finding in findings))


def marked(act: Act) -> "pytest.ParameterSet":
    marks: list[pytest.MarkDecorator] = [] if act.name in SHORT else [pytest.mark.hostile]
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
