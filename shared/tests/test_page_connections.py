"""Whoever floods the pages of a service closes them to itself alone; the container's health check goes on."""

import asyncio
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from reefmesh.observability import own_listener, table
from reefmesh.observability.health import Health
from reefmesh.observability.health_check import check_health
from reefmesh.observability.http import PagesAddress, pages, serve
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.own_listener import SUPPORTED, connect_beside, listen_beside
from reefmesh.observability.page_connections import OWN_LISTENER, UNENDING, ConnectionLimits, PageConnections, peer_of
from reefmesh.observability.progress import Progress

PATIENT = ConnectionLimits(request_timeout_seconds=60.0)
HASTY = ConnectionLimits(request_timeout_seconds=0.05)
SYSTEM_PYTHON = shutil.which("python3", path="/usr/bin:/bin")
BIG_BYTES = 16_000_000


class NoticedMetrics(Metrics):
    """Metrics that set ``counted`` at the first count."""

    def __init__(self) -> None:
        super().__init__("scoring")
        self.counted = asyncio.Event()

    def count(self, row: table.Counter, *labels: str, amount: float = 1) -> None:
        super().count(row, *labels, amount=amount)
        self.counted.set()


@asynccontextmanager
async def served(limits: ConnectionLimits) -> AsyncIterator[tuple[PagesAddress, NoticedMetrics]]:
    async def big(_: Request) -> Response:
        return PlainTextResponse(b"x" * BIG_BYTES)

    async def endless(request: Request) -> Response:
        """Parts of the size that is asked for, until the peer goes."""
        request.scope[UNENDING] = True
        size = int(request.query_params["bytes"])

        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * size
                await asyncio.sleep(0.01)

        return StreamingResponse(parts())

    metrics = NoticedMetrics()
    app = pages([Health("scoring", Progress())], [metrics], routes=[Route("/big", big), Route("/endless", endless)])
    async with serve(app, metrics=metrics, limits=limits) as address:
        yield address, metrics


