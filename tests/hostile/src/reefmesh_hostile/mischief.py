"""Random mischief, drawn from a seed: what is drawn does not depend on the clock, nor on what the mesh makes of it.

Times are drawn as distances from now, so that the same seed gives the same acts whenever it runs.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from reefmesh_hostile.amqp_wire import AmqpMessage
from reefmesh_hostile.attacked_activemq import QUEUES
from reefmesh_hostile.messages import TELEMETRY
from reefmesh_hostile.odd_words import (
    ADVISORIES,
    BODY_BYTES,
    DESTINATIONS,
    FLOOD,
    HALF_OPEN_LIMIT,
    INSTANTS,
    NUMBERS,
    RESERVED,
    SCHEMAS,
    SECONDS,
    TEXTS,
    TOPICS,
    VERSIONS,
)
from reefmesh_hostile.reefs import ATTACKER_DEVICE, HONEST, REGISTERED, SHARED
from reefmesh_hostile.stomp_wire import Send, encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What goes over one connection: STOMP frames, or MQTT messages as (topic, body). ``sends``: the messages in these frames,
    for a broker with another protocol. ``accountable``: the marks of messages that, once the broker has confirmed them all,
    must be found again."""

    stomp_version: str = ""
    frames: Sequence[bytes] = ()
    sends: Sequence[Send] = ()
    mqtt: Sequence[tuple[str, bytes]] = ()
    client_id: str = ATTACKER_DEVICE
    subscriptions: Sequence[str] = ()
    accountable: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpWire:
    """What goes to the port for AMQP: bytes before any login (``thrown``), so many ``logins`` that leave, or over one login
    ``messages``, or ``frames`` as they are. ``accountable``: as of Wire. ``is_forbidden``: the broker must take none of it."""

    thrown: bytes = b""
    logins: int = 0
    messages: tuple[AmqpMessage, ...] = ()
    frames: tuple[bytes, ...] = ()
    accountable: tuple[str, ...] = ()
    is_forbidden: bool = False

    def __str__(self) -> str:
        first = self.frames[0][:120] if self.frames else self.thrown[:120]
        shown = [(each.exchange, each.routing_key[:60], str(each.headers)[:120], each.properties) for each in self.messages[:1]]
        return f"{self.logins} logins, {len(self.messages)} messages {shown}, {len(self.frames)} frames, the first {first!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfOpen:
    """Connections to the page of a service that stay half open until the next act."""

    service: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mischief:
    """The ``number``-th act of a seed."""

    number: int
    kind: str
    does: Wire | AmqpWire | HalfOpen

    def __str__(self) -> str:
        match self.does:
            case HalfOpen(service=service, count=count):
                return f"{self.number} {self.kind}: {count} half open to {service}"
            case AmqpWire() as wire:
                return f"{self.number} {self.kind}: {wire}"
            case Wire(frames=frames, mqtt=mqtt):
                first = frames[0][:120] if frames else mqtt[0][0][:60] if mqtt else b""
                return f"{self.number} {self.kind}: {len(frames)} frames, {len(mqtt)} MQTT messages, the first {first!r}"


ODD_HEADERS: Final = (1, 1, 1, 2, 2, 3, 6, 30)
"""How many in one message: the broker refuses most messages of many."""

Drawer = Callable[[Random, str, datetime], Wire | AmqpWire | HalfOpen]


def drawn(
    seed: int,
    count: int,
    *,
    now: datetime | None = None,
    kinds: Sequence[str] = (),
    drawers: Mapping[str, Drawer] | None = None,
) -> Iterator[Mischief]:
    """Yield ``count`` acts, of all kinds of ``drawers`` (those of ActiveMQ) or of these ``kinds``.

    Without ``now`` times are distances from the instant at which an act is drawn.
    """
    drawers = DRAWERS if drawers is None else drawers
    names = [name for name in drawers if not kinds or name in kinds for _ in range(1 if name in HEAVY else 3)]
    for number in range(1, count + 1):
        chance = Random(f"{seed}/{number}")
        kind = chance.choice(names)
        does = drawers[kind](chance, f"m{seed}n{number}x", now or datetime.now(UTC))
        yield Mischief(number=number, kind=kind, does=does)


def _headers(chance: Random, mark: str, now: datetime) -> dict[str, str]:
    """The headers of a message that could be right, of the attacker's own device, or of one that nobody knows."""
    own = chance.random() < 0.5
    return {
        "persistent": "true",
        "JMSXGroupID": SHARED.id,
        "event-id": mark,
        "reef-id": SHARED.id if own else chance.choice(sorted(REGISTERED)),
        "schema": "telemetry/1",
        "produced-at": now.isoformat(),
        "received-at": now.isoformat(),
        "device": ATTACKER_DEVICE if own else f"unknown-{chance.randrange(5)}",
    }


