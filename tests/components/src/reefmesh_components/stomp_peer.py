"""A peer that speaks STOMP as a script tells it: well, badly, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from reefmesh.broker.activemq.frames import CLIENT_COMMANDS, Frame, FrameParser, encode

SESSION: Final = "ID:peer-1-1700000000000-2:1"


@dataclass(slots=True)
class Client:
    """One connection as the peer sees it; ``frames`` are those it has read."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    frames: list[Frame] = field(default_factory=list)
    _parser: FrameParser = field(
        default_factory=lambda: FrameParser(body_bytes_limit=64 * 1024 * 1024, commands=CLIENT_COMMANDS)
    )
    _unread: list[Frame] = field(default_factory=list)

    async def next(self) -> Frame:
        """Return the next frame that the client sends. Raises ConnectionResetError when it has gone."""
        while not self._unread:
            data = await self.reader.read(65536)
            if not data:
                raise ConnectionResetError("the client closed")
            self._unread += self._parser.feed(data)
        frame = self._unread.pop(0)
        self.frames.append(frame)
        return frame

    async def until(self, command: str) -> Frame:
        while (frame := await self.next()).command != command:
            pass
        return frame

    def send(self, command: str, *headers: tuple[str, str], body: bytes | None = None) -> None:
        self.writer.write(encode(command, headers, body))

    def receipt(self, frame: Frame) -> None:
        """Confirm what asked to be confirmed."""
        if (receipt := frame.headers.get("receipt")) is not None:
            self.send("RECEIPT", ("receipt-id", receipt))

    def error(self, frame: Frame, message: str) -> None:
        self.send("ERROR", ("receipt-id", frame.headers["receipt"]), ("message", message), body=b"")

    async def log_in(self, *, heartbeat: str = "0,0") -> None:
        await self.until("CONNECT")
        self.send("CONNECTED", ("version", "1.2"), ("session", SESSION), ("heart-beat", heartbeat))

    async def serve(self) -> None:
        """Confirm everything for as long as the client is there."""
        while True:
            self.receipt(await self.next())

    async def stay_silent(self) -> None:
        """Read and say nothing until the client gives up."""
        while await self.reader.read(65536):
            pass

    def reset(self) -> None:
        """End the connection with a reset, as a crashed machine's kernel does."""
        self.writer.transport.abort()


Script = Callable[[Client], Awaitable[None]]


@asynccontextmanager
async def stomp_peer(*scripts: Script) -> AsyncIterator[str]:
    """Yield the peer's address (``127.0.0.1:port``). The n-th connection runs the n-th script, later ones the last."""
    connections = 0
    running: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        script = scripts[min(connections, len(scripts) - 1)]
        connections += 1
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await script(Client(reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
