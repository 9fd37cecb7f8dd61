"""Connections to the door: half-open ones, slow bodies and unfinished handshakes end by themselves, and are counted."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from reefmesh.errors import ConfigurationError
from reefmesh.observability import table
from reefmesh_components.certificates import make_server_certificate
from reefmesh_gateway.door.listener import DoorAddress

QUICK = {"request_timeout_seconds": 0.2, "answer_timeout_seconds": 0.4}


@asynccontextmanager
async def connections(stage: Any, *sent: bytes) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open a connection for each, and send so much on it."""
    pairs = [await asyncio.open_connection("127.0.0.1", stage.door.port) for _ in sent]
    try:
        for (_, writer), text in zip(pairs, sent, strict=True):
            writer.write(text)
            await writer.drain()
        yield [reader for reader, _ in pairs]
    finally:
        for _, writer in pairs:
            writer.transport.abort()


async def heard(reader: asyncio.StreamReader) -> bytes:
    """Return what came until the connection ended, however it did."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_half_open_connections_and_slow_bodies_end_and_honest_requests_go_on(open_stage: Callable[..., Any]) -> None:
    """A connection that says nothing, half a header, and half the body of a device that showed its token."""
    async with open_stage(**QUICK) as stage:
        head = f"POST /v1/telemetry HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {stage.token}\r\n".encode()
        body = b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
        async with connections(stage, b"", head, head + body) as readers:
            assert 202 == (await stage.post(stage.report(), connection="close")).status_code
            assert [b"", b"", b""] == [await heard(reader) for reader in readers]
        closed = {
            why: stage.metrics.value(table.GATEWAY_CONNECTIONS_CLOSED, why) for why in ("request_timeout", "answer_timeout")
        }
        assert {"request_timeout": 2, "answer_timeout": 1} == closed
        assert [] == [each for each in await stage.arrived() if each.body == b"{"]


async def test_peer_has_its_number_of_connections(open_stage: Callable[..., Any]) -> None:
    async with open_stage(door_connections_each_limit=3) as stage:
        async with connections(stage, b"", b"", b""), connections(stage, b"") as (further,):
            assert b"" == await heard(further)
        assert 1 == stage.metrics.value(table.GATEWAY_CONNECTIONS_CLOSED, "peer_limit")


async def test_body_without_a_stated_length_is_cut_off_at_the_limit(stage: Any) -> None:
    head = f"POST /v1/telemetry HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {stage.token}\r\n"
    head += "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    async with connections(stage, head.encode() + 9 * chunk) as (reader,):
        assert b"HTTP/1.1 413" == (await reader.readexactly(12))


async def test_door_with_a_certificate_speaks_tls_and_unfinished_handshakes_end(
    open_stage: Callable[..., Any], tmp_path: Path
) -> None:
    certificate = make_server_certificate(tmp_path)
    tls = DoorAddress.of("127.0.0.1", 0, certificate.certificate_file, certificate.key_file).tls
    async with open_stage(tls=tls, **QUICK) as stage:
        context = ssl.create_default_context(cafile=str(certificate.ca_file))
        async with connections(stage, b"", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n") as readers:
            async with httpx.AsyncClient(verify=context, timeout=60) as client:
                url, headers = f"https://localhost:{stage.door.port}/v1/telemetry", {"authorization": f"Bearer {stage.token}"}
                assert 202 == (await client.post(url, json=stage.report(), headers=headers)).status_code
            assert not [said for said in [await heard(reader) for reader in readers] if b"HTTP" in said]


def test_certificate_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    certificate = make_server_certificate(tmp_path)
    given = certificate.certificate_file
    for file, key in ((given, None), (None, given), (given, given), (tmp_path / "none.pem", certificate.key_file)):
        with pytest.raises(ConfigurationError) as mistake:
            DoorAddress.of("127.0.0.1", 0, file, key)
        assert 1 == len(str(mistake.value).splitlines())
