"""What is unusual in AMQP: values of headers that decoders stumble over, properties, keys, and bytes that are no frames."""

import struct
from collections.abc import Mapping, Sequence
from typing import Final

from reefmesh.broker.rabbitmq.slots import routing_key_of
from reefmesh_hostile.amqp_wire import FRAME_BODY, FRAME_HEADER, FRAME_METHOD, PROTOCOL, wire_frame
from reefmesh_hostile.reefs import SHARED, VICTIM

DEPTH: Final = 20_000


def nested_lists(depth: int) -> bytes:
    """Return a list in a list and so on: five bytes each."""
    value = b"V"
    for _ in range(depth):
        value = b"A" + struct.pack(">I", len(value)) + value
    return value


def nested_tables(depth: int) -> bytes:
    value = b"V"
    for _ in range(depth):
        entry = b"\x01a" + value
        value = b"F" + struct.pack(">I", len(entry)) + entry
    return value


VALUES: Final[Mapping[str, bytes]] = {
    "lists in lists": nested_lists(1_000),
    "tables in tables": nested_tables(1_000),
    "time of the year 584 billion": b"T" + b"\xff" * 8,
    "text that is no UTF-8": b"S" + struct.pack(">I", 4) + b"\xff\xfe\x00\x80",
    "empty text": b"S" + bytes(4),
    "bytes": b"x" + struct.pack(">I", 3) + b"\x00\x01\x02",
    "not a number": b"d" + struct.pack(">d", float("nan")),
    "infinite": b"f" + struct.pack(">f", float("inf")),
    "decimal with 255 places": b"D" + b"\xff" + struct.pack(">i", -1),
    "longest number": b"l" + struct.pack(">q", -(2**63)),
    "true": b"t\x01",
    "nothing": b"V",
    "unknown type": b"z\x00",
    "length beyond the frame": b"S" + struct.pack(">I", 2**31),
}
PROPERTIES: Final[Sequence[Mapping[str, str | int]]] = (
    {"user_id": ""},
    {"user_id": "ingest"},
    {"user_id": "operator"},
    {"expiration": "0"},
    {"expiration": "1"},
    {"expiration": "-1"},
    {"expiration": "9" * 250},
    {"delivery_mode": 1},
    {"delivery_mode": 255},
    {"priority": 255},
    {"timestamp": 2**64 - 1},
    {"message_id": "\udced\udca0"},
    {"message_id": "same"},
    {"type": "x" * 255, "app_id": "\u202e", "cluster_id": "x"},
    {"reply_to": "amq.rabbitmq.reply-to"},
    {"content_encoding": "gzip", "content_type": "\udcff"},
    {"correlation_id": "\n\r\0"},
)
KEYS: Final = (
    "",
    ".",
    "#",
    "*",
    "zz",
    "00",
    SHARED.id,
    f"00.{SHARED.id}",
    f"ff.{SHARED.id}",
    f"{routing_key_of(SHARED.id)}.more",
    f" {routing_key_of(SHARED.id)}",
    routing_key_of(SHARED.id).upper(),
    routing_key_of(VICTIM.id),
    "reef.telemetry.ingest.0",
    "reef.telemetry.ingest.parked",
    "a" * 255,
    "." * 255,
    "\udcff\udcfe",
    "25.\udced\udca0\udc80",
    "\u202e\0\n",
)
"""Of a message of the attacker's reef; surrogates stand for bytes that are no UTF-8."""
BYTES: Final[Sequence[bytes]] = (
    b"",
    b"\x00",
    b"GET / HTTP/1.1\r\n\r\n",
    b"AMQP\x03\x01\x00\x00",
    b"AMQP\x00\x00\x00\x00",
    PROTOCOL * 2,
    PROTOCOL + b"\xff" * 4_000,
    PROTOCOL + wire_frame(FRAME_METHOD, b"\x00\x0a\x00\x28", channel=0),
    PROTOCOL + wire_frame(FRAME_METHOD, b"\x00\x0a\x00\x0b" + b"\xff" * 200, channel=0),
    PROTOCOL + b"\x01\x00\x00\xff\xff\xff\xff",
    b"\x16\x03\x01\x02\x00" + b"\x01" * 512,
)
"""Before a login."""
FRAMES: Final[Sequence[bytes]] = (
    b"\xff" * 7 + b"\xce",
    b"\x08\x00\x00\x00\x00\x00\x00\xce" * 500,
    b"\x08\x00\x00\x00\x00\x00\x00\x00",
    wire_frame(FRAME_HEADER, b"\x00\x3c\x00\x00" + bytes(10)),
    wire_frame(FRAME_BODY, b"x" * 100),
    wire_frame(FRAME_METHOD, b""),
    wire_frame(FRAME_METHOD, b"\x00\x3c\x00\x28"),
    wire_frame(FRAME_METHOD, b"\x00\x3c\xff\xff"),
    wire_frame(FRAME_METHOD, b"\x00\x14\x00\x0a\x00", channel=65_535),
    wire_frame(FRAME_METHOD, b"\x00\x3c\x00\x50" + b"\xff" * 8 + b"\x01"),
    wire_frame(FRAME_METHOD, b"\x00\x0a\x00\x28\x01/\x00\x00", channel=0),
    b"\x01\x00\x01\x00\x10\x00\x00" + b"x" * 200_000,
    b"\x01\x00\x01\x7f\xff\xff\xff",
)
"""After a login, on a channel that is open or on none."""
