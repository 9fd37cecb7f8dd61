"""The pages a service shows to machines: ``/health``, ``/health/live``, ``/health/ready`` and ``/metrics``."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Generator, Sequence
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reefmesh.errors import ConfigurationError
from reefmesh.observability.health import Health
from reefmesh.observability.metrics import EXPOSITION_CONTENT_TYPE, Metrics, exposition, process_registry

GRACE_SECONDS = 2
CONNECTIONS_LIMIT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the pages really are; ``port`` is the one given by the system when 0 was asked for."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def pages(healths: Sequence[Health], metrics: Sequence[Metrics]) -> Starlette:
    """Return the application for these services.

    ``/health`` answers 200 while every service is ok or degraded, else 503; ``/health/live`` answers 503 only when
    starting the process again is the likely cure, ``/health/ready`` 503 while a service is failing or drains;
    ``/metrics`` is Prometheus text.
    """
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
        ],
    )


def _page(services: list[dict[str, object]]) -> dict[str, object]:
    if len(services) == 1:
        return services[0]
    order = ("ok", "degraded", "failing")
    worst = max((str(service["status"]) for service in services), key=order.index, default="ok")
    return {"status": worst, "services": {str(service["service"]): service for service in services}}


class _Server(uvicorn.Server):
    """Uvicorn inside our loop: signals stay the lifecycle's, and ``listening`` says when it answers."""

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
async def serve(app: Starlette, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Address]:
    """Serve ``app`` in the running loop while the context lasts; yields once it answers. Port 0: any free one.

    Raises:
        ConfigurationError: the address cannot be had (port in use, no permission, unknown host).
    """
    bound = _bind(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=CONNECTIONS_LIMIT,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]), name="http")
    try:
        listening = asyncio.create_task(server.listening.wait())
        await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            listening.cancel()
            task.result()
        name = bound.getsockname()
        yield Address(host=name[0], port=name[1])
    finally:
        server.should_exit = True
        await task
        bound.close()


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
