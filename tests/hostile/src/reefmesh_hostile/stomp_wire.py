"""STOMP 1.0 to 1.2 written byte by byte: an attacker sends what no client library would, and reads without any limit."""

import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh_components.ports import HOST
from reefmesh_hostile.wire_cut import WireCut

Headers = Sequence[tuple[str, str]]

ANSWER_SECONDS: Final = 10.0
READ_BYTES: Final = 1 << 16
UNESCAPES: Final = {"\\c": ":", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}
SENT_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class StompFrame:
    """``headers`` holds the first of repeated headers."""

    command: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One message to be sent: ``headers`` go out as they are, escaped as the connection's version says."""

    destination: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the broker said of one SEND: confirmed (``refusal`` empty), refused, or it closed the connection (``is_cut``)."""

    refusal: str = ""
    is_cut: bool = False

    @property
    def is_confirmed(self) -> bool:
        return not (self.refusal or self.is_cut)


class StompCut(WireCut):
    """The broker closed the connection, or answers no more."""


class StompConnection:
    """One connection. Bytes may be written as they are (``write``); ``send`` and ``subscribe`` keep to the protocol."""

    def __init__(
        self, port: int, *, user: str, password: str, version: str = "1.2", answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self.version = version
        self._timeout_seconds = answer_seconds
        self._socket = socket.create_connection((HOST, port), timeout=answer_seconds)
        self._unread = b""
        self._numbers = 0
        headers = [("login", user), ("passcode", password), ("host", HOST)]
        if version != "1.0":
            headers.append(("accept-version", version))
        self.write(encoded("CONNECT", headers, None, escapes=False))
        answer = self.next_frame()
        if answer is None or answer.command != "CONNECTED":
            raise StompCut(f"no login: {'' if answer is None else answer.headers.get('message', answer.command)}")

    def __enter__(self) -> "StompConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def write(self, data: bytes) -> None:
        """Raises StompCut."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise StompCut(str(error)) from error

    def frame(self, command: str, headers: Headers, body: bytes | None = None) -> None:
        self.write(encoded(command, headers, body, escapes=self.version != "1.0"))

    def send(self, destination: str, headers: Headers, body: bytes) -> Outcome:
        return self.send_all([Send(destination=destination, headers=headers, body=body)])[0]

    def send_all(self, sends: Iterable[Send]) -> list[Outcome]:
        """Send with a receipt each, some at once; return what the broker said of each, in order."""
        outcomes: list[Outcome] = []
        waiting: list[Send] = []
        for each in sends:
            waiting.append(each)
            if len(waiting) == SENT_AT_ONCE:
                outcomes += self._send_some(waiting)
                waiting = []
        return outcomes + (self._send_some(waiting) if waiting else [])

    def subscribe(self, destination: str, headers: Headers = (("ack", "auto"),)) -> None:
        """Return once the broker has confirmed. Raises StompCut when it refuses."""
        self._numbers += 1
        receipt = f"subscribed-{self._numbers}"
        self.frame("SUBSCRIBE", [("id", str(self._numbers)), ("destination", destination), ("receipt", receipt), *headers])
        early: list[StompFrame] = []
        while (answer := self.next_frame()) is not None:
            if answer.command == "ERROR":
                raise StompCut(answer.headers.get("message", "refused"))
            if answer.headers.get("receipt-id") == receipt:
                self._unread = b"".join(_as_bytes(frame) for frame in early) + self._unread
                return
            early.append(answer)
        raise StompCut("SUBSCRIBE was not confirmed")

    def next_frame(self, timeout_seconds: float | None = None) -> StompFrame | None:
        """Return the next frame; None when there is none in time. Raises StompCut."""
        deadline = time.monotonic() + (self._timeout_seconds if timeout_seconds is None else timeout_seconds)
        while True:
            self._unread = self._unread.lstrip(b"\r\n")
            if (found := _first_frame(self._unread, escapes=self.version != "1.0")) is not None:
                frame, end = found
                self._unread = self._unread[end:]
                return frame
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(READ_BYTES)
            except TimeoutError:
                return None
            except OSError as error:
                raise StompCut(str(error)) from error
            finally:
                self._socket.settimeout(self._timeout_seconds)
            if not data:
                raise StompCut("the broker closed the connection")
            self._unread += data

    def _send_some(self, sends: Sequence[Send]) -> list[Outcome]:
        outcomes: dict[str, Outcome] = {}
        receipts = []
        try:
            for each in sends:
                self._numbers += 1
                receipts.append(f"sent-{self._numbers}")
                headers = [("destination", each.destination), ("receipt", receipts[-1]), *each.headers]
                self.frame("SEND", headers, each.body)
            while len(outcomes) < len(sends) and (answer := self.next_frame()) is not None:
                receipt = answer.headers.get("receipt-id", "")
                if answer.command == "RECEIPT":
                    outcomes[receipt] = Outcome()
                elif answer.command == "ERROR":
                    outcomes[receipt] = Outcome(refusal=answer.headers.get("message", "refused")[:200])
        except StompCut:
            pass  # what has no answer is cut off
        return [outcomes.get(receipt, Outcome(is_cut=True)) for receipt in receipts] + [Outcome(is_cut=True)] * (
            len(sends) - len(receipts)
        )


def encoded(command: str, headers: Headers, body: bytes | None, *, escapes: bool) -> bytes:
    """Return a frame's bytes. Without ``escapes`` headers are written as they are, line breaks and all."""
    lines = [command]
    for name, value in headers:
        lines.append(f"{_escaped(name)}:{_escaped(value)}" if escapes else f"{name}:{value}")
    if body is None:
        return "\n".join([*lines, "", ""]).encode(errors="surrogateescape") + b"\0"
    lines.append(f"content-length:{len(body)}")
    return "\n".join([*lines, "", ""]).encode(errors="surrogateescape") + body + b"\0"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n").replace(":", "\\c")


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    parts, place = [], 0
    while place < len(text):
        pair = text[place : place + 2]
        parts.append(UNESCAPES.get(pair, text[place]))
        place += 2 if pair in UNESCAPES else 1
    return "".join(parts)


def _first_frame(data: bytes, *, escapes: bool) -> tuple[StompFrame, int] | None:
    head_end = data.find(b"\n\n")
    if head_end < 0:
        return None
    command, *lines = data[:head_end].decode(errors="replace").split("\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(_unescaped(name) if escapes else name, _unescaped(value) if escapes else value)
    begin = head_end + 2
    end = begin + int(headers["content-length"]) if "content-length" in headers else data.find(b"\0", begin)
    if end < begin or end >= len(data):
        return None
    return StompFrame(command=command, headers=headers, body=data[begin:end]), end + 1


def _as_bytes(frame: StompFrame) -> bytes:
    headers = [(name, value) for name, value in frame.headers.items() if name != "content-length"]
    return encoded(frame.command, headers, frame.body, escapes=True)
