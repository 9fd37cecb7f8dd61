"""A clock that tests set, a spool on it, and a gateway that answers as it is told."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reefmesh_buoy.clock import ClockReading
from reefmesh_buoy.measurement import Measurement, read_line
from reefmesh_buoy.spool import Spool

NOON_US = 1_780_000_000_000_000
"""2026-05-28, in microseconds since 1970."""
ACCEPTED = b'{"reports": [{"outcome": "accepted"}]}'


class SetClock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = ClockReading(wall_us=NOON_US, since_boot_us=3_600_000_000, boot_id="boot-1", is_set=True)

    def read(self) -> ClockReading:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        us = round(seconds * 1e6)
        self.now = replace(self.now, wall_us=self.now.wall_us + us, since_boot_us=self.now.since_boot_us + us)


def measured(celsius: float) -> Measurement:
    return read_line(json.dumps({"channels": {"sea_water_temperature": celsius}}).encode())


@dataclass
class ScriptedGateway:
    """Answers with the next of ``answers`` (status, headers, body), the last one again and again."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=lambda: [(202, {}, ACCEPTED)])
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def make_spool(tmp_path: Path) -> Iterator[Callable[..., Spool]]:
    made: list[Spool] = []

    def make(**options: Any) -> Spool:
        made.append(Spool(tmp_path / "spool.db", device="agent-1", **{"readings_limit": 100_000, **options}))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def measure() -> Callable[[float], Measurement]:
    return measured


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    scripted = ScriptedGateway()

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            scripted.requests.append(({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}}, body))
            status, headers, answer = scripted.answers.pop(0) if len(scripted.answers) > 1 else scripted.answers[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """A test's output needs no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    scripted.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield scripted
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def values_of() -> Callable[[bytes], Sequence[float]]:
    return lambda body: [each["channels"]["sea_water_temperature"] for each in json.loads(body)["readings"]]
