"""Row 7: messages that say they follow another one, which never comes."""

from collections.abc import Sequence
from typing import Final

from reefmesh_hostile.act import Act, Deed, Scene
from reefmesh_hostile.messages import telemetry
from reefmesh_hostile.reefs import ATTACKER_DEVICE, BYSTANDER, SHARED, VICTIM
from reefmesh_hostile.stomp_wire import Send

REEFS: Final = 300


def _follow_nothing(scene: Scene, reefs: list[str]) -> Deed:
    marks = [f"{scene.mark}-{number}." for number in range(len(reefs))]
    sends = [
        telemetry(mark, reef_id=reef_id, buoy_id=ATTACKER_DEVICE, producer_id=f"producer-{mark}", follows="nothing")
        for mark, reef_id in zip(marks, reefs, strict=True)
    ]
    return scene.sent(sends, marks)


def _waits_in_the_group_of_another(scene: Scene, reefs: Sequence[str]) -> Deed:
    """The broker keeps the order by the group, ingest waits for a claim by the reef: here the group is an honest reef's."""
    marks = [f"{scene.mark}-{number}." for number in range(len(reefs))]
    sends = []
    for mark, reef_id in zip(marks, reefs, strict=True):
        send = telemetry(mark, reef_id=reef_id, buoy_id=ATTACKER_DEVICE, producer_id=mark, follows="nothing")
        headers = [(name, VICTIM.id if name == "JMSXGroupID" else value) for name, value in send.headers]
        sends.append(Send(destination=send.destination, headers=headers, body=send.body))
    return scene.sent(sends, marks)


ACTS: Final = (
    Act(
        name="300-reefs-that-follow-nothing",
        row=7,
        what="messages of 300 reefs, each of which waits for one that does not exist",
        does=lambda scene: _follow_nothing(scene, [f"nowhere-{number}" for number in range(REEFS)]),
    ),
    Act(
        name="own-reef-follows-nothing",
        row=7,
        what="one such message of a reef where others report too",
        does=lambda scene: _follow_nothing(scene, [SHARED.id]),
    ),
    Act(
        name="follows-nothing-in-the-group-of-another-reef",
        row=7,
        what="one such message that names one reef and comes in the group of another",
        does=lambda scene: _waits_in_the_group_of_another(scene, [BYSTANDER.id]),
    ),
    Act(
        name="claims-of-ten-reefs-in-the-group-of-another",
        row=7,
        what="ten such messages in one reef's group, each of another reef",
        does=lambda scene: _waits_in_the_group_of_another(scene, [f"elsewhere-{number}" for number in range(10)]),
    ),
)
