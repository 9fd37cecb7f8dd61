"""Rows 4 and 5: much that cannot be read, small or large."""

import itertools
from collections.abc import Sequence
from typing import Final

from reefmesh_hostile.act import Act, Deed, Scene
from reefmesh_hostile.attacker import DEVICE
from reefmesh_hostile.messages import TELEMETRY, envelope
from reefmesh_hostile.mqtt_wire import MqttMessage
from reefmesh_hostile.reefs import ATTACKER_DEVICE, HONEST, SHARED, VICTIM
from reefmesh_hostile.stomp_wire import Send

BREAKER: Final = 220
"""More than the window of the breaker, so that it opens whatever came before."""
MANY_REEFS: Final = 40
UNREADABLE: Final = 20
FLOOD: Final = 700
FLOOD_BYTES: Final = 200_000


def _unknown_schemas(scene: Scene, destination: str, *, reefs: Sequence[str] = (VICTIM.id,)) -> Deed:
    marks = [f"{scene.mark}-{number}" for number in range(BREAKER)]
    sends = [
        Send(
            destination=destination,
            headers=envelope(mark, reef_id=reef_id, schema="nothing/9", more={"device": ATTACKER_DEVICE}),
            body=b"{}",
        )
        for mark, reef_id in zip(marks, itertools.cycle(reefs), strict=False)
    ]
    return scene.sent(sends, marks)


def _unreadable(scene: Scene, count: int, size_bytes: int) -> Deed:
    marks = [f"{scene.mark}-{number}." for number in range(count)]
    sends = [
        Send(
            destination=TELEMETRY,
            headers=[("persistent", "true"), ("JMSXGroupID", SHARED.id), ("event-id", mark), ("reef-id", SHARED.id)],
            body=mark.encode() + b"x" * size_bytes,
        )
        for mark in marks
    ]
    return scene.sent(sends, marks)


def _garbage_over_mqtt(scene: Scene) -> Deed:
    marks = [f"{scene.mark}-{number}." for number in range(BREAKER)]
    taken = scene.attacker.publish_all(
        [MqttMessage(topic=f"buoys/{ATTACKER_DEVICE}/d2c/telemetry", body=f'{{"mark": "{mark}"}}'.encode()) for mark in marks]
    )
    return Deed(marks=marks[:taken], refused=len(marks) - taken)


ACTS: Final = (
    Act(
        name="unknown-schemas-at-scoring-and-alerts",
        row=4,
        what=f"{BREAKER} messages {{}} of an unknown schema, by a publisher through a wildcard",
        does=lambda scene: _unknown_schemas(scene, "/topic/VirtualTopic.reef.*"),
    ),
    Act(
        name="unknown-schemas-on-telemetry",
        row=0,
        what=f"{BREAKER} messages {{}} of an unknown schema where publishers may speak",
        does=lambda scene: _unknown_schemas(scene, TELEMETRY),
    ),
    Act(
        name="unknown-schemas-of-many-reefs-on-telemetry",
        row=4,
        what=f"the same, of {MANY_REEFS} reefs: what opens a breaker where one service is the only sender",
        does=lambda scene: _unknown_schemas(scene, TELEMETRY, reefs=[f"anywhere-{number}" for number in range(MANY_REEFS)]),
    ),
    Act(
        name="unknown-schemas-of-one-reef-by-ingest",
        row=4,
        user="ingest",
        what=f"{BREAKER} messages of an unknown schema and one reef, by the service that owns the channel",
        does=lambda scene: _unknown_schemas(scene, "/topic/VirtualTopic.reef.readings"),
    ),
    Act(
        name="garbage-over-mqtt",
        row=0,
        user=DEVICE,
        what=f"{BREAKER} reports of a device that mean nothing",
        does=_garbage_over_mqtt,
    ),
    Act(
        name="unreadable-envelopes",
        row=5,
        what=f"{UNREADABLE} small messages without a schema",
        does=lambda scene: _unreadable(scene, UNREADABLE, 10),
    ),
    Act(
        name="unreadable-flood",
        row=5,
        what=f"{FLOOD} messages of {FLOOD_BYTES // 1000} kB without a schema",
        does=lambda scene: _unreadable(scene, FLOOD, FLOOD_BYTES),
        is_costly=True,
        judged=[reef for reef in HONEST if reef is not SHARED],
    ),
)
