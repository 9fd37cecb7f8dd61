"""STOMP 1.2 on the wire: bytes to frames and back.

Optimised for hundreds of small frames in one read, each found with ``bytes.find``. Frames may be split anywhere between reads.
Input that is not STOMP is refused as soon as it can be recognised, not when a buffer is full.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from reefmesh.broker.activemq.errors import ProtocolViolation

HEADER_BLOCK_BYTES_LIMIT: Final = 128 * 1024
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
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\r": "\\r", "\n": "\\n", ":": "\\c"})
_ESCAPED: Final = re.compile(r"\\(.?)", re.DOTALL)
_UNESCAPES: Final = {"\\": "\\", "r": "\r", "n": "\n", "c": ":"}
_UNESCAPED: Final = frozenset({"CONNECT", "STOMP", "CONNECTED"})  # these frames carry headers as they are, by the protocol


@dataclass(frozen=True, slots=True)
class Frame:
    """``headers`` holds the first of repeated headers, as the protocol says."""

    command: str
    headers: Mapping[str, str]
    body: bytes


def encode(command: str, headers: Iterable[tuple[str, str]], body: bytes | None = None) -> bytes:
    """Return a frame's bytes. A body (even an empty one) is announced with its length, so it may hold anything."""
    escape = command not in _UNESCAPED
    lines = [command]
    for name, value in headers:
        if escape:
            if ":" in value or "\\" in value or "\n" in value or "\r" in value:
                value = value.translate(_ESCAPES)  # noqa: PLW2901 - the wire form of the same value
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

    @property
    def is_within_frame(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return bool(self._rest.strip(b"\r\n") or self._waiting)

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
            first = data[position]
            if first in (_LF, _CR):  # heart-beats and the line break that may follow a frame
                position += 1
                continue
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
            if limit < end:
                raise ProtocolViolation(f"the peer sent headers of more than {HEADER_BLOCK_BYTES_LIMIT} bytes")
            return -1
        headers = _headers(command, data[line_end + 1 : block_end])
        length = headers.get("content-length")
        if length is None:
            body_end = data.find(b"\0", body_start, end)
            if (body_end if body_end >= 0 else end) - body_start > self._body_bytes_limit:
                raise ProtocolViolation(f"the peer sent a body of more than {self._body_bytes_limit} bytes")
            if body_end < 0:
                return -1
        else:
            body_end = body_start + self._length(length)
            if body_end >= end:
                self._missing_bytes = body_end + 1 - end
                return -1
            if data[body_end] != _NUL:
                raise ProtocolViolation(f"the peer sent a body that does not end where it said ({length} bytes)")
        frames.append(Frame(command, headers, data[body_start:body_end]))
        return body_end + 1

    def _length(self, text: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise ProtocolViolation(f"the peer sent content-length {text[:20]!r}")
        length = int(text[:20])
        if length > self._body_bytes_limit:
            raise ProtocolViolation(f"the peer sent a body of {length} bytes, more than {self._body_bytes_limit}")
        return length

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


def _headers(command: str, block: bytes) -> dict[str, str]:
    try:
        text = block.decode()
    except UnicodeDecodeError:
        raise ProtocolViolation(f"the peer sent headers that are not UTF-8 in {command}") from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").removesuffix("\r")
    headers: dict[str, str] = {}
    if not text:
        return headers
    escaped = "\\" in text and command not in _UNESCAPED
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise ProtocolViolation(f"the peer sent a header without a colon in {command}")
        if escaped and "\\" in line:
            name, value = _unescape(name), _unescape(value)
        if name not in headers:
            headers[name] = value
    return headers


def _unescape(text: str) -> str:
    if text.count("\\") == text.count("\\c"):  # colons alone, as in every identity that the broker gives
        return text.replace("\\c", ":")
    return _ESCAPED.sub(_meaning, text)


@lru_cache(maxsize=1024)
def _escaped_name(name: str) -> str:
    return name.translate(_ESCAPES)


def _meaning(escape: re.Match[str]) -> str:
    meaning = _UNESCAPES.get(escape[1])
    if meaning is None:
        raise ProtocolViolation(f"the peer sent the unknown escape {escape[0]!r}")
    return meaning


def _sample(begun: bytes) -> str:
    return repr(begun[:24])
