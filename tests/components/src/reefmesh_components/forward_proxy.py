"""A forward proxy, as a network has it whose machines reach nothing else; and a receiver of webhooks beyond it."""

import asyncio
import base64
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from reefmesh_components.certificates import ServerCertificate
from reefmesh_components.ports import HOST


class ForwardProxy:
    """Speaks CONNECT. ``hosts``: the names that it resolves, each to a port of this machine; it has no way to any other.

    ``credentials``: user name and password that it asks for, if any. ``certificate``: it is asked by HTTPS.
    ``asked``: the request lines of those that had the credentials.
    """

    def __init__(
        self,
        *,
        hosts: Mapping[str, int],
        credentials: tuple[str, str] | None = None,
        certificate: ServerCertificate | None = None,
    ) -> None:
        self._hosts = hosts
        self._tls = None if certificate is None else _context(certificate)
        self._authorization = None
        if credentials is not None:
            self._authorization = "basic " + base64.b64encode(":".join(credentials).encode()).decode()
        self.asked: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            offered = headers.get("proxy-authorization", "")
            if self._authorization is not None and offered.replace("Basic", "basic") != self._authorization:
                await _answer(writer, "407 Proxy Authentication Required")
                return
            self.asked.append(f"{method} {target}")
            port = self._hosts.get(target.rpartition(":")[0])
            if method != "CONNECT" or port is None:
                await _answer(writer, "502 Bad Gateway")
                return
            there, to_there = await asyncio.open_connection(HOST, port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            try:
                await asyncio.gather(_pass_on(reader, to_there), _pass_on(there, writer))
            finally:
                to_there.close()
        except (OSError, asyncio.IncompleteReadError):
            return  # either side is gone
        finally:
            writer.close()


class HookReceiver:
    """An HTTPS server that takes whatever is posted; ``bodies``: what was."""

    def __init__(self, certificate: ServerCertificate) -> None:
        self._context = _context(certificate)
        self.bodies: list[bytes] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            self.bodies.append(await reader.readexactly(length))
            await _answer(writer, "200 OK")
        except (OSError, asyncio.IncompleteReadError):
            return  # the client is gone
        finally:
            writer.close()


def _context(certificate: ServerCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    return context


async def _answer(writer: asyncio.StreamWriter, status: str) -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    await writer.drain()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
