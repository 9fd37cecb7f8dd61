"""The door's listener: plain HTTP behind a load balancer, or TLS by itself; its connections are bounded in number and time."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import structlog
import uvicorn
from starlette.applications import Starlette

from reefmesh.errors import ConfigurationError
from reefmesh.observability.health import Check
from reefmesh.observability.page_connections import Closing, ConnectionLimits, PageConnections, PagesConfig

GRACE_SECONDS: Final = 30
"""For requests that are in hand when the gateway stops; longer than any of them may take."""
BACKLOG: Final = 256

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorAddress:
    """Where the door is. Port 0: any free one. ``tls`` None: plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, host: str, port: int, certificate: Path | None, key: Path | None) -> Self:
        """Read certificate and key.

        Raises:
            ConfigurationError: only one of them is given, or they cannot be used.
        """
        if certificate is None and key is None:
            return cls(host=host, port=port)
        if certificate is None or key is None:
            raise ConfigurationError("TLS needs both REEFMESH_GATEWAY_DOOR_CERTIFICATE_FILE and REEFMESH_GATEWAY_DOOR_KEY_FILE")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            tls.load_cert_chain(certificate, key)
        except OSError as error:  # ssl.SSLError is one
            why = error.strerror or str(error)
            raise ConfigurationError(f"cannot use the certificate {certificate} with the key {key}: {why}") from None
        return cls(host=host, port=port, tls=tls)


class _DoorServer(uvicorn.Server):
    """Uvicorn inside our loop, on one socket: it leaves signals alone, and bounds the time of a handshake."""

    def __init__(self, config: PagesConfig, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._tls = tls
        self._handshake_seconds = config.connections.limits.request_timeout_seconds
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        listener = (sockets or [])[0]  # always one: ours
        config = self.config

        def connection() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn calls it
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        handshake = None if self._tls is None else self._handshake_seconds
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            connection, sock=listener, ssl=self._tls, backlog=config.backlog, ssl_handshake_timeout=handshake
        )
        self.servers = [server]
        self.started = True
        self.listening.set()


class Door:
    """Give ``run`` to the service as a background task, ``check`` to its health."""

    def __init__(
        self, app: Starlette, address: DoorAddress, *, limits: ConnectionLimits, closed: Callable[[Closing], None]
    ) -> None:
        self._address = address
        self._config = PagesConfig(
            app,
            connections=PageConnections(limits, closed=closed),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self.opened = asyncio.Event()
        self.port: int | None = None
        """Where it listens, once it is ``opened``."""

    async def run(self, stop: asyncio.Event) -> None:
        """Let devices in until ``stop``, then answer what is in hand.

        Raises:
            ConfigurationError: it cannot listen there.
        """
        listener = _bind(self._address.host, self._address.port)
        server = _DoorServer(self._config, self._address.tls)
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="gateway/door")
        stopping = asyncio.create_task(stop.wait(), name="gateway/door stop")
        listening = asyncio.create_task(server.listening.wait(), name="gateway/door listening")
        try:
            await asyncio.wait({serving, stopping, listening}, return_when=asyncio.FIRST_COMPLETED)
            if server.listening.is_set():
                host, self.port = listener.getsockname()[:2]
                self.opened.set()
                log.info("door open", host=host, port=self.port, tls=self._address.tls is not None)
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            for task in (stopping, listening):
                task.cancel()
            await serving
            listener.close()
            self.opened.clear()
            log.info("door closed")

    async def check(self) -> Check:
        """Report whether the door is open."""
        if not self.opened.is_set():
            return Check(name="http door", status="failing", reason="it is not open")
        return Check(name="http door", status="ok", facts={"port": self.port})


def _bind(host: str, port: int) -> socket.socket:
    """Raises ConfigurationError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = {
            errno.EADDRINUSE: "the port is in use; set REEFMESH_GATEWAY_DOOR_PORT to a free one (0: any)",
            errno.EACCES: "no permission; set REEFMESH_GATEWAY_DOOR_PORT to 1024 or above",
            errno.EADDRNOTAVAIL: "this machine has no such address; set REEFMESH_GATEWAY_DOOR_HOST",
        }.get(error.errno or 0, f"{error.strerror or error}; set REEFMESH_GATEWAY_DOOR_HOST")
        raise ConfigurationError(f"cannot open the door at {host}:{port}: {why}") from None