def _body(chance: Random, mark: str, now: datetime) -> bytes:
    if chance.random() < 0.5:
        return mark.encode() + b"." + chance.randbytes(min(chance.choice(BODY_BYTES), 2_000))
    observed_at = now + timedelta(seconds=chance.choice((0, -60, -86_400)))
    reading = {"observed_at": observed_at.isoformat(), "channels": {"sea_water_temperature": 27.0 + chance.random()}}
    return json.dumps(
        {
            "schema": "telemetry/1",
            "buoy_id": ATTACKER_DEVICE,
            "seq": 1,
            "sent_at": observed_at.isoformat(),
            "readings": [reading],
        }
    ).encode()


def _send(
    chance: Random, mark: str, headers: Mapping[str, str], body: bytes, *, destination: str = TELEMETRY, version: str = ""
) -> Wire:
    version = version or chance.choice(VERSIONS)
    escapes = version != "1.0"
    sent = [(_sendable(name), _sendable(value)) for name, value in headers.items()]
    pairs = [("destination", destination), ("receipt", mark), *sent]
    if not escapes:  # a line break would be the next header: that is for the kind "frame"
        pairs = [(name.replace("\n", " "), value.replace("\n", " ").replace("\r", " ")) for name, value in pairs]
    frame = encoded("SEND", pairs, body, escapes=escapes)
    send = Send(destination=destination, headers=sent, body=body)
    return Wire(stomp_version=version, frames=[frame], sends=[send], accountable=[mark] if destination == TELEMETRY else ())


def _sendable(text: str) -> str:
    """A lone surrogate has no UTF-8: what is sent in its place is no UTF-8 either."""
    return text.replace("\ud800", "\udced")


def _frame(chance: Random, mark: str, now: datetime) -> Wire:
    wire = _send(chance, mark, _headers(chance, mark, now), _body(chance, mark, now))
    data = bytearray(wire.frames[0])
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(1, 30)]
            case 2:
                data[at:at] = chance.randbytes(chance.randrange(1, 30))
            case _:
                data[at:at] = chance.choice([b"\n", b"\0", b":", b"\\", b"\\c" * 500, b"\n\n", b"\r\n", b"\ncontent-length:5"])
        if not data:
            data = bytearray(b"\0")
    return Wire(stomp_version=wire.stomp_version, frames=[bytes(data)])


def _odd_headers(chance: Random, mark: str, now: datetime) -> Wire:
    headers = _headers(chance, mark, now)
    for _ in range(chance.choice(ODD_HEADERS)):
        name = chance.choice((*RESERVED, f"h-{chance.randrange(99)}", chance.choice(TEXTS) + "x"))
        headers[name] = chance.choice(
            (
                chance.choice(TEXTS),
                chance.choice((":", "a", "\\", "\u20ac")) * chance.randrange(chance.choice((20, 200, 2_000, 9_500))),
            )
        )
    headers.pop("expires", None)  # what expires is nobody's to account for
    body = mark.encode() + b"." + _body(chance, mark, now)
    return _send(chance, mark, headers, body)


def _odd_envelope(chance: Random, mark: str, now: datetime) -> Wire:
    headers = _headers(chance, mark, now)
    for name in chance.sample(["event-id", "reef-id", "schema", "produced-at", "device", "received-at"], chance.randint(1, 3)):
        if chance.random() < 0.5:
            headers.pop(name)
        else:
            headers[name] = chance.choice(TEXTS) * chance.choice((1, 1, 200))
    if (event_id := headers.get("event-id", mark).strip()) and event_id != mark:
        headers["event-id"] += mark  # a second message of an event is a duplicate, whatever it holds
    return _send(chance, mark, headers, mark.encode() + b"." + _body(chance, mark, now))


def _destination(chance: Random, mark: str, now: datetime) -> Wire:
    headers = _headers(chance, mark, now) | {"schema": chance.choice(SCHEMAS), "seq": chance.choice(NUMBERS)}
    return _send(chance, mark, headers, _body(chance, mark, now), destination=chance.choice(DESTINATIONS))


def _number(chance: Random, mark: str, now: datetime) -> Wire:
    headers = _headers(chance, mark, now) | {"seq": chance.choice(NUMBERS)}
    destination = chance.choice((TELEMETRY, TELEMETRY, "/topic/VirtualTopic.reef.*"))
    return _send(chance, mark, headers, mark.encode() + b"." + _body(chance, mark, now), destination=destination)


def _schema(chance: Random, mark: str, now: datetime) -> Wire:
    headers = _headers(chance, mark, now) | {"schema": chance.choice(SCHEMAS)}
    return _send(chance, mark, headers, mark.encode() + b"." + _body(chance, mark, now))


def _follows(chance: Random, mark: str, now: datetime) -> Wire:
    headers = _headers(chance, mark, now)
    headers["producer-id"] = chance.choice((mark, "one", "", "x" * 65, chance.choice(TEXTS)))
    headers["follows"] = chance.choice(("nothing", mark, f"honest/victim/{chance.randrange(200)}", chance.choice(TEXTS)))
    headers["reef-id"] = chance.choice((headers["reef-id"], f"nowhere-{chance.randrange(1000)}"))
    headers["JMSXGroupID"] = headers["reef-id"]  # in the group of another reef it is an act of its own, in ``acts.waiting``
    return _send(chance, mark, headers, _body(chance, mark, now))


