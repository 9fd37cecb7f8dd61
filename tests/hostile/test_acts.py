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

SHORT: Final = frozenset(
    {
        "mqtt-topics-of-controls",
        "header-beyond-the-basic-plane",
        "broken-frames",
        "device-writes-where-it-has-no-right",
        "service-writes-where-it-has-no-right",
        "device-reads-queues",
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
    "score-through-VirtualTopic.reef.*": "row 2: the forged score is applied, and told as heat of severity 7",
    "score-through-VirtualTopic.*.*": "row 2: the forged score is applied, and told as heat of severity 7",
    "score-through-*.*.scores": "row 2: the forged score is applied, and told as heat of severity 7",
    "readings-through-VirtualTopic.reef.*": "row 2: forged readings are scored",
    "ingest-writes-scores-into-every-queue": "row 2: the next process of alerts that joins is given the forged score",
    "ingest-writes-scores-through-a-queue-of-any-service": "row 2: the next process of alerts is given the forged score",
    "alerts-writes-telemetry-into-every-queue": "row 2: the next process of ingest that joins is given the forged report",
    "scoring-writes-readings-into-its-own-queue": "row 2: scoring's user speaks for ingest, and is scored",
    "number-of-a-billion-at-scoring": "row 3: the message is parked and the cursor stands at a billion",
    "number-of-a-billion-of-a-busy-reef": "row 3: the reef waits behind it for longer than 10 s",
    "number-of-a-billion-by-ingest-itself": "row 3: the message is parked and the cursor stands at a billion",
    "publisher-restored-from-a-backup": "row 3: what has a used number is skipped as a duplicate, and nothing says so",
    "unknown-schemas-at-scoring-and-alerts": "row 4: the breaker opens, scoring and alerts end with 65",
    "unreadable-envelopes": "row 5: parked without being counted",
    "unreadable-flood": "row 5: parked without being counted until the broker's store is full",
    "received-at-2099": "row 6: the reef's score is as of 2099",
    "received-at-9999": "row 6: the event loop stands for seconds at each try, scoring holds 474 MB",
    "produced-at-2099": "row 6: the reef's score is as of 2099",
    "300-reefs-that-follow-nothing": "row 7: all lanes of ingest wait, nobody is handled",
    "own-reef-follows-nothing": "row 7: the reef's other buoys wait as long as the message's patience",
    "advisory-of-a-number": "row 8: AttributeError in the connection's callback, every service loses its link",
    "advisory-of-200000-brackets": "row 8: RecursionError in the connection's callback, every service loses its link",
    "advisory-with-a-count-of-5000-digits": "row 8: ValueError in the connection's callback, every service loses its link",
    "advisories-of-400-members": "row 8: 400 of 400 forged joins are believed",
    "hand-over-in-a-flood-of-joins": "row 8: each forged join begins the hand-over anew; reefs keep moving, one waits 12.8 s",
    "1000-idle-topics": "row 9: no topic is ever collected",
    "9000-topics-on-a-small-broker": "row 9: the broker gets slower with every topic and answers nobody any more",
    "telemetry-of-another-device": "row 10: the topic's device is believed, whoever has logged in",
    "commands-of-another-device": "row 10: any device may subscribe to any device's commands",
    "answer-for-another-device": "row 10: any device's answer is believed",
    "replay-of-honest-events": "row 11: honest receipts are superseded",
    "quarantine-entry-of-another-closed": "row 11: the entry is closed as replayed",
    "stomp-1.0-header-of-9500-colons": "row 12: the broker closes the connection at the SEND to parking, again and again",
    "70-half-open-requests": "row 13: health answers 503",
    "three-payloads-of-16-MB": "row 14: the database grows by 65 MB",
    "quarantine-of-75-MB": "row 14: the database keeps all that one device sends",
    "invisible-text": "smaller ones: overrides, line feeds and tabs are shown to operators",
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
