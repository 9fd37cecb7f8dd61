"""MQTT 3.1.1 packets written by hand: no client library sends a topic of 65,533 bytes, or a packet twice under one id."""

import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh_components.ports import HOST
from reefmesh_hostile.wire_cut import WireCut

ANSWER_SECONDS: Final = 10.0
KEEP_ALIVE_SECONDS: Final = 60
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 0x10, 0x20, 0x30, 0x40, 0x82, 0x90
QOS_1: Final = 0x02
SUBSCRIPTION_REFUSED: Final = 0x80
AT_ONCE: Final = 200
PACKET_IDS: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttMessage:
    topic: str
    body: bytes


class MqttCut(WireCut):
    """The broker closed the connection, refused the login, or answers no more."""


class MqttConnection:
    """One connection of a device. ``write`` sends bytes as they are."""

    def __init__(self, port: int, *, client_id: str, user: str, password: str, clean_session: bool = True) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=ANSWER_SECONDS)
        self._unread = b""
        self._packet_id = 0
        connect = (
            text("MQTT") + bytes([4, 0b1100_0010 if clean_session else 0b1100_0000]) + struct.pack("!H", KEEP_ALIVE_SECONDS)
        )
        self.write(packet(CONNECT, connect + text(client_id) + text(user) + text(password)))
        kind, answer = self._next_packet(ANSWER_SECONDS)
        if kind != CONNACK or answer[1:2] != b"\0":
            self.close()
            raise MqttCut(f"CONNACK {answer.hex()}")

    def __enter__(self) -> "MqttConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def write(self, data: bytes) -> None:
        """Raises MqttCut."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise MqttCut(str(error)) from error

    def publish(self, topic: str, body: bytes) -> bool:
        """Publish at QoS 1; whether the broker acknowledged it (it also acknowledges what it then drops)."""
        return self.publish_all([MqttMessage(topic=topic, body=body)]) == 1

    def publish_all(self, messages: Sequence[MqttMessage]) -> int:
        """Publish at QoS 1, many at once; return how many the broker acknowledged before it went silent or closed."""
        acknowledged = 0
        for start in range(0, len(messages), AT_ONCE):
            some = messages[start : start + AT_ONCE]
            data = []
            for message in some:
                self._packet_id = self._packet_id % PACKET_IDS + 1
                content = text(message.topic) + struct.pack("!H", self._packet_id) + message.body
                data.append(packet(PUBLISH | QOS_1, content))
            try:
                self.write(b"".join(data))
                waiting = len(some)
                while waiting:
                    kind, _ = self._next_packet(ANSWER_SECONDS)
                    waiting -= kind == PUBACK
                    acknowledged += kind == PUBACK
            except (MqttCut, TimeoutError):
                return acknowledged
        return acknowledged

    def subscribe(self, topic: str) -> bool:
        """Subscribe at QoS 1; whether the broker granted it. Raises MqttCut."""
        self._packet_id = self._packet_id % PACKET_IDS + 1
        self.write(packet(SUBSCRIBE, struct.pack("!H", self._packet_id) + text(topic) + b"\1"))
        while True:
            kind, answer = self._next_packet(ANSWER_SECONDS)
            if kind == SUBACK:
                return answer[2] != SUBSCRIPTION_REFUSED

    def next_message(self, timeout_seconds: float) -> MqttMessage | None:
        """Return what comes next through a subscription, acknowledged; None when nothing comes in time. Raises MqttCut."""
        deadline = time.monotonic() + timeout_seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                kind, content = self._next_packet(left)
            except TimeoutError:
                return None
            if kind & 0xF0 != PUBLISH:
                continue
            length = struct.unpack("!H", content[:2])[0]
            topic, rest = content[2 : 2 + length].decode(errors="replace"), content[2 + length :]
            if kind & 0x06:
                self.write(packet(PUBACK, rest[:2]))
                rest = rest[2:]
            return MqttMessage(topic=topic, body=rest)
        return None

    def _next_packet(self, timeout_seconds: float) -> tuple[int, bytes]:
        """Raises MqttCut; TimeoutError when nothing comes."""
        first = self._read(1, timeout_seconds)[0]
        size, shift = 0, 0
        while True:
            digit = self._read(1, ANSWER_SECONDS)[0]
            size |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return first, self._read(size, ANSWER_SECONDS)

    def _read(self, count: int, timeout_seconds: float) -> bytes:
        self._socket.settimeout(max(0.001, timeout_seconds))
        while len(self._unread) < count:
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                raise
            except OSError as error:
                raise MqttCut(str(error)) from error
            if not data:
                raise MqttCut("the broker closed the connection")
            self._unread += data
        taken, self._unread = self._unread[:count], self._unread[count:]
        return taken


def text(value: str) -> bytes:
    """Return a string as MQTT writes it; a lone surrogate stands for a byte that is no UTF-8."""
    data = value.encode(errors="surrogateescape")
    return struct.pack("!H", len(data)) + data


def packet(first: int, content: bytes) -> bytes:
    length, size = b"", len(content)
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([first]) + length + content
