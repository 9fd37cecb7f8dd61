"""Row 14 and the smaller ones: what is kept of payloads that nobody can use, and what stands in it."""

import unicodedata
from typing import Final

from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.messages import TELEMETRY, envelope
from reefmesh_hostile.reefs import SHARED
from reefmesh_hostile.stomp_wire import Send

LARGEST_BYTES: Final = 16 * 1024 * 1024
LARGE: Final = 3
QUOTA: Final = 300
QUOTA_BYTES: Final = 250_000
INVISIBLE: Final = "x\u202ey\u2066z\nw\tv\u200b"
FORBIDDEN: Final = ("Cc", "Cf", "Cs", "Co")


def _payloads(scene: Scene, count: int, size_bytes: int) -> Deed:
    """Claim a device of its own: beyond its quota a message is only counted, and no body of other acts would be found."""
    marks = [f"{scene.mark}-{number}." for number in range(count)]
    sends = [
        Send(
            destination=TELEMETRY,
            headers=envelope(mark, reef_id=SHARED.id, schema="telemetry/1", more={"device": scene.mark}),
            body=mark.encode() + b"x" * (size_bytes - len(mark)),
        )
        for mark in marks
    ]
    return scene.sent(sends, marks)


def _invisible(scene: Scene) -> Deed:
    headers = envelope(scene.mark, reef_id=SHARED.id, schema=f"telemetry/{INVISIBLE}", more={"device": INVISIBLE})
    deed = scene.sent([Send(destination=TELEMETRY, headers=headers, body=b"{}")], [scene.mark])
    scene.stage.traffic().until_a_round_is_handled(10.0)
    query = "SELECT device, schema_id, detail FROM quarantine WHERE origin = ?"
    shown = "".join(str(text) for row in scene.stage.databases.rows("ingest", query, (scene.mark,)) for text in row)
    strange = sorted({f"U+{ord(each):04X}" for each in shown if unicodedata.category(each) in FORBIDDEN})
    if not strange:
        return deed
    text = f"what an operator is shown of quarantine holds {', '.join(strange)}"
    return Deed(marks=deed.marks, findings=[Finding(kind="not-held", text=text)])


ACTS: Final = (
    Act(
        name="three-payloads-of-16-MB",
        row=14,
        what="the longest bodies that the broker takes",
        does=lambda scene: _payloads(scene, LARGE, LARGEST_BYTES - 1024),
    ),
    Act(
        name="quarantine-of-75-MB",
        row=14,
        what=f"{QUOTA} reports of {QUOTA_BYTES // 1000} kB that mean nothing, by one device",
        does=lambda scene: _payloads(scene, QUOTA, QUOTA_BYTES),
        is_costly=True,
    ),
    Act(name="invisible-text", row=15, what="overrides of direction, line feeds and tabs in names", does=_invisible),
)
