"""A TCP proxy between two parts of the mesh that can be slow, silent or gone: one for each process and each peer.

Faults concern all connections through it, those that are open and those that come while the fault lasts. ``heal`` ends them;
what a silent proxy kept is then passed on, as a network does that was only slow.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Final, Literal, Self

HOST: Final = "127.0.0.1"
CHUNK_BYTES: Final = 65_536
CONNECT_TIMEOUT_SECONDS: Final = 5.0
SPLIT_BYTES_LIMIT: Final = 64
"""Most that is written at once while writes are split."""
SPLIT_BYTES_TOTAL: Final = 16_384
"""Splitting goes so far into each chunk; the rest follows whole, or a burst would take minutes."""

Direction = Literal["there", "back"]
"""``there``: from the one that connects to its peer; ``back``: the peer's answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How the network is. ``delay_seconds`` for each chunk; ``silent``: directions in which nothing arrives; ``refuses``: new
    connections are closed at once; ``bytes_per_second`` 0: no limit; ``splits``: chunks come in pieces of random length;
    ``merges_seconds``: what comes within so long is passed on together."""

    delay_seconds: float = 0.0
    silent: frozenset[Direction] = frozenset()
    refuses: bool = False
    bytes_per_second: float = 0.0
    splits: bool = False
    merges_seconds: float = 0.0


FAIR: Final = Weather()


class TcpProxy:
    """Listens on a port of the loopback for as long as it is open; ``target_port`` is asked at each connection."""

    def __init__(self, target_port: Callable[[], int], *, random: Random) -> None:
        self._target_port = target_port
        self._random = random
        self._weather = FAIR
        self._changed = asyncio.Event()
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.accepted = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, 0, limit=CHUNK_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut everything and stop listening. Idempotent."""
        if self._server is not None:
            self._server.close()
        self._server = None
        tasks = [connection.task for connection in self._connections]
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def weather(self) -> Weather:
        return self._weather

    @property
    def connections(self) -> int:
        return len(self._connections)

    def turn(self, weather: Weather) -> None:
        """Make it so from now on."""
        self._weather = weather
        self._changed.set()
        self._changed = asyncio.Event()

    def heal(self) -> None:
        self.turn(FAIR)

    def cut(self) -> None:
        """Close all connections, as a peer that ends does (FIN)."""
        for connection in list(self._connections):
            connection.end()

    def reset(self) -> None:
        """Close all connections hard (RST): what was under way is lost."""
        for connection in list(self._connections):
            connection.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._weather.refuses:
            writer.close()
            return
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served by a task")
        connection = _Connection(task, writer)
        self._connections.add(connection)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                answers, peer = await asyncio.open_connection(HOST, self._target_port(), limit=CHUNK_BYTES)
            connection.writers.append(peer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, peer, "there"))
                both.create_task(self._carry(answers, writer, "back"))
        except (OSError, TimeoutError, asyncio.CancelledError, ExceptionGroup):
            connection.broken = True  # one side is gone: so is the other
        finally:
            self._connections.discard(connection)
            connection.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction) -> None:
        while data := await reader.read(CHUNK_BYTES):
            weather = await self._until_heard(direction)
            if weather.merges_seconds:
                data += await _more(reader, weather.merges_seconds)
            if weather.delay_seconds:
                await asyncio.sleep(weather.delay_seconds)
            for piece in self._pieces(data, weather):
                weather = await self._until_heard(direction)
                writer.write(piece)
                await writer.drain()
                if weather.splits:
                    await asyncio.sleep(0)
                if weather.bytes_per_second:
                    await asyncio.sleep(len(piece) / weather.bytes_per_second)
        raise ConnectionResetError  # the end of one direction ends both: none of our protocols half-closes

    async def _until_heard(self, direction: Direction) -> Weather:
        """Wait while that direction is silent."""
        while direction in self._weather.silent:
            await self._changed.wait()
        return self._weather

    def _pieces(self, data: bytes, weather: Weather) -> Iterator[bytes]:
        if weather.bytes_per_second:
            step = max(1, int(weather.bytes_per_second / 20))
            yield from (data[start : start + step] for start in range(0, len(data), step))
            return
        start = 0
        while weather.splits and start < min(len(data), SPLIT_BYTES_TOTAL):
            length = self._random.randint(1, SPLIT_BYTES_LIMIT)
            yield data[start : start + length]
            start += length
        if start < len(data):
            yield data[start:]


class _Connection:
    """One client's connection and ours to its peer."""

    def __init__(self, task: "asyncio.Task[None]", writer: asyncio.StreamWriter) -> None:
        self.task = task
        self.writers = [writer]
        self.broken = False

    def end(self) -> None:
        self.task.cancel()

    def reset(self) -> None:
        for writer in self.writers:
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):  # gone already
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self.task.cancel()

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


async def _more(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """Return what else comes within so long."""
    more = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while len(more) < CHUNK_BYTES and (data := await reader.read(CHUNK_BYTES)):
                more += data
    return more
