"""Connections between processes and the broker: bytes in order, each way with delays; cut or closed at either end.

After a cut the two ends notice at different instants, and what is under way is lost: so a request may have been carried out
although its answer never comes. What a process wrote before it was killed may still arrive.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final, Protocol

from reefmesh_faults.simulation.loop import Process, VirtualLoop

DELAY_SECONDS: Final = (0.0002, 0.004)
NOTICE_SECONDS: Final = (0.0, 0.3)
"""How long an end takes to notice that the other is gone."""


class Peer(Protocol):
    """The broker's end of one connection."""

    def receive(self, data: bytes) -> None: ...

    def gone(self) -> None: ...


class Connection(asyncio.Transport):
    """The process's end; the other end is a ``Peer`` in the world."""

    def __init__(self, loop: VirtualLoop, random: Random, process: Process, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.process = process
        self.peer: Peer | None = None
        self._loop = loop
        self._random = random
        self._protocol = protocol
        self._inside = loop.context_of(process)
        self._outside = loop.context_of(loop.world)
        self._reaches_peer_at = self._reaches_process_at = 0.0
        self._is_closing = False
        self._peer_is_there = True

    @property
    def is_up(self) -> bool:
        return self._peer_is_there and not self._is_closing

    # what the process calls

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_closing and not self.process.was_killed:
            self._reaches_peer_at = self._arrival(self._reaches_peer_at)
            self._loop.call_at(self._reaches_peer_at, self._to_peer, bytes(data), context=self._outside)

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._reaches_peer_at = self._arrival(self._reaches_peer_at)
            self._loop.call_at(self._reaches_peer_at, self._peer_notices, context=self._outside)
            self._loop.call_soon(self._protocol.connection_lost, None, context=self._inside)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._is_closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever full here."""

    # what the world calls

    def send(self, data: bytes) -> None:
        """The peer writes."""
        if self._peer_is_there:
            self._reaches_process_at = self._arrival(self._reaches_process_at)
            self._loop.call_at(self._reaches_process_at, self._to_process, data, context=self._inside)

    def cut(self) -> None:
        """The wire is cut: each end notices in its own time."""
        self._loop.call_later(self._random.uniform(*NOTICE_SECONDS), self._peer_notices, context=self._outside)
        self._loop.call_later(self._random.uniform(*NOTICE_SECONDS), self._process_notices, context=self._inside)

    def drop(self) -> None:
        """The peer gives the connection up at once."""
        self._peer_notices()
        self._loop.call_later(self._random.uniform(*NOTICE_SECONDS), self._process_notices, context=self._inside)

    def died(self) -> None:
        """The process is gone; its kernel closes the connection."""
        self._loop.call_later(self._random.uniform(*NOTICE_SECONDS), self._peer_notices, context=self._outside)

    def _arrival(self, after: float) -> float:
        return max(after + 1e-9, self._loop.time() + self._random.uniform(*DELAY_SECONDS))

    def _to_peer(self, data: bytes) -> None:
        if self._peer_is_there and self.peer is not None:
            self.peer.receive(data)

    def _to_process(self, data: bytes) -> None:
        if not self._is_closing:
            self._protocol.data_received(data)

    def _peer_notices(self) -> None:
        if self._peer_is_there:
            self._peer_is_there = False
            if self.peer is not None:
                self.peer.gone()

    def _process_notices(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._protocol.connection_lost(ConnectionResetError("cut"))


class SimulatedNetwork:
    """All connections there are. ``accept`` makes the broker's end of a new one."""

    def __init__(self, loop: VirtualLoop, random: Random, accept: Callable[[Connection], Peer]) -> None:
        self.connections: list[Connection] = []
        self._loop = loop
        self._random = random
        self._accept = accept

    async def connect(
        self, process: Process, factory: Callable[[], asyncio.BaseProtocol]
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        await asyncio.sleep(self._random.uniform(*DELAY_SECONDS))
        protocol = factory()
        assert isinstance(protocol, asyncio.Protocol)
        connection = Connection(self._loop, self._random, process, protocol)
        connection.peer = self._accept(connection)
        self.connections = [each for each in self.connections if each.is_up]
        self.connections.append(connection)
        protocol.connection_made(connection)
        return connection, protocol

    def of(self, process: Process) -> list[Connection]:
        return [each for each in self.connections if each.process is process and each.is_up]
