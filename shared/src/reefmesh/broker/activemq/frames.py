"""STOMP 1.2 on the wire: bytes to frames and back.

Optimised for hundreds of small frames in one read, each found with ``bytes.find``. Frames may be split anywhere between reads.
Input that is not STOMP is refused as soon as it can be recognised, not when a buffer is full. A MESSAGE that cannot be read is
no such input: whatever its sender wrote, it is read to its end and handed on with its fault, and the frames behind it follow.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple
from unicodedata import decimal

from reefmesh.broker.activemq.errors import ProtocolViolation
from reefmesh.broker.activemq.frame_headers import ESCAPES, UNESCAPED_COMMANDS, read_headers
from reefmesh.broker.activemq.long_frame import BODY_BYTES_LIMIT, LongBody, LongHeaders

HEADER_BLOCK_BYTES_LIMIT: Final = 128 * 1024
"""Headers of a MESSAGE above this are not kept whole, and the message counts as unreadable."""
LENGTH_DIGITS_LIMIT: Final = 20
MESSAGE: Final = "MESSAGE"
SERVER_COMMANDS: Final = ("MESSAGE", "RECEIPT", "ERROR", "CONNECTED")
CLIENT_COMMANDS: Final = (
    "CONNECT",
    "STOMP",
    "SEND",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "ACK",
    "NACK",
    "BEGIN",
    "COMMIT",
    "ABORT",
    "DISCONNECT",
)
HEARTBEAT: Final = b"\n"

_NUL, _LF, _CR = 0, 10, 13
_TRIMMED_BY_JAVA: Final = "".join(map(chr, range(33)))


@dataclass(frozen=True, slots=True)
class Frame:
    """``headers`` holds the first of repeated headers, as the protocol says. ``fault``: why a MESSAGE cannot be read as it was
    sent; its headers and body are then what could be read, cut where they are too long."""

    command: str
    headers: Mapping[str, str]
    body: bytes
    fault: str | None = None


class _Head(NamedTuple):
    """A frame without its body."""

    command: str
    headers: dict[str, str]
    fault: str | None


def encode(command: str, headers: Iterable[tuple[str, str]], body: bytes | None = None) -> bytes:
    """Return a frame's bytes. A body (even an empty one) is announced with its length, so it may hold anything."""
    escape = command not in UNESCAPED_COMMANDS
    lines = [command]
    for name, value in headers:
        if escape:
            if ":" in value or "\\" in value or "\n" in value or "\r" in value:
                value = value.translate(ESCAPES)  # noqa: PLW2901 - the wire form of the same value
            name = _escaped_name(name)  # noqa: PLW2901 - likewise
        elif "\n" in value or "\r" in value:
            raise ValueError(f"a line break cannot be sent in {command}'s header {name}")
        lines.append(f"{name}:{value}")
    if body is None:
        lines.append("\n\0")
        return "\n".join(lines).encode()
    lines.append(f"content-length:{len(body)}\n\n")
    return b"%b%b\0" % ("\n".join(lines).encode(), body)


