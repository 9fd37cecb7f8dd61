"""Row 11: marks of a replay, which only an operator's tools set, set by a device."""

from typing import Final

from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.attacker import PUBLISHER
from reefmesh_hostile.messages import telemetry
from reefmesh_hostile.reefs import ATTACKER_DEVICE, SHARED, VICTIM
from reefmesh_hostile.stomp_wire import Send

TAKEN: Final = 5
STRANGER: Final = "stranger-1"


def _replay_of_honest_events(scene: Scene) -> Deed:
    honest = [
        each.event_id for each in scene.stage.traffic().reports if each.reef is VICTIM and each.handled_seconds is not None
    ]
    marks = [f"{scene.mark}-{number}." for number in range(TAKEN)]
    sends = [
        _with(telemetry(mark, reef_id=SHARED.id, buoy_id=ATTACKER_DEVICE), ("h-replay-of", event_id))
        for mark, event_id in zip(marks, honest[-TAKEN:], strict=True)
    ]
    return scene.sent(sends, marks)


def _closes_quarantine(scene: Scene) -> Deed:
    """An honest stranger's report waits in quarantine for its registration; a device says that it was replayed."""
    stage = scene.stage
    origin = f"honest/stranger/{scene.mark}"
    with stage.attacker(PUBLISHER).publishing() as connection:
        report = telemetry(origin, reef_id=VICTIM.id, buoy_id=STRANGER)
        connection.send(report.destination, report.headers, report.body)
    stage.traffic().until_a_round_is_handled(10.0)
    deed = scene.sent(
        [_with(telemetry(scene.mark, reef_id=SHARED.id, buoy_id=ATTACKER_DEVICE), ("h-replay-of", origin))], [scene.mark]
    )
    stage.traffic().until_a_round_is_handled(10.0)
    rows = stage.databases.rows("ingest", "SELECT status FROM quarantine WHERE origin = ?", (origin,))
    if [row[0] for row in rows] == ["open"]:
        return deed
    text = f"the quarantine entry of another device is {rows[0][0] if rows else 'gone'}"
    return Deed(marks=deed.marks, findings=[Finding(kind="forged", text=text)])


def _replayed(scene: Scene) -> Deed:
    """The mark that exempts a message from waiting for what it follows."""
    send = _with(telemetry(scene.mark, reef_id=SHARED.id, buoy_id=ATTACKER_DEVICE), ("replayed", "true"))
    return scene.sent([send], [scene.mark])


def _with(send: Send, *headers: tuple[str, str]) -> Send:
    return Send(destination=send.destination, headers=[*send.headers, *headers], body=send.body)


ACTS: Final = (
    Act(
        name="replay-of-honest-events",
        row=11,
        what="reports that say they replay another device's",
        does=_replay_of_honest_events,
    ),
    Act(
        name="quarantine-entry-of-another-closed",
        row=11,
        what="a report that says it replays what waits in quarantine",
        does=_closes_quarantine,
    ),
    Act(name="replayed-by-a-device", row=0, what="a report that says it was replayed", does=_replayed),
)
