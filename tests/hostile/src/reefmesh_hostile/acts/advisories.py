"""Row 8: what the broker tells services of consumers, written by a device without a right to, or by a service that has one."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from reefmesh_components.service_process import ServiceProcess
from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.attacked_activemq import QUEUES
from reefmesh_hostile.attacked_broker import SERVICES
from reefmesh_hostile.attacker import DEVICE
from reefmesh_hostile.checker import metrics_of, sum_of
from reefmesh_hostile.stomp_wire import Send

JOINS: Final = 400
HAND_OVER_WITHIN_SECONDS: Final = 40.0
"""While joins are forged a real one waits for 30 s at most; the rest is for jitter and for a busy machine."""
PACE_SECONDS: Final = 0.1
LOOK_EVERY: Final = 10
UP_WITHIN_SECONDS: Final = 60.0
EVENTS: Final = "reefmesh_broker_events_total"
HAND_OVERS_LIMIT: Final = 6
"""In a flood of a minute: after 0, 2, 7, 17 and 47 s, and one for the process that really joins."""
JOINS_BELIEVED_LIMIT: Final = 64
"""So many consumers of one subscription are none that a crew of processes would have."""


def topic(service: str) -> str:
    return f"/topic/ActiveMQ.Advisory.Consumer.Queue.{QUEUES[service]}"


def joined(number: int) -> bytes:
    connection = f"ID:nowhere-{number}-1700000000000-1:1"
    return (
        f'{{"ConsumerInfo": {{"consumerId": {{"connectionId": "{connection}", "sessionId": 1, "value": {number}}}}}}}'
    ).encode()


def _advisories(scene: Scene, *lies: tuple[bytes, str]) -> Deed:
    """Tell each service each of the lies: a body, and a number of consumers."""
    sends = [
        Send(destination=topic(service), headers=[("consumerCount", count)], body=body)
        for body, count in lies
        for service in QUEUES
    ]
    outcomes = scene.attacker.send_all(sends)
    return Deed(refused=sum(not outcome.is_confirmed for outcome in outcomes))


def _impossible(scene: Scene) -> Deed:
    """A service's password has the right to write them, so each of these must have arrived."""
    deed = _advisories(scene, A_NUMBER, BRACKETS, COUNT_OF_5000_DIGITS)
    if not deed.refused:
        return deed
    text = f"the broker refused {deed.refused} advisories of {scene.attacker.user}, so this act shows nothing"
    return Deed(refused=deed.refused, findings=[Finding(kind="not-held", text=text)])


A_NUMBER: Final = (b'{"ConsumerInfo": 5}', "1")
BRACKETS: Final = (b"[" * 200_000, "1")
COUNT_OF_5000_DIGITS: Final = (joined(1), "9" * 5_000)


def _many_members(scene: Scene) -> Deed:
    before = metrics_of(scene.stage.process("scoring"))
    sends = [Send(destination=topic("scoring"), headers=[("consumerCount", "1")], body=joined(n)) for n in range(JOINS)]
    outcomes = scene.attacker.send_all(sends)
    refused = sum(not outcome.is_confirmed for outcome in outcomes)
    scene.stage.traffic().until_a_round_is_handled(10.0)
    believed = _rise(scene.stage.process("scoring"), before, "consumers_changed")
    if believed <= JOINS_BELIEVED_LIMIT:
        return Deed(refused=refused)
    text = f"scoring believes {believed:g} of {JOINS} joins of consumers that there are not"
    return Deed(refused=refused, findings=[Finding(kind="forged", text=text)])


def _hand_over_in_a_flood(scene: Scene) -> Deed:
    """Forge joins while another process of scoring really joins: the first must hand reefs over all the same."""
    stage = scene.stage
    assert stage.mesh is not None
    first = stage.process("scoring")
    before = metrics_of(first)
    with scene.attacker.stomp() as connection:
        joining = stage.mesh.add("scoring", wait=False)
        refused = 0
        for number in _paced(joining.is_healthy, lambda: _rise(first, before, "groups_released") > 0):
            send = Send(destination=topic("scoring"), headers=[("consumerCount", "2")], body=joined(number))
            refused += not connection.send(send.destination, send.headers, send.body).is_confirmed
    findings = []
    if not _rise(first, before, "groups_released"):
        text = f"a process joined {HAND_OVER_WITHIN_SECONDS:g} s ago and no reef was handed over, while joins were forged"
        findings.append(Finding(kind="not-held", text=text))
    if (times := _rise(first, before, "groups_released")) > HAND_OVERS_LIMIT:
        text = f"scoring handed over {times:g} times for joins of consumers that there are not"
        findings.append(Finding(kind="not-held", text=text))
    return Deed(refused=refused, findings=findings)


def _rise(process: ServiceProcess, before: Mapping[str, float], event: str) -> float:
    return sum_of(metrics_of(process), EVENTS, event=event) - sum_of(before, EVENTS, event=event)


def _paced(is_up: Callable[[], bool], is_over: Callable[[], bool]) -> Iterator[int]:
    """Yield numbers at a steady pace until the process is up, and then until it is over, or has taken too long."""
    number, deadline = 0, None
    began = time.monotonic()
    while deadline is None or time.monotonic() < deadline:
        number += 1
        yield number
        if number % LOOK_EVERY == 0:
            if deadline is None and is_up():
                deadline = time.monotonic() + HAND_OVER_WITHIN_SECONDS
            elif deadline is not None and is_over():
                return
        if time.monotonic() - began > UP_WITHIN_SECONDS + HAND_OVER_WITHIN_SECONDS:
            return
        time.sleep(PACE_SECONDS)


ACTS: Final = (
    Act(
        name="advisory-of-a-number",
        row=8,
        user=DEVICE,
        what='{"ConsumerInfo": 5} on the advisories of every subscription',
        does=lambda scene: _advisories(scene, A_NUMBER),
    ),
    Act(
        name="advisory-of-200000-brackets",
        row=8,
        user=DEVICE,
        what="JSON nested deeper than a parser goes",
        does=lambda scene: _advisories(scene, BRACKETS),
    ),
    Act(
        name="advisory-with-a-count-of-5000-digits",
        row=8,
        user=DEVICE,
        what="a number that Python does not convert",
        does=lambda scene: _advisories(scene, COUNT_OF_5000_DIGITS),
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
    *(
        Act(
            name=f"advisories-that-cannot-be-true-by-{service}",
            row=8,
            user=service,
            what="a number, 200,000 brackets and a count of 5,000 digits, by whoever has this service's password",
            does=_impossible,
        )
        for service in SERVICES
    ),
    *(
        Act(
            name=f"advisories-of-400-members-by-{service}",
            row=8,
            user=service,
            what="consumers that there are not, by whoever has this service's password",
            does=_many_members,
        )
        for service in SERVICES
    ),
    *(
        Act(
            name=f"hand-over-in-a-flood-of-joins-by-{service}",
            row=8,
            user=service,
            what="a real consumer joins while others are forged with this service's password",
            does=_hand_over_in_a_flood,
            is_costly=True,
        )
        for service in SERVICES
    ),
)
