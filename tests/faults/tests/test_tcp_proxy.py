"""A proxy changes when bytes arrive and whether they do, never what they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import pytest

from reefmesh_faults.tcp_proxy import HOST, TcpProxy, Weather

PATIENCE_SECONDS = 60.0


@dataclass
class Peer:
    """Keeps what it hears, and answers it in capitals."""

    heard: bytearray = field(default_factory=bytearray)
    pieces: list[int] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                self.heard += data
                self.pieces.append(len(data))
                async with self.came:
                    self.came.notify_all()
                writer.write(data.upper())
        except ConnectionError:
            self.pieces.append(0)
        finally:
            writer.close()

    async def until_heard(self, wanted: bytes) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self.came:
            await self.came.wait_for(lambda: bytes(self.heard) == wanted)


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[TcpProxy, Peer]]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    async with TcpProxy(lambda: port, random=Random(1)) as proxy:
        yield proxy, peer
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def connected(proxy: TcpProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader, length: int) -> bytes:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await reader.readexactly(length)


async def until_over(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await reader.read(1024):
            pass


TEXT = bytes(Random(2).choices(b"abcdefgh", k=30_000))


@pytest.mark.parametrize(
    "weather",
    [
        Weather(),
        Weather(delay_seconds=0.01),
        Weather(splits=True),
        Weather(merges_seconds=0.05),
        Weather(bytes_per_second=300_000.0),
        Weather(splits=True, merges_seconds=0.02, delay_seconds=0.005),
    ],
    ids=["fair", "delay", "split", "merge", "throttle", "all"],
)
async def test_bytes_arrive_whole_and_in_order_in_every_weather(weather: Weather) -> None:
    async with proxied() as (proxy, peer), connected(proxy) as (reader, writer):
        proxy.turn(weather)
        writer.write(TEXT)
        assert TEXT.upper() == await answer(reader, len(TEXT))
        assert TEXT == bytes(peer.heard)


async def test_silent_proxy_passes_nothing_on_until_it_is_healed() -> None:
    async with proxied() as (proxy, peer), connected(proxy) as (reader, writer):
        writer.write(b"before")
        assert b"BEFORE" == await answer(reader, 6)
        proxy.turn(Weather(silent=frozenset({"back"})))
        writer.write(b"hello")
        await peer.until_heard(b"beforehello")  # the way there is open; the answer is under way now
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.readexactly(5)
        proxy.heal()
        assert b"HELLO" == await answer(reader, 5)


async def test_cut_ends_every_connection_and_new_ones_are_taken() -> None:
    async with proxied() as (proxy, _), connected(proxy) as (reader, writer):
        writer.write(b"a")
        assert b"A" == await answer(reader, 1)
        proxy.cut()
        await until_over(reader)
        async with connected(proxy) as (again, other):
            other.write(b"b")
            assert b"B" == await answer(again, 1)


async def test_reset_is_an_error_for_who_waits() -> None:
    async with proxied() as (proxy, _), connected(proxy) as (reader, writer):
        writer.write(b"a")
        assert b"A" == await answer(reader, 1)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await until_over(reader)


async def test_refusing_proxy_closes_who_comes_until_it_is_healed() -> None:
    async with proxied() as (proxy, peer):
        proxy.turn(Weather(refuses=True))
        async with connected(proxy) as (reader, _):
            await until_over(reader)
        assert b"" == bytes(peer.heard)
        proxy.heal()
        async with connected(proxy) as (reader, writer):
            writer.write(b"c")
            assert b"C" == await answer(reader, 1)


async def test_peer_that_is_gone_ends_the_connection() -> None:
    async with TcpProxy(lambda: 1, random=Random(1)) as proxy, connected(proxy) as (reader, _):
        await until_over(reader)
        assert (1, 0) == (proxy.accepted, proxy.connections)
