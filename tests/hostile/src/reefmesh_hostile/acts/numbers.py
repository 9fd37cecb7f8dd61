"""Row 3: a reef's numbers say what is a duplicate, so whoever moves them silences the reef."""

import shutil
from pathlib import Path
from typing import Final

from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.checker import metrics_of, sum_of
from reefmesh_hostile.messages import envelope, forged_readings
from reefmesh_hostile.reefs import UNHEARD, VICTIM
from reefmesh_hostile.stomp_wire import Send

FAR: Final = 1_000_000_000
CONFLICTS: Final = "reefmesh_number_conflicts_total"
"""What is to count a number that comes again with another event id. Whoever names it otherwise changes it here."""


def _far_number(scene: Scene, reef_id: str, destination: str) -> Deed:
    headers = envelope(scene.mark, reef_id=reef_id, schema="readings/9", seq=FAR)
    return scene.sent([Send(destination=destination, headers=headers, body=b"{}")], [scene.mark])


def _far_readings(scene: Scene) -> Deed:
    headers = envelope(scene.mark, reef_id=VICTIM.id, schema="readings/1", seq=FAR)
    body = forged_readings(VICTIM.id, VICTIM.honest, celsius=26.0)
    return scene.sent([Send(destination="/topic/VirtualTopic.reef.readings", headers=headers, body=body)], [scene.mark])


def _restored_publisher(scene: Scene) -> Deed:
    """Stop ingest and put its database back by some seconds, as after a restore: its next numbers have been used before."""
    stage = scene.stage
    assert stage.mesh is not None
    home = stage.mesh.home
    ingest = stage.process("ingest")
    ingest.terminate()
    _copy(home, "ingest", "backup")
    ingest.start()
    ingest.wait_until_healthy()
    stage.traffic().until_a_round_is_handled(15.0)
    stage.traffic().until_a_round_is_handled(15.0)
    ingest.terminate()
    _copy(home, "backup", "ingest")
    before = _conflicts(scene)
    ingest.start()
    ingest.wait_until_healthy()
    stage.traffic().until_a_round_is_handled(15.0)
    counted = _conflicts(scene) - before
    if counted:
        return Deed(note=f"{counted:g} conflicts were counted", restarted=[ingest.name])
    text = f"numbers came twice with other events, and {CONFLICTS} did not rise"
    return Deed(findings=[Finding(kind="uncounted", text=text)], restarted=[ingest.name])


def _conflicts(scene: Scene) -> float:
    """By any process of scoring: a reef may be with each of them."""
    return sum(sum_of(metrics_of(process), CONFLICTS) for process in scene.stage.processes_of("scoring"))


def _copy(home: Path, source: str, target: str) -> None:
    for file in home.glob(f"{target}.db*"):
        file.unlink()
    for file in home.glob(f"{source}.db*"):
        shutil.copy(file, home / file.name.replace(source, target, 1))


ACTS: Final = (
    Act(
        name="number-of-a-billion-at-scoring",
        row=3,
        what="one message of an unknown schema with seq 1,000,000,000, by a publisher through a wildcard",
        does=lambda scene: _far_number(scene, UNHEARD, "/topic/VirtualTopic.reef.*"),
    ),
    Act(
        name="number-of-a-billion-of-a-busy-reef",
        row=3,
        what="the same of a reef whose honest numbers keep coming",
        does=lambda scene: _far_number(scene, VICTIM.id, "/topic/VirtualTopic.reef.*"),
    ),
    Act(
        name="number-of-a-billion-by-ingest-itself",
        row=3,
        user="ingest",
        what="the same on the plain channel, by the service that owns it",
        does=lambda scene: _far_number(scene, UNHEARD, "/topic/VirtualTopic.reef.readings"),
    ),
    Act(
        name="number-of-a-billion-that-can-be-read",
        row=3,
        user="ingest",
        what="good readings of a busy reef with that number, by the service that owns the channel",
        does=_far_readings,
    ),
    Act(
        name="publisher-restored-from-a-backup",
        row=3,
        user="ingest",
        what="ingest's database is put back by some seconds, so that it gives numbers a second time",
        does=_restored_publisher,
    ),
)
