"""Random mischief on RabbitMQ: the messages of ``mischief`` as they are, and what AMQP alone lets an attacker do."""

import struct
from collections.abc import Mapping
from datetime import datetime
from random import Random
from typing import Final

from pamqp.frame import marshal

from reefmesh_hostile import mischief
from reefmesh_hostile.acts.amqp_messages import report
from reefmesh_hostile.acts.amqp_rights import commands_against, targets_of
from reefmesh_hostile.amqp_wire import CHANNEL, PROTOCOL, AmqpMessage, encoded, long_string
from reefmesh_hostile.attacked_broker import Engine
from reefmesh_hostile.attacker import PUBLISHER
from reefmesh_hostile.mischief import AmqpWire, Drawer
from reefmesh_hostile.odd_amqp import BYTES, FRAMES, KEYS, PROPERTIES, VALUES
from reefmesh_hostile.odd_words import NUMBERS, RESERVED, TEXTS

REUSED: Final = (
    *("headers", "envelope", "number", "schema", "follows", "time", "replay"),
    *("flood", "payload", "mqtt", "topics", "half-open"),
)
"""Kinds of ``mischief`` whose messages have a meaning here."""
LOGINS: Final = (1, 12)
FACTS: Final = ("event-id", "reef-id", "schema", "produced-at", "received-at", "seq", "device", "follows", "producer-id")


def _frame(chance: Random, mark: str, now: datetime) -> AmqpWire:
    """A publication with some bytes changed, or a frame out of place."""
    if chance.random() < 0.3:
        return AmqpWire(frames=(chance.choice(FRAMES),))
    data = bytearray(encoded(report(mark, at=now), user=PUBLISHER))
    for _place in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        match chance.randrange(3):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(1, 30)]
            case _:
                data[at:at] = chance.randbytes(chance.randrange(1, 30))
    return AmqpWire(frames=(bytes(data),))


def _bytes(chance: Random, mark: str, now: datetime) -> AmqpWire:
    data = chance.choice((*BYTES, PROTOCOL + chance.randbytes(200), chance.randbytes(50)))
    return AmqpWire(thrown=data or b"\0")


def _types(chance: Random, mark: str, now: datetime) -> AmqpWire:
    """Headers and facts of the envelope whose values have other types, or are no UTF-8."""
    made = report(mark, at=now, is_marked=True)
    odd = [
        (chance.choice((*FACTS, *RESERVED, "CC", "BCC", "x-death", "x-delay", "timestamp_in_ms")), _value(chance))
        for _place in range(chance.choice((1, 1, 2, 5, 40)))
    ]
    names = {name for name, _value_of in odd}
    kept = [pair for pair in made.headers if pair[0] not in names]
    message = AmqpMessage(exchange=made.exchange, routing_key=made.routing_key, headers=[*odd, *kept], body=made.body)
    return AmqpWire(messages=(message,), accountable=(mark,))


def _value(chance: Random) -> bytes:
    match chance.randrange(4):
        case 0:
            return chance.choice(list(VALUES.values()))
        case 1:
            items = b"".join(chance.choice(list(VALUES.values())) for _place in range(chance.randrange(1, 5)))
            return b"A" + struct.pack(">I", len(items)) + items
        case 2:
            return long_string(chance.choice(TEXTS).replace("\ud800", "\udced") * chance.choice((1, 300)))
        case _:
            return long_string(chance.choice(NUMBERS))


def _keys(chance: Random, mark: str, now: datetime) -> AmqpWire:
    return AmqpWire(messages=(report(mark, at=now, key=chance.choice(KEYS)),), accountable=(mark,))


def _properties(chance: Random, mark: str, now: datetime) -> AmqpWire:
    chosen: dict[str, str | int] = {}
    for each in chance.sample(PROPERTIES, chance.randint(1, 3)):
        chosen |= each
    return AmqpWire(messages=(report(mark, at=now, properties=chosen, is_marked=True),), accountable=(mark,))


def _rights(chance: Random, mark: str, now: datetime) -> AmqpWire:
    if chance.random() < 0.5:
        command = chance.choice(commands_against(PUBLISHER))
        return AmqpWire(frames=(marshal(command, CHANNEL),), is_forbidden=True)
    exchange, key = chance.choice(targets_of(PUBLISHER))
    return AmqpWire(messages=(AmqpMessage(exchange=exchange, routing_key=key, body=mark.encode()),), is_forbidden=True)


def _login(chance: Random, mark: str, now: datetime) -> AmqpWire:
    return AmqpWire(logins=chance.randint(*LOGINS))


AMQP_DRAWERS: Final[Mapping[str, Drawer]] = {
    **{kind: mischief.DRAWERS[kind] for kind in REUSED},
    "amqp-frame": _frame,
    "amqp-bytes": _bytes,
    "types": _types,
    "keys": _keys,
    "properties": _properties,
    "rights": _rights,
    "login": _login,
}


def drawers_on(engine: Engine) -> Mapping[str, Drawer]:
    return AMQP_DRAWERS if engine == "rabbitmq" else mischief.DRAWERS
