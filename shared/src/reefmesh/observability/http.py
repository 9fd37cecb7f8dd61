"""The HTTP pages of a service: ``/health``, ``/health/live``, ``/health/ready``, ``/metrics``, and those that it adds."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Mount, Route

from reefmesh.errors import ConfigurationError
from reefmesh.observability import table
from reefmesh.observability.health import Health
from reefmesh.observability.metrics import EXPOSITION_CONTENT_TYPE, Metrics, exposition, process_registry
from reefmesh.observability.own_listener import listen_beside
from reefmesh.observability.page_connections import Closing, ConnectionLimits, PageConnections, PagesConfig
from reefmesh.observability.unblocked_output import dropped_lines_counter

GRACE_SECONDS: Final = 2
BACKLOG: Final = 64
"""Connections that the kernel keeps for us; also how many asyncio accepts at once, before the first is counted."""
RESERVED_PATHS: Final = ("/health", "/health/live", "/health/ready", "/metrics")

log = structlog.get_logger()

PageRoute = Route | Mount
"""A page, or a whole ASGI application below a path, that a service adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesAddress:
    """Where the pages are served; for port 0, ``port`` is the one that the system chose."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def pages(healths: Sequence[Health], metrics: Sequence[Metrics], *, routes: Sequence[PageRoute] = ()) -> Starlette:
    """Return the application for these services; ``routes`` are the pages that they add.

    ``/health`` answers 200 while every service is ok or degraded, else 503; ``/health/live`` answers 503 only when
    starting the process again is the likely cure, ``/health/ready`` 503 while a service is failing or drains;
    ``/metrics`` is Prometheus text.

    Raises:
        ValueError: one of ``routes`` would hide a page that every service has, or two of them have the same path.
    """
    refuse_hidden_pages(routes)
    process = process_registry()

    async def health(_: Request) -> Response:
        reports = await asyncio.gather(*(each.report() for each in healths))
        failing = any(report.status == "failing" for report in reports)
        return JSONResponse(_page([report.as_json() for report in reports]), status_code=503 if failing else 200)

    async def live(_: Request) -> Response:
        reports = await asyncio.gather(*(each.report() for each in healths))
        dead = [report for report in reports if not report.alive]
        reasons = [reason for report in dead for reason in report.reasons]
        return JSONResponse({"alive": not dead, "reasons": reasons}, status_code=503 if dead else 200)

    async def ready(_: Request) -> Response:
        reports = await asyncio.gather(*(each.report() for each in healths))
        unready = [report for report in reports if not report.ready]
        reasons = [reason for report in unready for reason in report.reasons]
        return JSONResponse({"ready": not unready, "reasons": reasons}, status_code=503 if unready else 200)

    async def scrape(_: Request) -> Response:
        return Response(await exposition(metrics, process=process), headers={"content-type": EXPOSITION_CONTENT_TYPE})

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", scrape),
            *routes,
        ],
    )


def refuse_hidden_pages(routes: Sequence[PageRoute]) -> None:
    """Refuse routes that answer for a page that every service has (a catch-all does, too), and two with the same path.

    Raises:
        ValueError: names the route.
    """
    for path in RESERVED_PATHS:
        scope: dict[str, Any] = {"type": "http", "path": path, "root_path": "", "method": "GET", "headers": []}
        for route in routes:
            if route.matches(scope)[0] is not Match.NONE:
                raise ValueError(f"the route {route.path or '/'} of a service hides {path}; give it another path")
    taken: set[tuple[str, str]] = set()
    mounted = {route.path for route in routes if isinstance(route, Mount)}
    for route in routes:
        if isinstance(route, Mount):
            continue
        if route.path in mounted:
            raise ValueError(f"two routes have the path {route.path}; give one of them another path")
        for method in sorted(route.methods or ()):
            if (route.path, method) in taken:
                raise ValueError(f"two routes answer {method} {route.path}; give one of them another path")
            taken.add((route.path, method))


def _page(services: list[dict[str, object]]) -> dict[str, object]:
    if len(services) == 1:
        return services[0]
    order = ("ok", "degraded", "failing")
    worst = max((str(service["status"]) for service in services), key=order.index, default="ok")
    return {"status": worst, "services": {str(service["service"]): service for service in services}}


class _Server(uvicorn.Server):
    """Uvicorn inside our loop: it leaves signals to the lifecycle and sets ``listening`` once it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextlib.asynccontextmanager
async def serve(
    app: Starlette,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    metrics: Metrics | None = None,
    limits: ConnectionLimits | None = None,
) -> AsyncIterator[PagesAddress]:
    """Serve ``app`` in the running loop while the context lasts; yields once it answers. Port 0: any free one.

    It is served on a second listener, too, which ``--check-health`` uses (see ``own_listener``). ``metrics`` counts the
    connections that we close for their time or their number, and the lines of the log that the process dropped.

    Raises:
        ConfigurationError: it cannot listen there (port in use, no permission, unknown host).
    """

    def closed(why: Closing) -> None:
        if metrics is not None:
            metrics.count(table.PAGE_CONNECTIONS_CLOSED, why)

    if metrics is not None:
        metrics.add_sampler(dropped_lines_counter(metrics))
    bound = _bind(host, port)
    listeners = [bound, *_listeners_beside(bound)]
    config = PagesConfig(
        app,
        connections=PageConnections(limits or ConnectionLimits(), closed=closed),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,  # uvicorn would believe whoever connects from this machine
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=listeners), name="http")
    try:
        listening = asyncio.create_task(server.listening.wait())
        await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            listening.cancel()
            task.result()
        name = bound.getsockname()
        yield PagesAddress(host=name[0], port=name[1])
    finally:
        server.should_exit = True
        await task
        for listener in listeners:
            listener.close()


def _listeners_beside(bound: socket.socket) -> list[socket.socket]:
    host, port = bound.getsockname()[:2]
    try:
        beside = listen_beside(host, port, backlog=BACKLOG)
    except OSError as error:
        log.warning("no listener for the health check alone", reason=str(error))
        return []
    return [beside] if beside is not None else []


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        why = {
            errno.EADDRINUSE: "the port is in use; set REEFMESH_HTTP_PORT to a free one (0: any)",
            errno.EACCES: "no permission; set REEFMESH_HTTP_PORT to 1024 or above",
            errno.EADDRNOTAVAIL: "this machine has no such address; set REEFMESH_HTTP_HOST",
        }.get(error.errno or 0, "unknown host; set REEFMESH_HTTP_HOST" if isinstance(error, socket.gaierror) else str(error))
        raise ConfigurationError(f"cannot listen on {host}:{port}: {why}") from error
    except OverflowError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: a port is 0 to 65535; set REEFMESH_HTTP_PORT") from error
