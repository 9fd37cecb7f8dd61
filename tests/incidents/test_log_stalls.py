"""Whoever reads the log's pipe stalls, as ``awslogs`` does in its blocking mode while its service is away."""

import json
import os
import select
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reefmesh_components.service_process import ServiceProcess
from reefmesh_incidents import misbehaving_scoring

PATIENCE_SECONDS = 60.0
DROPPED = "reefmesh_log_lines_dropped_total"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    """It logs to a named pipe; whoever wants to read it opens it first."""
    os.mkfifo(tmp_path / "scoring-1.log")
    service = ServiceProcess(
        "scoring",
        name="scoring-1",
        broker_url="embedded://",
        store_url=f"sqlite:///{tmp_path}/scoring.db",
        folder=tmp_path,
        command=(misbehaving_scoring.__file__, "talks"),
    )
    yield service
    service.kill()


@pytest.mark.row(6)
def test_pipe_that_nobody_reads_stops_neither_pages_nor_the_end(
    service: ServiceProcess, measured: Callable[[str], None]
) -> None:
    pipe = os.open(service.log, os.O_RDONLY | os.O_NONBLOCK)
    service.start()
    service.wait_until_healthy()
    _until_it_drops_more_than(service, 0)

    slowest = max(_seconds_of(service, page) for page in ("/health/live", "/health/ready", "/metrics") * 10)
    checked = service.check_health()
    dropped = service.metric(DROPPED, stream="stderr")
    begun = time.monotonic()
    told = _line_about_the_gap(pipe)
    told_after = time.monotonic() - begun

    _until_it_drops_more_than(service, service.metric(DROPPED, stream="stderr"))  # nobody reads again
    begun = time.monotonic()
    code = service.terminate()
    ended_after = time.monotonic() - begun
    os.close(pipe)

    assert (checked, code) == (0, 0)  # what a full pipe stops does not answer late, but never
    assert told >= dropped > 0
    measured(
        f"with a full pipe the pages answered within {slowest * 1000:.0f} ms, ready and live;"
        f" {told} lines were dropped, and one line told of them {told_after:.1f} s after the reader read again;"
        f" SIGTERM in front of a full pipe ended it with {code} after {ended_after:.1f} s"
    )


def _until_it_drops_more_than(service: ServiceProcess, lines: float) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while service.metric(DROPPED, stream="stderr") <= lines:
        assert time.monotonic() < deadline, "nothing is dropped"


def _seconds_of(service: ServiceProcess, page: str) -> float:
    begun = time.monotonic()
    with urllib.request.urlopen(f"{service.url}{page}", timeout=10) as answer:  # noqa: S310 - an address of ours
        answer.read()
    return time.monotonic() - begun


def _line_about_the_gap(pipe: int) -> int:
    """Read until it comes; return the number in it."""
    rest = b""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        select.select([pipe], [], [], PATIENCE_SECONDS)
        *lines, rest = (rest + os.read(pipe, 1024 * 1024)).split(b"\n")
        for line in map(json.loads, lines):
            if line["event"] == "log lines dropped":
                assert line["stream"] == "stderr"
                return int(line["lines"])
    raise AssertionError("nothing tells of the lines that were dropped")
