"""The pages: real sockets on the loopback, no signal handlers taken, mistakes in one line."""

import signal
import socket

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from reefmesh.errors import ConfigurationError
from reefmesh.observability import table
from reefmesh.observability.health import Check, Health
from reefmesh.observability.http import pages, serve
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress


async def test_pages_answer_on_a_free_port_and_leave_signals_alone() -> None:
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    metrics = Metrics("ingest")
    metrics.count(table.RECONNECTS)
    app = pages([Health("ingest", Progress())], [metrics])
    async with serve(app) as address, httpx.AsyncClient(base_url=address.url) as client:
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
        paths = ("/health", "/health/live", "/health/ready", "/metrics")
        health, live, ready, scrape = [await client.get(path) for path in paths]
    assert (health.status_code, health.json()["status"], health.json()["service"]) == (200, "ok", "ingest")
    assert (live.status_code, live.json()) == (200, {"alive": True, "reasons": []})
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
    assert 'reefmesh_reconnects_total{service="ingest"} 1.0' in scrape.text
    assert scrape.headers["content-type"].startswith("text/plain; version=")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port))


async def test_failing_service_answers_503_with_its_reason_among_several() -> None:
    failing = Health("scoring", Progress())

    async def probe() -> Check:
        return Check(name="store", status="failing", reason="disk full")

    failing.add("store", probe)
    app = pages([Health("ingest", Progress()), failing], [])
    async with serve(app) as address, httpx.AsyncClient(base_url=address.url) as client:
        answer, live, ready = [await client.get(path) for path in ("/health", "/health/live", "/health/ready")]
    assert (answer.status_code, answer.json()["status"]) == (503, "failing")
    assert answer.json()["services"]["ingest"]["status"] == "ok"
    assert answer.json()["services"]["scoring"]["reasons"] == ["store: disk full"]
    assert live.status_code == 200
    assert (ready.status_code, ready.json()) == (503, {"ready": False, "reasons": ["store: disk full"]})


async def test_draining_service_is_alive_and_not_ready() -> None:
    """Whoever routes work or replaces containers learns of the drain; nobody starts it again for it."""
    progress = Progress()
    progress.draining()
    async with serve(pages([Health("scoring", progress)], [])) as address, httpx.AsyncClient(base_url=address.url) as client:
        live, ready = [await client.get(path) for path in ("/health/live", "/health/ready")]
    assert (live.status_code, ready.status_code, ready.json()["reasons"]) == (200, 503, ["draining"])


async def test_port_in_use_is_an_operators_mistake_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=rf"cannot listen on 127.0.0.1:{port}: the port is in use; set REEFMESH_HTTP_PORT"
        ):
            async with serve(pages([], []), port=port):
                pass


async def test_foreign_address_is_an_operators_mistake_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match="set REEFMESH_HTTP_HOST"):
        async with serve(pages([], []), host="192.0.2.1"):
            pass


async def said(request: Request) -> Response:
    return PlainTextResponse(f"{request.method} {request.url.path}")


async def test_routes_of_a_service_are_served_beside_the_pages_that_every_service_has() -> None:
    routes = [Route("/", said), Route("/reefs/{reef}", said, methods=["GET"]), Route("/reefs/{reef}", said, methods=["POST"])]
    app = pages([Health("dashboard", Progress())], [], routes=[*routes, Mount("/files", routes=[Route("/a.css", said)])])
    async with serve(app) as address, httpx.AsyncClient(base_url=address.url) as client:
        own = [await client.get("/"), await client.get("/reefs/amed"), await client.post("/reefs/amed")]
        below, health, unknown = [await client.get(path) for path in ("/files/a.css", "/health", "/elsewhere")]
    assert ["GET /", "GET /reefs/amed", "POST /reefs/amed", "GET /files/a.css"] == [each.text for each in (*own, below)]
    assert ("dashboard", 404) == (health.json()["service"], unknown.status_code)


@pytest.mark.parametrize(
    ("routes", "why"),
    [
        ([Mount("/", routes=[Route("/", said)])], "the route / of a service hides /health"),
        ([Mount("/health", routes=[Route("/mine", said)])], "the route /health of a service hides /health"),
        ([Route("/metrics", said, methods=["POST"])], "the route /metrics of a service hides /metrics"),
        ([Route("/reefs", said), Route("/reefs", said)], "two routes answer GET /reefs"),
        ([Mount("/files", routes=[Route("/a", said)]), Route("/files", said)], "two routes have the path /files"),
    ],
    ids=["catch-all", "mount on health", "another method", "twice", "mount and route"],
)
def test_route_that_hides_a_page_or_another_route_is_refused(routes: list[Route | Mount], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pages([], [], routes=routes)
