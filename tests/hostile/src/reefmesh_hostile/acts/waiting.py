"""Row 7: messages that say they follow another one, which never comes."""

from typing import Final

from reefmesh_hostile.act import Act, Deed, Scene
from reefmesh_hostile.messages import telemetry
from reefmesh_hostile.reefs import ATTACKER_DEVICE, SHARED

REEFS: Final = 300


def _follow_nothing(scene: Scene, reefs: list[str]) -> Deed:
    marks = [f"{scene.mark}-{number}." for number in range(len(reefs))]
    sends = [
        telemetry(mark, reef_id=reef_id, buoy_id=ATTACKER_DEVICE, producer_id=f"producer-{mark}", follows="nothing")
        for mark, reef_id in zip(marks, reefs, strict=True)
    ]
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
)