async def connected_from(source: str, address: PagesAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(address.host, address.port, local_addr=(source, 0))


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionResetError:
        return b""


async def checked(address: PagesAddress) -> tuple[int, str]:
    said = io.StringIO()
    environment = {"REEFMESH_HTTP_PORT": str(address.port)}
    return await asyncio.to_thread(
        check_health, "scoring", ["--check-health"], environment=environment, output=said
    ), said.getvalue()


def closed_for(metrics: Metrics, reason: str) -> float:
    return metrics.value(table.PAGE_CONNECTIONS_CLOSED, reason)


async def test_64_silent_connections_of_one_peer_leave_the_pages_to_the_others() -> None:
    async with served(PATIENT) as (address, metrics):
        silent = [await connected_from("127.0.0.2", address) for _ in range(64)]
        refused = [await until_closed(reader) for reader, _ in silent[16:]]
        async with httpx.AsyncClient(base_url=address.url) as client:
            answers = [(await client.get(path)).status_code for path in ("/health", "/health/live", "/metrics")]
        assert (answers, refused) == ([200, 200, 200], [b""] * 48)
        assert closed_for(metrics, "peer_limit") == 48
        assert await checked(address) == (0, "scoring: live\n")
        for _, writer in silent:
            writer.close()


@pytest.mark.skipif(not SUPPORTED, reason="abstract Unix sockets are Linux's")
async def test_flood_from_many_addresses_and_from_the_checks_own_leaves_the_check_alone() -> None:
    async with served(PATIENT) as (address, metrics):
        silent = [await connected_from(f"127.0.0.{peer}", address) for peer in (1, 2, 3, 4, 5) for _ in range(16)]
        assert [await until_closed(reader) for reader, _ in silent[64:]] == [b""] * 16
        assert closed_for(metrics, "limit") == 16
        assert await checked(address) == (0, "scoring: live\n")
        for _, writer in silent:
            writer.close()


async def test_connection_that_never_sends_is_closed() -> None:
    async with served(HASTY) as (address, metrics):
        reader, writer = await connected_from("127.0.0.1", address)
        assert await until_closed(reader) == b""
        assert closed_for(metrics, "request_timeout") == 1
        writer.close()


async def test_header_that_comes_in_drops_is_closed_in_the_same_time() -> None:
    async with served(replace(HASTY, request_timeout_seconds=0.3)) as (address, metrics):
        reader, writer = await connected_from("127.0.0.1", address)
        writer.write(b"GET /health HTTP/1.1\r\nhost: reef\r\n")
        end = asyncio.create_task(until_closed(reader))
        while not end.done():
            if not writer.is_closing():
                writer.write(b"x: y\r\n")
            await asyncio.wait({end}, timeout=0.02)
        assert (await end, closed_for(metrics, "request_timeout")) == (b"", 1)
        writer.close()


async def test_idle_connection_is_closed_after_its_answer() -> None:
    async with served(HASTY) as (address, metrics):
        reader, writer = await connected_from("127.0.0.1", address)
        writer.write(b"GET /health/live HTTP/1.1\r\nhost: reef\r\n\r\n")
        answer = await until_closed(reader)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (head.split(b"\r\n")[0], json.loads(body)["alive"]) == (b"HTTP/1.1 200 OK", True)
        assert closed_for(metrics, "request_timeout") == 1
        writer.close()


@pytest.mark.parametrize("connection", [b"keep-alive", b"close"])
async def test_peer_that_does_not_read_its_answer_is_closed(connection: bytes) -> None:
    async with served(ConnectionLimits(request_timeout_seconds=0.05, answer_timeout_seconds=0.1)) as (address, metrics):
        with closing(socket.create_connection((address.host, address.port))) as peer:
            peer.sendall(b"GET /big HTTP/1.1\r\nhost: reef\r\nconnection: " + connection + b"\r\n\r\n")
            async with asyncio.timeout(60):
                await metrics.counted.wait()
        assert closed_for(metrics, "answer_timeout") == 1


async def test_answer_without_an_end_goes_on_while_its_peer_reads_it() -> None:
    async with (
        served(ConnectionLimits(answer_timeout_seconds=0.02)) as (address, metrics),
        httpx.AsyncClient(base_url=address.url) as client,
        client.stream("GET", "/endless?bytes=1") as answer,
    ):
        parts = answer.aiter_bytes(1)
        assert [b"x"] * 50 == [await anext(parts) for _ in range(50)], "half a second, with a time-out every 0.02 s"
        assert closed_for(metrics, "answer_timeout") == 0


async def test_peer_that_does_not_read_an_answer_without_an_end_is_closed() -> None:
    async with served(ConnectionLimits(answer_timeout_seconds=0.1)) as (address, metrics):
        with closing(socket.create_connection((address.host, address.port))) as peer:
            peer.sendall(b"GET /endless?bytes=1000000 HTTP/1.1\r\nhost: reef\r\n\r\n")
            async with asyncio.timeout(60):
                await metrics.counted.wait()
        assert closed_for(metrics, "answer_timeout") == 1


async def test_closed_connections_make_room_for_others_of_the_peer() -> None:
    async with served(replace(PATIENT, for_each_peer=1)) as (address, metrics):
        for _ in range(5):
            async with httpx.AsyncClient(base_url=address.url) as client:
                assert (await client.get("/health/live", headers={"connection": "close"})).status_code == 200
        assert closed_for(metrics, "peer_limit") == 0


@pytest.mark.skipif(not SUPPORTED, reason="abstract Unix sockets are Linux's")
async def test_service_serves_though_somebody_took_the_name_of_its_second_listener() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with closing(_beside(port)):
        app = pages([Health("scoring", Progress())], [])
        async with serve(app, port=port) as address, httpx.AsyncClient(base_url=address.url) as client:
            assert (await client.get("/health/live")).status_code == 200


@pytest.mark.skipif(not SUPPORTED, reason="abstract Unix sockets are Linux's")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a process as another user")
@pytest.mark.skipif(SYSTEM_PYTHON is None, reason="the tests' own Python may be in a folder of root's")
async def test_another_user_neither_asks_the_listener_of_the_check_nor_answers_on_it() -> None:
    async with served(PATIENT) as (address, metrics):
        asks = f"c = socket.socket(socket.AF_UNIX); c.connect(own_listener_name('127.0.0.1', {address.port})); print(c.recv(1))"
        assert await asyncio.to_thread(as_nobody, asks) == "b''\n"
        assert closed_for(metrics, "other_user") == 1
        answered = f"print(connect_beside('127.0.0.1', {address.port}, timeout_seconds=5.0))"
        assert await asyncio.to_thread(as_nobody, answered) == "None\n"


def as_nobody(program: str) -> str:
    """Run the module of the listener and this program as a user who is neither root nor us."""
    source = f"{Path(own_listener.__file__).read_text(encoding='utf-8')}\n{program}\n"
    command = [str(SYSTEM_PYTHON), "-"]
    done = subprocess.run(command, input=source, user=65_534, cwd="/", env={}, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(not SUPPORTED, reason="abstract Unix sockets are Linux's")
def test_check_asks_the_pages_where_the_backlog_of_its_listener_is_full() -> None:
    with closing(_beside(1)) as listener, contextlib.ExitStack() as stack:
        waiting: list[socket.socket] = []
        while (connection := connect_beside("127.0.0.1", 1, timeout_seconds=1.0)) is not None:
            waiting.append(stack.enter_context(connection))
        assert (len(waiting) > 0, listener.fileno() >= 0) == (True, True)


def test_check_finds_no_listener_where_nobody_serves() -> None:
    assert connect_beside("127.0.0.1", 1, timeout_seconds=1.0) is None


def test_own_listener_has_places_when_all_others_are_taken() -> None:
    connections = PageConnections(ConnectionLimits(in_all=2, for_each_peer=2), closed=lambda _: None)
    asked: Sequence[str] = ["a", "b", "c", OWN_LISTENER, OWN_LISTENER, OWN_LISTENER]
    assert [connections.enter(peer) for peer in asked] == [None, None, "limit", None, None, "peer_limit"]
    connections.leave("a")
    assert connections.enter("c") is None


def test_ipv6_addresses_of_one_network_are_one_peer() -> None:
    addresses = ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1", "fe80::1%eth0"]
    assert [peer_of(each) for each in addresses] == [
        "2001:db8::/64",
        "2001:db8::/64",
        "2001:db8:0:1::/64",
        "192.0.2.1",
        "192.0.2.1",
        "fe80::/64",
    ]


def _beside(port: int) -> socket.socket:
    listener = listen_beside("127.0.0.1", port, backlog=1)
    assert listener is not None
    return listener
