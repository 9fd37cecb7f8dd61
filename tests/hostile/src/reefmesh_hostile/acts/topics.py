"""Row 9: every topic that a device names costs the broker memory, until it is collected."""

import json
import time
from typing import Final

from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.attacker import DEVICE
from reefmesh_hostile.mqtt_wire import MqttMessage
from reefmesh_hostile.reefs import VICTIM

IDLE_TOPICS: Final = 1_000
PATTERNS: Final = ("buoys/+/#", "+/+/#")
COLLECTED_WITHIN_SECONDS: Final = 20.0
KEPT_LIMIT: Final = 200
TOPIC_CLASS: Final = "org.apache.activemq.broker.region.Topic"
MANY_TOPICS: Final = 9_000
SMALL_HEAP: Final = "128m"
A_SECOND: Final = 400
LATE_SECONDS: Final = 10.0


def _idle_topics(scene: Scene) -> Deed:
    broker = scene.stage.broker
    assert isinstance(broker, ActivemqProcess)
    before = broker.live_objects(TOPIC_CLASS)
    taken = scene.attacker.publish_all(
        [MqttMessage(topic=f"buoys/{scene.mark}{number}/d2c/x", body=b"{}") for number in range(IDLE_TOPICS)]
    )
    deadline = time.monotonic() + COLLECTED_WITHIN_SECONDS
    while (kept := broker.live_objects(TOPIC_CLASS) - before) > KEPT_LIMIT and time.monotonic() < deadline:
        time.sleep(1.0)
    if kept <= KEPT_LIMIT:
        return Deed(note=f"{taken} topics, {kept} left")
    text = f"{kept} of {taken} topics are kept {COLLECTED_WITHIN_SECONDS:g} s after their last message"
    return Deed(findings=[Finding(kind="above-bound", text=text)])


def _many_topics(scene: Scene) -> Deed:
    """At 400 a second, until somebody honest has waited for too long. A broker that collects idle topics keeps up with it."""
    taken = 0
    honest, started = scene.stage.traffic(), time.monotonic()
    with scene.attacker.mqtt() as connection:
        for start in range(0, MANY_TOPICS, A_SECOND):
            began = time.monotonic()
            taken += connection.publish_all(
                [
                    MqttMessage(topic=f"buoys/{scene.mark}{number}/d2c/x", body=b"{}")
                    for number in range(start, min(start + A_SECOND, MANY_TOPICS))
                ]
            )
            if honest.late(LATE_SECONDS, since_seconds=started):
                break
            time.sleep(max(0.0, 1.0 + began - time.monotonic()))
    return Deed(refused=MANY_TOPICS - taken, note=f"{taken} topics")


def _session_that_silences(scene: Scene) -> Deed:
    """The broker puts each new topic into every durable subscription that matches it; one whose owner may not read the topic
    keeps it from being made, and MQTT confirms what is lost by that."""
    refused = 0
    for pattern in PATTERNS:
        with scene.attacker.mqtt(clean_session=False) as connection:
            refused += not connection.subscribe(pattern)
    topic = f"buoys/{VICTIM.honest}/d2c/{scene.mark}"
    with scene.stage.attacker(DEVICE).mqtt(VICTIM.honest) as connection:
        assert connection.publish(topic, json.dumps({"msg_type": "data", "of": scene.mark}).encode())
    return Deed(marks=[scene.mark], refused=refused)


ACTS: Final = (
    Act(
        name="durable-session-that-silences-devices",
        row=9,
        user=DEVICE,
        what="a persistent MQTT session that subscribes to every device's topics, and what another device reports afterwards",
        does=_session_that_silences,
    ),
    Act(
        name="1000-idle-topics",
        row=9,
        user=DEVICE,
        what="a message each to 1,000 topics that are never used again",
        does=_idle_topics,
    ),
    Act(
        name="9000-topics-on-a-small-broker",
        row=9,
        user=DEVICE,
        what=f"9,000 topics on a broker of {SMALL_HEAP}",
        does=_many_topics,
        is_costly=True,
        heap=SMALL_HEAP,
    ),
)
