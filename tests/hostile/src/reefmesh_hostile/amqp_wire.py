"""AMQP 0-9-1 written byte by byte: an attacker sends what no client library would, and reads without any limit."""

import socket
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pamqp import base, frame
from pamqp.commands import Basic, Channel, Confirm, Connection
from pamqp.common import FieldTable
from pamqp.exceptions import UnmarshalingException

from reefmesh.broker.rabbitmq.slots import routing_key_of
from reefmesh_components.ports import HOST
from reefmesh_hostile.stomp_wire import Outcome, Send
from reefmesh_hostile.wire_cut import WireCut

ANSWER_SECONDS: Final = 10.0
READ_BYTES: Final = 1 << 16
SENT_AT_ONCE: Final = 50
PROTOCOL: Final = b"AMQP\x00\x00\x09\x01"
FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_END = 1, 2, 3, b"\xce"
FRAME_BYTES: Final = 131_072
CHANNEL: Final = 1
CHANNELS_LIMIT: Final = 16
BASIC_CLASS: Final = 60
PUBLISH: Final = b"\x00\x3c\x00\x28\x00\x00"
"""Class and method of ``basic.publish``, and a field of no use."""
SHORT_BYTES_LIMIT: Final = 255
VIRTUAL_TOPIC: Final = "/topic/VirtualTopic."
GROUP: Final = "JMSXGroupID"
CAPABILITIES: Final[FieldTable] = {
    "capabilities": {"publisher_confirms": True, "basic.nack": True, "authentication_failure_close": True}
}
BITS: Final[Mapping[str, int]] = {
    "content_type": 15,
    "content_encoding": 14,
    "headers": 13,
    "delivery_mode": 12,
    "priority": 11,
    "correlation_id": 10,
    "reply_to": 9,
    "expiration": 8,
    "message_id": 7,
    "timestamp": 6,
    "type": 5,
    "user_id": 4,
    "app_id": 3,
    "cluster_id": 2,
}
"""Of each property in the flags that go before them; they follow in this order."""
FORMATS: Final = {"delivery_mode": ">B", "priority": ">B", "timestamp": ">Q"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpMessage:
    """``headers``: a text goes out as a long string; bytes go out as they are, the letter of their type first. ``properties``:
    all but the headers; without ``user_id`` the sender's own is stated, with an empty one none is."""

    exchange: str
    routing_key: str
    headers: Sequence[tuple[str, str | bytes]] = ()
    body: bytes = b""
    properties: Mapping[str, str | int] = field(default_factory=dict)

    @classmethod
    def of(cls, send: Send) -> "AmqpMessage":
        """A message for ActiveMQ as it goes to RabbitMQ: a virtual topic is a channel's exchange, the group the key's reef."""
        first: dict[str, str] = {}
        for name, value in send.headers:
            first.setdefault(name, value)
        return cls(
            exchange=send.destination.removeprefix(VIRTUAL_TOPIC),
            routing_key=routing_key_of(first.get(GROUP, "")),
            headers=[(name, value) for name, value in send.headers if name not in (GROUP, "persistent")],
            body=send.body,
        )


class AmqpCut(WireCut):
    """The broker closed the connection, or answers no more."""


class AmqpRefused(Exception):
    """The broker closed the channel for what was asked: its code and its words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code


class AmqpConnection:
    """A login and one channel that confirms. Bytes may be written as they are (``write``)."""

    def __init__(self, port: int, *, user: str, password: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._user = user
        self._timeout_seconds = answer_seconds
        self._socket = socket.create_connection((HOST, port), timeout=answer_seconds)
        self._unread = b""
        self._published = 0
        try:
            self.write(PROTOCOL)
            self._expect(Connection.Start)
            self._method(
                Connection.StartOk(
                    client_properties=CAPABILITIES, mechanism="PLAIN", response=f"\0{user}\0{password}", locale="en_US"
                ),
                channel=0,
            )
            self._expect(Connection.Tune)
            self._method(Connection.TuneOk(channel_max=CHANNELS_LIMIT, frame_max=FRAME_BYTES, heartbeat=0), channel=0)
            self._method(Connection.Open("/"), channel=0)
            self._expect(Connection.OpenOk)
            self._open_channel()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> "AmqpConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def write(self, data: bytes) -> None:
        """Raises AmqpCut."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise AmqpCut(str(error)) from error

    def call(self, method: base.Frame) -> base.Frame:
        """Return the broker's answer to a method. After a refusal there is a new channel.

        Raises:
            AmqpRefused, AmqpCut.
        """
        self._method(method)
        while (answer := self.next_method()) is not None:
            if isinstance(answer, Channel.Close):
                raise self._refusal(answer)
            if answer.name in method.valid_responses:
                return answer
        raise AmqpCut(f"{method.name} was not answered")

    def send(self, destination: str, headers: Sequence[tuple[str, str]], body: bytes) -> Outcome:
        return self.send_all([Send(destination=destination, headers=headers, body=body)])[0]

    def send_all(self, sends: Iterable[Send]) -> list[Outcome]:
        return self.publish_all([AmqpMessage.of(send) for send in sends])

    def publish_all(self, messages: Sequence[AmqpMessage]) -> list[Outcome]:
        """Publish with confirmations, some at once; return what the broker said of each, in order. Of those that were on their
        way when it refused one, nothing is known: they count as cut off."""
        outcomes: list[Outcome] = []
        for begin in range(0, len(messages), SENT_AT_ONCE):
            outcomes += self._publish_some(messages[begin : begin + SENT_AT_ONCE])
        return outcomes

    def next_method(self, timeout_seconds: float | None = None) -> base.Frame | None:
        """Return the next method; None when there is none in time. Contents and heartbeats are passed over. Raises AmqpCut."""
        deadline = time.monotonic() + (self._timeout_seconds if timeout_seconds is None else timeout_seconds)
        while True:
            while (taken := self._taken()) is not None:
                if isinstance(taken, Connection.Close):
                    self._socket.close()
                    raise AmqpCut(f"{taken.reply_code} {taken.reply_text}")
                if isinstance(taken, base.Frame):
                    return taken
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                self._socket.settimeout(left)
                data = self._socket.recv(READ_BYTES)
                self._socket.settimeout(self._timeout_seconds)
            except TimeoutError:
                return None
            except OSError as error:
                raise AmqpCut(str(error)) from error
            if not data:
                raise AmqpCut("the broker closed the connection")
            self._unread += data

    def _taken(self) -> frame.FrameTypes | None:
        try:
            count, _, taken = frame.unmarshal(self._unread)
        except UnmarshalingException:  # not yet all of it
            return None
        self._unread = self._unread[count:]
        return taken

    def _publish_some(self, messages: Sequence[AmqpMessage]) -> list[Outcome]:
        first = self._published + 1
        outcomes: dict[int, Outcome] = {}
        try:
            for message in messages:
                self._published += 1
                self.write(encoded(message, user=self._user))
            last = self._published
            while len(outcomes) < len(messages) and (answer := self.next_method()) is not None:
                if isinstance(answer, Channel.Close):
                    said = self._refusal(answer)
                    place = next((each for each in range(first, last + 1) if each not in outcomes), last)
                    outcomes[place] = Outcome(refusal=str(said)[:200])
                    break
                if isinstance(answer, Basic.Ack | Basic.Nack):
                    tag = answer.delivery_tag or 0
                    outcome = Outcome() if isinstance(answer, Basic.Ack) else Outcome(refusal="not confirmed")
                    for each in range(first, tag + 1) if answer.multiple else (tag,):
                        outcomes.setdefault(each, outcome)
        except AmqpCut:
            pass  # what has no answer is cut off
        return [outcomes.get(first + place, Outcome(is_cut=True)) for place in range(len(messages))]

    def _method(self, method: base.Frame, *, channel: int = CHANNEL) -> None:
        self.write(frame.marshal(method, channel))

    def _expect(self, kind: type[base.Frame]) -> None:
        answer = self.next_method()
        if not isinstance(answer, kind):
            raise AmqpCut(f"{kind.name} did not come, but {'nothing' if answer is None else answer.name}")

    def _open_channel(self) -> None:
        self._method(Channel.Open())
        self._expect(Channel.OpenOk)
        self._method(Confirm.Select())
        self._expect(Confirm.SelectOk)
        self._published = 0

    def _refusal(self, closed: Channel.Close) -> AmqpRefused:
        self._method(Channel.CloseOk())
        self._open_channel()
        return AmqpRefused(closed.reply_code or 0, closed.reply_text or "")


def encoded(message: AmqpMessage, *, user: str) -> bytes:
    """Return the frames of a publication."""
    method = PUBLISH + _short(message.exchange) + _short(message.routing_key) + b"\0"
    table = b"".join(_entry(name, value) for name, value in message.headers)
    stated = {"delivery_mode": 2, "user_id": user, **message.properties}
    if not stated["user_id"]:
        del stated["user_id"]
    flags, values = 0, b""
    for name, bit in BITS.items():
        if name == "headers":
            flags |= 1 << bit
            values += struct.pack(">I", len(table)) + table
        elif name in stated:
            flags |= 1 << bit
            value = stated[name]
            values += struct.pack(FORMATS[name], value) if name in FORMATS else _short(str(value))
    header = struct.pack(">HHQH", BASIC_CLASS, 0, len(message.body), flags) + values
    chunk = FRAME_BYTES - 8
    bodies = [wire_frame(FRAME_BODY, message.body[at : at + chunk]) for at in range(0, len(message.body), chunk)]
    return b"".join((wire_frame(FRAME_METHOD, method), wire_frame(FRAME_HEADER, header), *bodies))


def wire_frame(kind: int, payload: bytes, *, channel: int = CHANNEL) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + FRAME_END


def long_string(value: str) -> bytes:
    data = value.encode(errors="surrogateescape")
    return b"S" + struct.pack(">I", len(data)) + data


def _entry(name: str, value: str | bytes) -> bytes:
    return _short(name) + (value if isinstance(value, bytes) else long_string(value))


def _short(value: str) -> bytes:
    data = value.encode(errors="surrogateescape")[:SHORT_BYTES_LIMIT]
    return bytes((len(data),)) + data