def _time(chance: Random, mark: str, now: datetime) -> Wire:
    headers = _headers(chance, mark, now)
    for name in ("received-at", "produced-at"):
        if chance.random() < 0.6:
            headers[name] = _instant(chance, now)
    return _send(chance, mark, headers, _body(chance, mark, now))


def _instant(chance: Random, now: datetime) -> str:
    if chance.random() < 0.4:
        return chance.choice(INSTANTS)
    try:
        return (now + timedelta(seconds=chance.choice(SECONDS))).isoformat()
    except OverflowError:
        return "10000-01-01T00:00:00+00:00"


def _replay(chance: Random, mark: str, now: datetime) -> Wire:
    headers = _headers(chance, mark, now)
    headers["replayed"] = chance.choice(("true", "", "false"))
    honest = chance.choice([reef.id for reef in HONEST])
    headers["h-replay-of"] = chance.choice((f"honest/{honest}/{chance.randrange(1, 400)}", mark, "", "x" * 500))
    return _send(chance, mark, headers, _body(chance, mark, now))


def _advisory(chance: Random, mark: str, now: datetime) -> Wire:
    service = chance.choice(list(QUEUES))
    joined = {"ConsumerInfo": {"consumerId": {"connectionId": mark, "sessionId": 1, "value": chance.randrange(9)}}}
    body = chance.choice((*ADVISORIES, json.dumps(joined).encode(), json.dumps(joined).encode()))
    headers = {"consumerCount": chance.choice(NUMBERS)}
    return _send(chance, mark, headers, body, destination=f"/topic/ActiveMQ.Advisory.Consumer.Queue.{QUEUES[service]}")


def _flood(chance: Random, mark: str, now: datetime) -> Wire:
    version = chance.choice(VERSIONS)
    made = [
        _send(chance, f"{mark}{place}x", _headers(chance, f"{mark}{place}x", now), _body(chance, mark, now), version=version)
        for place in range(chance.randint(*FLOOD))
    ]
    return Wire(
        stomp_version=version,
        frames=[frame for wire in made for frame in wire.frames],
        sends=[send for wire in made for send in wire.sends],
        accountable=[each for wire in made for each in wire.accountable],
    )


def _payload(chance: Random, mark: str, now: datetime) -> Wire:
    size = chance.choice(BODY_BYTES)
    body = mark.encode() + b"." + (b"[" * size if chance.random() < 0.2 else chance.randbytes(size))
    return _send(chance, mark, _headers(chance, mark, now), body)


def _mqtt(chance: Random, mark: str, now: datetime) -> Wire:
    topic = chance.choice(TOPICS)
    kind = chance.choice(("data", "connect", "diagnosis", "x"))
    body = f'{{"mark": "{mark}", "msg_type": "{kind}"}}'.encode()
    is_telemetry = topic.startswith("buoys/") and "/d2c/" in topic
    is_kept = is_telemetry and kind in ("data", "x")  # what is understood becomes a reading, which has no place for a mark
    return Wire(mqtt=[(topic, body)] * chance.randint(1, 3), accountable=[mark] if is_kept else ())


def _topics(chance: Random, mark: str, now: datetime) -> Wire:
    return Wire(
        mqtt=[
            (f"buoys/{mark}{place}/d2c/x", f'{{"mark": "{mark}{place}y"}}'.encode()) for place in range(chance.randint(1, 20))
        ]
    )


def _join(chance: Random, mark: str, now: datetime) -> Wire:
    """Come, subscribe to something, and go without a word."""
    destinations = ("/topic/buoys.1.c2d.cmd", "/topic/ActiveMQ.Advisory.>", "/topic/>", "/queue/>", "/temp-queue/x")
    if chance.random() < 0.3:
        client = chance.choice((ATTACKER_DEVICE, HONEST[-1].honest, "", mark * 50))
        return Wire(mqtt=[("buoys/1/d2c/x", f'{{"mark": "{mark}"}}'.encode())], client_id=client)
    return Wire(stomp_version=chance.choice(VERSIONS), subscriptions=[chance.choice(destinations)])


def _half_open(chance: Random, mark: str, now: datetime) -> HalfOpen:
    return HalfOpen(service=chance.choice(list(QUEUES)), count=chance.randint(1, HALF_OPEN_LIMIT))


DRAWERS: Final[Mapping[str, Drawer]] = {
    "frame": _frame,
    "headers": _odd_headers,
    "envelope": _odd_envelope,
    "destination": _destination,
    "number": _number,
    "schema": _schema,
    "follows": _follows,
    "time": _time,
    "replay": _replay,
    "advisory": _advisory,
    "flood": _flood,
    "payload": _payload,
    "mqtt": _mqtt,
    "topics": _topics,
    "join": _join,
    "half-open": _half_open,
}
HEAVY: Final = frozenset({"flood", "half-open", "topics"})
"""Drawn a third as often as the others."""