class FrameParser:
    """Takes bytes as they come and gives frames as they are complete."""

    def __init__(self, *, body_bytes_limit: int, commands: tuple[str, ...] = SERVER_COMMANDS) -> None:
        self._body_bytes_limit = body_bytes_limit
        self._commands = {command.encode(): command for command in commands}
        self._longest_command = max(map(len, commands))
        self._rest = b""
        self._waiting: list[bytes] = []  # chunks behind _rest, while a body is known to be incomplete
        self._missing_bytes = 0
        self._long: LongHeaders | LongBody | None = None  # of a frame that is too long to be kept whole

    @property
    def is_within_frame(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return bool(self._rest.strip(b"\r\n") or self._waiting or self._long)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that these bytes complete.

        Raises:
            ProtocolViolation: these bytes are not STOMP, or exceed a limit; the parser is of no more use.
        """
        if self._missing_bytes > len(data):
            self._waiting.append(data)
            self._missing_bytes -= len(data)
            return []
        if self._waiting:
            data = b"".join((self._rest, *self._waiting, data))
            self._waiting.clear()
        elif self._rest:
            data = self._rest + data
        self._missing_bytes = 0
        frames: list[Frame] = []
        position, end = 0, len(data)
        while position < end:
            if self._long is not None:
                after = self._long_frame(self._long, data, position, end, frames)
            elif data[position] in (_LF, _CR):  # heart-beats and the line break that may follow a frame
                position += 1
                continue
            else:
                after = self._frame(data, position, end, frames)
            if after < 0:
                break
            position = after
        self._rest = data[position:]
        return frames

    def _frame(self, data: bytes, start: int, end: int, frames: list[Frame]) -> int:
        """Append the frame at ``start`` and return the position behind it, or -1 while it is incomplete."""
        line_end = data.find(b"\n", start, start + self._longest_command + 2)
        if line_end < 0:
            self._refuse_unknown(data[start:end])
            return -1
        command = self._commands.get(data[start:line_end].removesuffix(b"\r"))
        if command is None:
            raise ProtocolViolation(f"the peer sent what is not STOMP: {_sample(data[start:line_end])}")
        limit = min(end, start + HEADER_BLOCK_BYTES_LIMIT)
        block_end, body_start = _block(data, line_end, limit)
        if block_end < 0:
            if limit == end:
                return -1
            reason = f"headers of more than {HEADER_BLOCK_BYTES_LIMIT} bytes"
            if command != MESSAGE:
                raise ProtocolViolation(f"the peer sent {reason}")
            self._long = LongHeaders(fault=reason)
            return line_end + 1
        headers, fault = read_headers(command, data[line_end + 1 : block_end])
        if fault is not None and command != MESSAGE:
            raise ProtocolViolation(f"the peer sent {fault} in {command}")
        return self._body(_Head(command, headers, fault), data, body_start, end, frames)

    def _long_frame(self, long: LongHeaders | LongBody, data: bytes, start: int, end: int, frames: list[Frame]) -> int:
        """As ``_frame``, of one that is too long to be kept whole."""
        if isinstance(long, LongBody):
            after = long.read(data, start)
            if long.is_complete:
                self._long = None
                frames.append(Frame(MESSAGE, long.headers, long.kept, long.fault))
            return after
        if not long.is_complete:
            return long.read(data, start)
        after = self._body(_Head(MESSAGE, long.headers, long.fault), data, start, end, frames)
        if after >= 0 and self._long is long:
            self._long = None
        return after

    def _body(self, head: _Head, data: bytes, start: int, end: int, frames: list[Frame]) -> int:
        """Append the frame whose body begins at ``start``, and return the position behind it, or -1 while it is incomplete."""
        command, headers, fault = head
        text = headers.get("content-length")
        length = None if text is None else _length(text)
        if text is not None and length is None:
            fault = f"content-length {text[:LENGTH_DIGITS_LIMIT]!r}"
            if command != MESSAGE:
                raise ProtocolViolation(f"the peer sent {fault}")
        if length is None:
            body_end = data.find(b"\0", start, end)
            known_bytes = (body_end if body_end >= 0 else end) - start
        else:
            body_end = start + length
            known_bytes = length
        if known_bytes > self._body_bytes_limit:
            if command != MESSAGE or known_bytes > BODY_BYTES_LIMIT:
                size = "" if length is None else f" ({length} bytes)"
                raise ProtocolViolation(f"the peer sent a body of more than {self._body_bytes_limit} bytes{size}")
            self._long = LongBody(headers, length_bytes=length)
            return start
        if body_end < 0:
            return -1
        if body_end >= end:
            self._missing_bytes = body_end + 1 - end
            return -1
        if data[body_end] != _NUL:
            raise ProtocolViolation(f"the peer sent a body that does not end where it said ({length} bytes)")
        frames.append(Frame(command, headers, data[start:body_end], fault))
        return body_end + 1

    def _refuse_unknown(self, begun: bytes) -> None:
        """Refuse a first line that no command begins with, before it ends."""
        line = begun[: self._longest_command + 2]
        if not any((command + b"\r").startswith(line) for command in self._commands):
            raise ProtocolViolation(f"the peer sent what is not STOMP: {_sample(line)}")


def _block(data: bytes, line_end: int, limit: int) -> tuple[int, int]:
    """Return where the headers end and where the body starts, or -1 twice. Lines may end in CR LF."""
    bare = data.find(b"\n\n", line_end, limit)
    with_return = data.find(b"\n\r\n", line_end, limit if bare < 0 else bare)
    if with_return >= 0:
        return with_return, with_return + 3
    return bare, bare + 2


def _length(text: str) -> int | None:
    """Return the length of a body; None where the text is none.

    The broker hands on the text that the sender of a text message wrote, so this takes all that Java's ``parseInt`` takes after
    ``trim``: a sign, leading zeros, the digits of any script.
    """
    if text.isascii() and text.isdigit() and len(text) <= LENGTH_DIGITS_LIMIT:
        return int(text)
    bare = text.strip(_TRIMMED_BY_JAVA)
    digits = bare[1:] if bare[:1] in ("+", "-") else bare
    if not digits.isdecimal():
        return None
    significant = "".join(str(decimal(digit)) for digit in digits).lstrip("0") or "0"
    if (bare[0] == "-" and significant != "0") or len(significant) > LENGTH_DIGITS_LIMIT:
        return None
    return int(significant)


@lru_cache(maxsize=1024)
def _escaped_name(name: str) -> str:
    return name.translate(ESCAPES)


def _sample(begun: bytes) -> str:
    return repr(begun[:24])
