"""Connections to the pages: how many there may be, and how long one may take for its request and for reading the answer."""

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from reefmesh.observability.own_listener import may_use_own_listener

Closing = Literal["request_timeout", "answer_timeout", "peer_limit", "limit", "other_user"]
"""Why we closed a connection; a value of the metric's label."""
UNENDING: Final = "reefmesh.unending"
"""An application sets this key of a request's scope before it answers with a stream that has no end."""
OWN_LISTENER: Final = "own listener"
"""The peer that all connections to the second listener count as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """``for_each_peer``: of one IPv4 address, of one /64 network of IPv6 addresses, and of the second listener.

    ``request_timeout_seconds`` bounds the time from the connection, or from the answer before, to a whole request header; bytes
    that trickle in do not extend it. ``answer_timeout_seconds`` bounds the time from there to the last byte of the answer. One
    without an end (``UNENDING``) goes on where the peer has read what there is when that time is over, again and again.
    """

    in_all: int = 64
    for_each_peer: int = 16
    request_timeout_seconds: float = 5.0
    answer_timeout_seconds: float = 30.0


class PageConnections:
    """Counts the open connections to the pages; those of the second listener are outside the limit of all."""

    def __init__(self, limits: ConnectionLimits, *, closed: Callable[[Closing], None]) -> None:
        self.limits = limits
        self.closed = closed
        self._by_peer: Counter[str] = Counter()

    def open_of(self, peer: str) -> int:
        return self._by_peer[peer]

    def enter(self, peer: str) -> Closing | None:
        """Count a new connection, or return why it has to be closed; then it is not counted."""
        if self._by_peer[peer] >= self.limits.for_each_peer:
            return "peer_limit"
        if peer != OWN_LISTENER and self._by_peer.total() - self._by_peer[OWN_LISTENER] >= self.limits.in_all:
            return "limit"
        self._by_peer[peer] += 1
        return None

    def leave(self, peer: str) -> None:
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]


class PagesConfig(uvicorn.Config):
    """Uvicorn's configuration; the one way to hand something to each of its connections."""

    def __init__(self, app: Any, *, connections: PageConnections, **options: Any) -> None:
        super().__init__(app, http=PageConnection, **options)
        self.connections = connections


class PageConnection(H11Protocol):
    """One connection. Uvicorn has a time-out between requests alone: none before the first, none for a request in pieces."""

    def __init__(self, config: PagesConfig, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        self._open = config.connections
        self._limits = config.connections.limits
        self._peer: str | None = None
        self._phase: Closing | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        peer, closing = self._admitted(transport.get_extra_info("socket"))
        if closing is not None:
            self._open.closed(closing)
            transport.abort()
            return
        self._peer = peer
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer is None:
            return
        self._open.leave(self._peer)
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._peer is None:
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        self._stop_watching()
        super().on_response_complete()
        self._watch()

    def _admitted(self, connection: socket.socket) -> tuple[str, Closing | None]:
        if connection.family is socket.AF_UNIX:
            peer = OWN_LISTENER
            if not may_use_own_listener(connection):
                return peer, "other_user"
        else:
            try:
                peer = peer_of(connection.getpeername()[0])
            except OSError:
                return "", "limit"  # it is gone already
        return peer, self._open.enter(peer)

    def _watch(self) -> None:
        """Give this connection its deadline for what it does now, unless it has it already."""
        answering = self.cycle is not None and not self.cycle.response_complete
        phase: Closing = "answer_timeout" if answering else "request_timeout"
        if phase != self._phase:
            self._start(phase)

    def _start(self, phase: Closing) -> None:
        self._stop_watching()
        self._phase = phase
        limits = self._limits
        seconds = limits.request_timeout_seconds if phase == "request_timeout" else limits.answer_timeout_seconds
        self._deadline = self.loop.call_later(seconds, self._expired)

    def _stop_watching(self) -> None:
        self._phase = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expired(self) -> None:
        if self._phase == "request_timeout" and self.transport.get_write_buffer_size():
            self._start("answer_timeout")  # uvicorn is done with the answer, and the peer still reads it
            return
        if self._phase == "answer_timeout" and self._is_read_without_end():
            self._start("answer_timeout")
            return
        if self._phase is not None:
            self._open.closed(self._phase)
        self.transport.abort()

    def _is_read_without_end(self) -> bool:
        """Tell whether the answer has no end, and the peer has read what there is of it."""
        unending = self.cycle is not None and UNENDING in self.cycle.scope
        return unending and not self.transport.get_write_buffer_size()


def peer_of(address: str) -> str:
    """Return what connections from this address are counted under: whoever has one IPv6 address has its whole /64."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((ip, 64), strict=False))
