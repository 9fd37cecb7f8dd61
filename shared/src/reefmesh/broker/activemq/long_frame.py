"""A MESSAGE that is too long to be kept whole: read to its end as it comes, in bounded memory, with a part of it kept.

Such a frame may not cost the connection: the broker would send the same frame again on the next one, for ever.

The longest headers that ActiveMQ can send: it takes 1,000 headers of 10,240 bytes from a STOMP client, and on the way out
a byte may become three (a byte that is not UTF-8 becomes U+FFFD) or two (STOMP 1.0 knows no escapes, so a colon is one byte on
the way in): 30.8 MB. The name of an MQTT topic (65,535 bytes) can stand in two headers, which adds 0.4 MB.
``HEADERS_BYTES_LIMIT`` is twice that: a peer that sends more is not ActiveMQ.
"""

from typing import Final

from reefmesh.broker.activemq.errors import ProtocolViolation
from reefmesh.broker.activemq.frame_headers import unescape
from reefmesh.broker.activemq.message_headers import PLAIN, USER_ID

HEADERS_BYTES_LIMIT: Final = 64 * 1024 * 1024
BODY_BYTES_LIMIT: Final = 256 * 1024 * 1024
"""Of a body that is skipped. Above this a length is no length of a message."""
LINE_BYTES: Final = 32 * 1024
"""Read of each header line: three times what the broker takes of one, so a ``content-length`` is never cut. The name of an MQTT
topic may be."""
KEPT_LINE_BYTES: Final = 1024
"""Kept of each header line; the headers that the broker itself sets are shorter, except the name of a destination."""
KEPT_HEADERS: Final = 64
"""How many headers of the sender's are kept, beside those of ``_ALWAYS_KEPT``."""
KEPT_BODY_BYTES: Final = 4 * 1024

_ALWAYS_KEPT: Final = PLAIN | {
    USER_ID,
    "ack",
    "content-length",
    "destination",
    "message-id",
    "original-destination",
    "redelivered",
    "subscription",
    "timestamp",
}
"""The broker writes headers in any order, so these may come last."""


class LongHeaders:
    """The headers of one frame, line by line."""

    def __init__(self, *, fault: str) -> None:
        self.headers: dict[str, str] = {}
        self.fault = fault
        self.is_complete = False
        self._line = bytearray()  # the beginning of the present line
        self._line_bytes = self._read_bytes = self._kept = 0

    def read(self, data: bytes, start: int) -> int:
        """Return the position of the body, or the end of ``data`` while the headers are not complete.

        Raises:
            ProtocolViolation: no broker sends so many.
        """
        while True:
            line_end = data.find(b"\n", start)
            self._add_to_line(data, start, len(data) if line_end < 0 else line_end)
            if line_end < 0:
                return len(data)
            start = line_end + 1
            if self._line_bytes == 0 or self._line == b"\r":
                self.is_complete = True
                return start
            self._take_line()

    def _add_to_line(self, data: bytes, start: int, end: int) -> None:
        self._line += data[start : min(end, start + LINE_BYTES - len(self._line))]
        self._line_bytes += end - start
        self._read_bytes += end - start
        if self._read_bytes > HEADERS_BYTES_LIMIT:
            raise ProtocolViolation(f"the peer sent headers of more than {HEADERS_BYTES_LIMIT} bytes")

    def _take_line(self) -> None:
        whole = len(self._line) == self._line_bytes
        line = bytes(self._line if _is_length(self._line) else self._line[:KEPT_LINE_BYTES]).decode(errors="replace")
        if whole:
            line = line.removesuffix("\r")
        self._line.clear()
        self._line_bytes = 0
        name, colon, value = line.partition(":")
        name = unescape(name)
        if not colon or name in self.headers:
            return
        if name not in _ALWAYS_KEPT:
            if self._kept == KEPT_HEADERS:
                return
            self._kept += 1
        self.headers[name] = unescape(value)


def _is_length(line: bytearray) -> bool:
    return line.startswith(b"content-length:")


class LongBody:
    """A body above the limit. ``length_bytes`` None: it ends with the first NUL."""

    def __init__(self, headers: dict[str, str], *, length_bytes: int | None) -> None:
        self.headers = headers
        self.kept = b""
        self.is_complete = False
        self._length_bytes = length_bytes
        self._read_bytes = 0

    @property
    def fault(self) -> str:
        return f"a body of {self._read_bytes} bytes"

    def read(self, data: bytes, start: int) -> int:
        """Return the position behind the frame, or the end of ``data`` while the body is not complete.

        Raises:
            ProtocolViolation: the body does not end where it should, or nowhere.
        """
        if self._length_bytes is None:
            end = data.find(b"\0", start)
        else:
            end = start + self._length_bytes - self._read_bytes
            end = -1 if end >= len(data) else end
        stop = len(data) if end < 0 else end
        if len(self.kept) < KEPT_BODY_BYTES:
            self.kept += data[start : min(stop, start + KEPT_BODY_BYTES - len(self.kept))]
        self._read_bytes += stop - start
        if self._read_bytes > BODY_BYTES_LIMIT:
            raise ProtocolViolation(f"the peer sent a body of more than {BODY_BYTES_LIMIT} bytes")
        if end < 0:
            return stop
        if data[end] != 0:
            raise ProtocolViolation(f"the peer sent a body that does not end where it said ({self._length_bytes} bytes)")
        self.is_complete = True
        return end + 1
