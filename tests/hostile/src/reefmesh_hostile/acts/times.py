"""Row 6: a sender's own words about time."""

from datetime import UTC, datetime, timedelta
from typing import Final

from reefmesh_hostile.act import Act, Deed, Scene
from reefmesh_hostile.messages import TELEMETRY, envelope, telemetry, telemetry_body
from reefmesh_hostile.reefs import ATTACKER_DEVICE, SHARED
from reefmesh_hostile.stomp_wire import Send

FAR: Final = datetime(2099, 6, 1, 12, tzinfo=UTC)
LAST: Final = datetime(9999, 12, 31, 12, tzinfo=UTC)


def _received(scene: Scene, at: datetime) -> Deed:
    send = telemetry(
        scene.mark, reef_id=SHARED.id, buoy_id=ATTACKER_DEVICE, observed_at=at, received_at=at.isoformat(), celsius=27.0
    )
    return scene.sent([send], [scene.mark])


def _produced(scene: Scene, at: datetime) -> Deed:
    headers = envelope(scene.mark, reef_id=SHARED.id, schema="telemetry/1", at=at, more={"device": ATTACKER_DEVICE})
    body = telemetry_body(ATTACKER_DEVICE, at, 27.0)
    return scene.sent([Send(destination=TELEMETRY, headers=headers, body=body)], [scene.mark])


def _observed(scene: Scene) -> Deed:
    instants = [
        LAST,
        FAR,
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 1, 1, tzinfo=UTC),
        datetime.now(UTC) + timedelta(days=1),
    ]
    marks = [f"{scene.mark}-{place}" for place in range(len(instants))]
    sends = [
        telemetry(mark, reef_id=SHARED.id, buoy_id=ATTACKER_DEVICE, observed_at=at, celsius=27.0)
        for mark, at in zip(marks, instants, strict=True)
    ]
    return scene.sent(sends, marks)


ACTS: Final = (
    Act(
        name="received-at-2099",
        row=6,
        what="a report of the attacker's own device that says it was received in 2099",
        does=lambda scene: _received(scene, FAR),
    ),
    Act(
        name="received-at-9999",
        row=6,
        what="the same, in the last year that there is",
        does=lambda scene: _received(scene, LAST),
    ),
    Act(
        name="produced-at-2099",
        row=6,
        what="without received-at, the envelope's own time stands in",
        does=lambda scene: _produced(scene, FAR),
    ),
    Act(name="observed-at-any-time", row=0, what="broken clocks: 0001, 1969, tomorrow, 2099, 9999", does=_observed),
)
