"""RabbitMQ, who speaks and what comes: forged names, keys that are not the reef's, headers that no decoder likes."""

import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from reefmesh.broker.rabbitmq.slots import SLOTS, routing_key_of
from reefmesh_hostile.act import Act, Deed, Finding, Scene, deed_of
from reefmesh_hostile.amqp_wire import AmqpMessage, long_string
from reefmesh_hostile.messages import envelope, forged_readings, forged_score, telemetry
from reefmesh_hostile.mqtt_wire import MqttMessage
from reefmesh_hostile.odd_amqp import DEPTH, KEYS, PROPERTIES, VALUES, nested_lists, nested_tables
from reefmesh_hostile.reefs import ATTACKER_DEVICE, SHARED, UNHEARD, VICTIM

HEADER_BYTES: Final = 110_000
"""What stands before a body is one frame, of 131,072 bytes at most."""
MEMBERS: Final = 400
MEMBER: Final = "member"
NO_UTF8: Final = "\udcff\udcfe"


def report(
    mark: str,
    *,
    key: str | None = None,
    headers: Sequence[tuple[str, str | bytes]] = (),
    properties: Mapping[str, str | int] | None = None,
    at: datetime | None = None,
    is_marked: bool = False,
) -> AmqpMessage:
    """Return a report of the attacker's own device, with further headers and properties; ``key`` instead of its reef's.

    ``is_marked``: its body begins with the mark, and means nothing: of what has headers that nobody can read the body alone is
    found again.
    """
    made = AmqpMessage.of(telemetry(mark, reef_id=SHARED.id, buoy_id=ATTACKER_DEVICE, celsius=27.0, at=at))
    return AmqpMessage(
        exchange=made.exchange,
        routing_key=made.routing_key if key is None else key,
        headers=[*made.headers, *headers],
        body=mark.encode() + b"." + made.body if is_marked else made.body,
        properties=properties or {},
    )


def each_alone(scene: Scene, messages: Mapping[str, AmqpMessage]) -> Deed:
    """Publish each on a connection of its own: the broker may close it."""
    outcomes = []
    for message in messages.values():
        with scene.attacker.amqp() as connection:
            outcomes += connection.publish_all([message])
    return deed_of(outcomes, list(messages))


def _marks(scene: Scene, count: int) -> list[str]:
    return [f"{scene.mark}-{place}." for place in range(count)]


def _keys(scene: Scene) -> Deed:
    marks = _marks(scene, len(KEYS))
    return each_alone(scene, {mark: report(mark, key=key) for mark, key in zip(marks, KEYS, strict=True)})


def _key_without_utf8(scene: Scene) -> Deed:
    """The key comes back in the frame that announces the message, where a decoder expects text."""
    return each_alone(scene, {scene.mark: report(scene.mark, key=NO_UTF8)})


def _topic_without_utf8(scene: Scene) -> Deed:
    topic = f"buoys/{ATTACKER_DEVICE}/d2c/{NO_UTF8}"
    taken = scene.attacker.publish_all([MqttMessage(topic=topic, body=f'{{"mark": "{scene.mark}"}}'.encode())])
    return Deed(marks=[scene.mark] * taken, refused=1 - taken)


def _every_slot(scene: Scene) -> Deed:
    marks = _marks(scene, SLOTS)
    messages = [report(mark, key=f"{slot:02x}.{SHARED.id}") for slot, mark in enumerate(marks)]
    with scene.attacker.amqp() as connection:
        return deed_of(connection.publish_all(messages), marks)


def _properties(scene: Scene) -> Deed:
    marks = _marks(scene, len(PROPERTIES))
    return each_alone(
        scene, {mark: report(mark, properties=each, is_marked=True) for mark, each in zip(marks, PROPERTIES, strict=True)}
    )


def _values(scene: Scene) -> Deed:
    marks = _marks(scene, len(VALUES))
    return each_alone(
        scene,
        {
            mark: report(mark, headers=[("h-odd", value)], is_marked=True)
            for mark, value in zip(marks, VALUES.values(), strict=True)
        },
    )


