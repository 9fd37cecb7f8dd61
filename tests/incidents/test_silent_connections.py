"""Connections that take the places of the pages and ask nothing: of a port scanner, a broken probe, somebody's purpose."""

import select
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from reefmesh_components.service_process import ServiceProcess

PLACES_OF_A_PEER = 16
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: pages\r\n\r\n"
LIMIT_SECONDS = 30.0
"""Sooner than who sends a byte a second has asked; alone on a machine it is less than 8."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("scoring")
    service = ServiceProcess(
        "scoring",
        name="scoring-1",
        broker_url="embedded://",
        store_url=f"sqlite:///{folder}/scoring.db",
        folder=folder,
    )
    service.start()
    service.wait_until_healthy()
    yield service
    service.kill()


@pytest.mark.row(2)
def test_64_silent_connections_of_one_address_hold_nobody_else_up(
    service: ServiceProcess, measured: Callable[[str], None]
) -> None:
    with ExitStack() as connections:
        _connect(connections, service, source="127.0.0.2", number=64)
        begun = time.monotonic()
        answers = [_answer(service, page) for page in ("/health", "/health/live", "/health/ready", "/metrics")]
        took = time.monotonic() - begun
        checked = service.check_health()

    assert ([200] * 4, 0) == (answers, checked)
    measured(f"64 of one address: four pages answered others within {took * 1000:.0f} ms, live and ready")


@pytest.mark.row(2)
def test_all_places_taken_by_connections_that_never_ask_are_free_again_after_a_while(
    service: ServiceProcess, measured: Callable[[str], None]
) -> None:
    with ExitStack() as connections:
        silent = _connect(connections, service, source="127.0.0.2", number=PLACES_OF_A_PEER)
        slow = _connect(connections, service, source="127.0.0.3", number=PLACES_OF_A_PEER)
        half = _connect(connections, service, source="127.0.0.4", number=PLACES_OF_A_PEER)
        kept = _connect(connections, service, source="127.0.0.5", number=PLACES_OF_A_PEER)
        for connection in half:
            connection.sendall(REQUEST[:20])
        for connection in kept:  # asked once, and kept open since
            connection.sendall(REQUEST)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        taken_at = time.monotonic()
        connections.callback(_trickle(slow).set)
        refused = _answer(service, "/health/live")
        checked = service.check_health()
        while _answer(service, "/health/live") != 200:
            assert time.monotonic() - taken_at < LIMIT_SECONDS
        free_after = time.monotonic() - taken_at
        for connection in (*silent, *slow, *half, *kept):
            _await_closing(connection, before=taken_at + LIMIT_SECONDS)
        closed_after = time.monotonic() - taken_at

    assert (None, 0) == (refused, checked)
    measured(
        "64 of four addresses (silent, a byte a second, half a request, kept open): --check-health answered meanwhile (0),"
        f" and the pages answered everybody again after {free_after:.1f} s;"
        f" the last of the 64 was closed after {closed_after:.1f} s"
    )


@pytest.mark.row(2)
@pytest.mark.incidents
def test_answers_that_nobody_reads_are_given_up(service: ServiceProcess, measured: Callable[[str], None]) -> None:
    with ExitStack() as connections:
        deaf = _connect(connections, service, source="127.0.0.2", number=PLACES_OF_A_PEER, receive_bytes=4096)
        for connection in deaf:
            connection.setblocking(False)
            connection.send(REQUEST.replace(b"/health/live", b"/metrics") * 500)
        begun = time.monotonic()
        slowest = 0.0
        while service.metric("reefmesh_page_connections_closed_total", reason="answer_timeout") < PLACES_OF_A_PEER:
            asked = time.monotonic()
            assert _answer(service, "/health/live") == 200
            slowest = max(slowest, time.monotonic() - asked)
            assert time.monotonic() - begun < 90
        closed_after = time.monotonic() - begun

    assert slowest < 5
    measured(f"16 that never read their answers were closed after {closed_after:.0f} s; others waited {slowest:.1f} s at most")


def _connect(
    connections: ExitStack, service: ServiceProcess, *, source: str, number: int, receive_bytes: int | None = None
) -> Sequence[socket.socket]:
    made = []
    for _ in range(number):
        connection = connections.enter_context(socket.socket())
        if receive_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(10)
        connection.bind((source, 0))
        connection.connect(("127.0.0.1", service.port))
        made.append(connection)
    return made


def _trickle(connections: Sequence[socket.socket]) -> threading.Event:
    """Send one byte a second on each until the event that this returns is set, or the last is closed."""
    stop = threading.Event()

    def send() -> None:
        for place in range(len(REQUEST)):
            if stop.wait(1.0):
                return
            _, writable, _ = select.select([], [each for each in connections if each.fileno() >= 0], [], 0)
            for connection in writable:
                try:
                    connection.send(REQUEST[place : place + 1])
                except OSError:  # closed by the pages, which is what is waited for
                    continue

    threading.Thread(target=send, name="trickle", daemon=True).start()
    return stop


def _await_closing(connection: socket.socket, *, before: float) -> None:
    connection.settimeout(max(before - time.monotonic(), 0.001))
    try:
        while connection.recv(4096):  # the rest of an answer
            continue
    except ConnectionResetError:
        return  # a byte of ours was on its way


def _answer(service: ServiceProcess, page: str) -> int | None:
    """Return the status; None when the connection is closed without one."""
    try:
        with urllib.request.urlopen(f"{service.url}{page}", timeout=10) as answer:  # noqa: S310 - an address of ours
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None
