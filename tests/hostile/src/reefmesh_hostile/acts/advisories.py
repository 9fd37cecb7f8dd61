"""Row 8: what the broker tells services of consumers, written by a device."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.attacker import DEVICE
from reefmesh_hostile.checker import metrics_of, sum_of
from reefmesh_hostile.stage import QUEUES
from reefmesh_hostile.stomp_wire import Send

JOINS: Final = 400
FLOOD_SECONDS: Final = 8.0
PACE_SECONDS: Final = 0.1
EVENTS: Final = "reefmesh_broker_events_total"
JOINS_BELIEVED_LIMIT: Final = 64
"""So many consumers of one subscription are none that a crew of processes would have."""


def topic(service: str) -> str:
    return f"/topic/ActiveMQ.Advisory.Consumer.Queue.{QUEUES[service]}"


def joined(number: int) -> bytes:
    connection = f"ID:nowhere-{number}-1700000000000-1:1"
    return (
        f'{{"ConsumerInfo": {{"consumerId": {{"connectionId": "{connection}", "sessionId": 1, "value": {number}}}}}}}'
    ).encode()


def _advisory(scene: Scene, body: bytes, *, count: str = "1") -> Deed:
    sends = [Send(destination=topic(service), headers=[("consumerCount", count)], body=body) for service in QUEUES]
    outcomes = scene.attacker.send_all(sends)
    return Deed(refused=sum(not outcome.is_confirmed for outcome in outcomes))


def _many_members(scene: Scene) -> Deed:
    changes = sum_of(metrics_of(scene.stage.process("scoring")), EVENTS, event="consumers_changed")
    sends = [Send(destination=topic("scoring"), headers=[("consumerCount", "1")], body=joined(n)) for n in range(JOINS)]
    outcomes = scene.attacker.send_all(sends)
    refused = sum(not outcome.is_confirmed for outcome in outcomes)
    scene.stage.traffic().until_a_round_is_handled(10.0)
    believed = sum_of(metrics_of(scene.stage.process("scoring")), EVENTS, event="consumers_changed") - changes
    if believed <= JOINS_BELIEVED_LIMIT:
        return Deed(refused=refused)
    text = f"scoring believes {believed:g} of {JOINS} joins of consumers that there are not"
    return Deed(refused=refused, findings=[Finding(kind="forged", text=text)])


def _hand_over_in_a_flood(scene: Scene) -> Deed:
    """Forge joins while a second process of scoring really joins: the first must hand reefs over all the same."""
    stage = scene.stage
    assert stage.mesh is not None
    first = stage.process("scoring")
    before = metrics_of(first)
    with scene.attacker.stomp() as connection:
        second = stage.mesh.add("scoring", wait=False)
        refused = 0
        for number in _paced(second.is_healthy):
            send = Send(destination=topic("scoring"), headers=[("consumerCount", "2")], body=joined(number))
            refused += not connection.send(send.destination, send.headers, send.body).is_confirmed
    after = metrics_of(first)
    findings = []
    if not sum_of(after, EVENTS, event="groups_released") > sum_of(before, EVENTS, event="groups_released"):
        text = f"a process joined {FLOOD_SECONDS:g} s ago and no reef was handed over, while joins were forged"
        findings.append(Finding(kind="not-held", text=text))
    changes = sum_of(after, EVENTS, event="consumers_changed") - sum_of(before, EVENTS, event="consumers_changed")
    if changes > JOINS_BELIEVED_LIMIT:
        text = f"scoring hands over again and again: it believes {changes:g} changes of its consumers, one was real"
        findings.append(Finding(kind="forged", text=text))
    return Deed(refused=refused, findings=findings)


def _paced(is_up: Callable[[], bool]) -> Iterator[int]:
    """Yield numbers at a steady pace until the process is up, and for ``FLOOD_SECONDS`` more."""
    number, deadline = 0, None
    began = time.monotonic()
    while deadline is None or time.monotonic() < deadline:
        number += 1
        yield number
        if deadline is None and number % 10 == 0 and is_up():
            deadline = time.monotonic() + FLOOD_SECONDS
        if time.monotonic() - began > 60.0:
            return
        time.sleep(PACE_SECONDS)


ACTS: Final = (
    Act(
        name="advisory-of-a-number",
        row=8,
        user=DEVICE,
        what='{"ConsumerInfo": 5} on the advisories of every subscription',
        does=lambda scene: _advisory(scene, b'{"ConsumerInfo": 5}'),
    ),
    Act(
        name="advisory-of-200000-brackets",
        row=8,
        user=DEVICE,
        what="JSON nested deeper than a parser goes",
        does=lambda scene: _advisory(scene, b"[" * 200_000),
    ),
    Act(
        name="advisory-with-a-count-of-5000-digits",
        row=8,
        user=DEVICE,
        what="a number that Python does not convert",
        does=lambda scene: _advisory(scene, joined(1), count="9" * 5_000),
    ),
    Act(
        name="advisories-of-400-members",
        row=8,
        user=DEVICE,
        what="consumers that there are not",
        does=_many_members,
    ),
    Act(
        name="hand-over-in-a-flood-of-joins",
        row=8,
        user=DEVICE,
        what="a real consumer joins while others are forged",
        does=_hand_over_in_a_flood,
        is_costly=True,
    ),
)