def _deep(scene: Scene) -> Deed:
    marks = _marks(scene, 2)
    values = (nested_lists(DEPTH), nested_tables(DEPTH // 2))
    return each_alone(
        scene, {mark: report(mark, headers=[("x", value)], is_marked=True) for mark, value in zip(marks, values, strict=True)}
    )


def _facts_of_other_types(scene: Scene) -> Deed:
    """The facts of the envelope as numbers, tables, bytes: what is no text is no fact."""
    messages = {}
    odd = [(name, value) for name in ("event-id", "reef-id", "schema", "seq") for value in VALUES.values()]
    for place, (name, value) in enumerate(odd):
        mark = f"{scene.mark}-{place}."
        made = report(mark, is_marked=True)
        headers = [(name, value), *(pair for pair in made.headers if pair[0] != name)]
        messages[mark] = AmqpMessage(exchange=made.exchange, routing_key=made.routing_key, headers=headers, body=made.body)
    return each_alone(scene, messages)


def _long_headers(scene: Scene) -> Deed:
    marks = _marks(scene, 3)
    many = [(f"h-{place}", "x") for place in range(HEADER_BYTES // 20)]
    headers: tuple[list[tuple[str, str | bytes]], ...] = (
        [("h-long", "\u20ac" * (HEADER_BYTES // 3))],
        [*many],
        [("h-long", "x" * 200_000)],
    )
    return each_alone(
        scene, {mark: report(mark, headers=each, is_marked=True) for mark, each in zip(marks, headers, strict=True)}
    )


def _carbon_copies(scene: Scene) -> Deed:
    """CC and BCC are further keys: with them one message comes into several shards."""
    others = [
        routing_key_of(VICTIM.id),
        routing_key_of(UNHEARD),
        *(f"{slot:02x}.x" for slot in range(8)),
        "reef.scores.alerts.0",
    ]
    listed = b"".join(map(long_string, others))
    array = b"A" + struct.pack(">I", len(listed)) + listed
    marks = _marks(scene, 2)
    return each_alone(
        scene, {mark: report(mark, headers=[(name, array)]) for mark, name in zip(marks, ("CC", "BCC"), strict=True)}
    )


def _forged_names(scene: Scene) -> Deed:
    """In the name of each other user; the broker must take none."""
    findings = []
    for name in ("ingest", "scoring", "alerts", "operator", "publisher", "guest", "nobody"):
        if name == scene.attacker.user:
            continue
        with scene.attacker.amqp() as connection:
            (outcome,) = connection.publish_all([report(scene.mark, properties={"user_id": name})])
        if outcome.is_confirmed:
            findings.append(Finding(kind="forged", text=f"{scene.attacker.user} sent as {name}"))
    return Deed(findings=findings)


def _into_own_queue(scene: Scene, exchange: str, **more: str) -> Deed:
    """What only another service may say, where one's own service reads."""
    is_score = exchange.startswith("reef.scores")
    schema, body = ("scores/1", forged_score(UNHEARD)) if is_score else ("readings/1", forged_readings(UNHEARD, f"{UNHEARD}-1"))
    headers = envelope(scene.mark, reef_id=UNHEARD, schema=schema, seq=1, more=more)
    send_headers = [(name, value) for name, value in headers if name not in ("persistent", "JMSXGroupID")]
    message = AmqpMessage(exchange=exchange, routing_key=routing_key_of(UNHEARD), headers=send_headers, body=body)
    with scene.attacker.amqp() as connection:
        return deed_of(connection.publish_all([message]), [scene.mark])


def _lying_members(scene: Scene, exchange: str) -> Deed:
    """Members that are not there, with odd names, and good-byes: who consumes what is only hinted by them."""
    names: list[str | bytes] = [f"{scene.mark}-{number}" for number in range(MEMBERS)]
    names += ["", "x" * 5_000, NO_UTF8, *VALUES.values()]
    messages = [AmqpMessage(exchange=exchange, routing_key="", headers=[(MEMBER, name), ("takes", "true")]) for name in names]
    outcomes = []
    for message in messages:
        if isinstance(dict(message.headers)[MEMBER], bytes):
            with scene.attacker.amqp() as connection:
                outcomes += connection.publish_all([message])
    with scene.attacker.amqp() as connection:
        outcomes += connection.publish_all([each for each in messages if isinstance(dict(each.headers)[MEMBER], str)])
    return Deed(refused=sum(not outcome.is_confirmed for outcome in outcomes))


ACTS: Final = (
    Act(name="keys-that-are-not-the-reefs", row=0, what="wrong slots, none, wildcards, no text", does=_keys),
    Act(name="key-that-is-no-text", row=1, what="a routing key that is no UTF-8, by a publisher", does=_key_without_utf8),
    Act(
        name="topic-that-is-no-text",
        row=1,
        user=ATTACKER_DEVICE,
        what="a topic that is no UTF-8, which becomes a routing key, by a device",
        does=_topic_without_utf8,
    ),
    Act(name="one-reef-in-every-slot", row=0, what=f"{SLOTS} reports of one reef, each under another slot", does=_every_slot),
    Act(name="odd-properties", row=0, what="forged names, times to live, priorities, stamps", does=_properties),
    Act(name="headers-of-every-type", row=1, what="types, lengths and texts that decoders stumble over", does=_values),
    Act(name="headers-without-end", row=1, what=f"lists in lists, {DEPTH} deep, and tables", does=_deep),
    Act(
        name="facts-of-every-type",
        row=5,
        what="event, reef, schema and number as no text",
        does=_facts_of_other_types,
    ),
    Act(name="amqp-headers-of-110-kB", row=1, what="one long header, many short ones, one beyond a frame", does=_long_headers),
    Act(name="carbon-copies", row=2, what="CC and BCC into the shards of other reefs and services", does=_carbon_copies),
    *(
        Act(name=f"names-forged-by-{user}", row=0, user=user, what="user_id of every other user", does=_forged_names)
        for user in ("publisher", "ingest")
    ),
    Act(
        name="scoring-writes-readings-into-its-own-shards",
        row=2,
        user="scoring",
        what="readings of a reef, by the service that reads them",
        does=lambda scene: _into_own_queue(scene, "reef.readings.scoring.slots"),
    ),
    Act(
        name="scoring-replays-what-was-never-parked",
        row=11,
        user="scoring",
        what="the same with the mark of a replay",
        does=lambda scene: _into_own_queue(scene, "reef.readings.scoring.slots", replayed="true"),
    ),
    Act(
        name="alerts-writes-scores-into-its-own-shards",
        row=2,
        user="alerts",
        what="a score of Alert Level 5, by the service that reads scores",
        does=lambda scene: _into_own_queue(scene, "reef.scores.alerts.slots"),
    ),
    *(
        Act(
            name=f"members-that-are-not-there-by-{service}",
            row=8,
            user=service,
            what=f"{MEMBERS} lying members of its own subscription, and odd ones",
            does=partial(_lying_members, exchange=f"{channel}.{service}.members"),
        )
        for service, channel in (("ingest", "reef.telemetry"), ("scoring", "reef.readings"), ("alerts", "reef.scores"))
    ),
)
