"""``reefmesh advise`` at a mesh that runs: what it counts is what was sent, at its page and through a real Prometheus."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from reefmesh.observability import table
from reefmesh_components.ports import free_port
from reefmesh_components.reefmesh_command import ReefmeshCommand, Running
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_standalone.advising.measurement import MeshMeasurement
from reefmesh_standalone.advising.sources import client, from_pages, from_prometheus, samples_of

MESSAGES = 60
PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.1
BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=20)


@dataclass(slots=True)
class Mesh:
    command: ReefmeshCommand
    running: Running
    url: str
    folder: Path
    sent: int = 0

    def send(self) -> None:
        """Send messages of one reading, and wait until ingest has handled all."""
        payloads = []
        for number in range(self.sent, self.sent + MESSAGES):
            at = (BEGIN + timedelta(minutes=number)).isoformat().replace("+00:00", "Z")
            reading = {"observed_at": at, "position": None, "channels": {"sea_water_temperature": 28.0}, "faults": {}}
            payloads.append({"schema": "telemetry/1", "buoy_id": "b1", "seq": number + 1, "sent_at": at, "readings": [reading]})
        file = self.folder / "payloads.jsonl"
        file.write_text("\n".join(map(json.dumps, payloads)))
        ended = self.command("send", file, "--lines", "--format", "telemetry")
        assert ended.code == 0, ended.err
        self.sent += MESSAGES

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Wait on the process between two looks: its death ends the wait."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            assert time.monotonic() < until
            try:
                code = self.running.process.wait(timeout=LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"ended with {code}: {''.join(self.running.err)}")

    def handled(self, service: str) -> float:
        with urlopen(f"{self.url}/metrics", timeout=10) as answer:  # noqa: S310 - an address of ours
            found = samples_of(answer.read().decode(), self.url)
        name = table.MESSAGES_HANDLED.name
        return sum(value for each, labels, value in found if each == name and labels["service"] == service)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("advise")
    command, port = ReefmeshCommand(home=folder / "home"), free_port()
    command.register({"amed": ["b1"]})
    with command.running("up", "--port", str(port), "--log-level", "warning") as running:
        running.await_line("reefmesh is up")
        yield Mesh(command, running, f"http://127.0.0.1:{port}", folder)


@pytest.fixture
def prometheus_url(mesh: Mesh, tmp_path: Path) -> Iterator[str]:
    """A Prometheus that reads the mesh's page every second."""
    program = shutil.which("prometheus")
    if program is None:
        give_up(ComponentMissing("prometheus", why="no prometheus on the PATH", command="apt-get install prometheus"))
    address = f"127.0.0.1:{free_port()}"
    configuration = tmp_path / "prometheus.yml"
    target = mesh.url.removeprefix("http://")
    jobs = f"scrape_configs: [{{job_name: mesh, static_configs: [{{targets: ['{target}']}}]}}]"
    configuration.write_text(f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n{jobs}\n")
    process = subprocess.Popen(
        [
            program,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address={address}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)


def counts(measured: MeshMeasurement) -> dict[str, float]:
    return {
        service.name: each.handled_messages
        for service in measured.services
        for each in service.subscriptions
        if service.name in {"ingest", "scoring"}
    }


@pytest.mark.ci
async def test_advice_at_the_page_counts_what_was_sent(mesh: Mesh) -> None:
    async def load(_: float) -> None:
        before = {each: mesh.handled(each) for each in ("ingest", "scoring")}
        await asyncio.to_thread(mesh.send)
        for service, number in before.items():
            mesh.wait_until(lambda service=service, number=number: mesh.handled(service) >= number + MESSAGES)  # type: ignore[misc]  # bound

    async with client() as http:
        measured = await from_pages(http, [mesh.url], seconds=1, now=time.time, pause=load)
    assert {"ingest": MESSAGES, "scoring": MESSAGES} == counts(measured)
    ingest = next(each for each in measured.services if each.name == "ingest").subscriptions[0]
    assert MESSAGES == ingest.arrived_messages
    assert (1, 0) == (ingest.reefs, ingest.waiting_messages)
    assert 0 < ingest.mean_seconds * MESSAGES <= measured.seconds * ingest.lanes
    assert measured.shared_cpu_seconds is not None
    assert 0 < measured.shared_cpu_seconds


@pytest.mark.ci
async def test_advice_through_prometheus_counts_what_was_sent(mesh: Mesh, prometheus_url: str) -> None:
    def scraped(service: str) -> float | None:
        query = urlencode({"query": f'sum({table.MESSAGES_HANDLED.name}{{service="{service}"}}) or sum(up) - 1'})
        try:
            with urlopen(f"{prometheus_url}/api/v1/query?{query}", timeout=10) as answer:  # noqa: S310 - as above
                result = json.load(answer)["data"]["result"]
        except (URLError, ConnectionError):
            return None
        return float(result[0]["value"][1]) if result else None

    mesh.wait_until(lambda: scraped("ingest") == mesh.handled("ingest"))
    before = mesh.handled("scoring")
    mesh.send()
    mesh.wait_until(lambda: scraped("scoring") == before + MESSAGES)
    async with client() as http:
        measured = await from_prometheus(http, prometheus_url, seconds=3600)
    assert {"ingest": MESSAGES, "scoring": MESSAGES} == counts(measured)
    assert measured.source == f"Prometheus at {prometheus_url}"
    ended = mesh.command("advise", "--prometheus", prometheus_url, "--over", "1h", "--latency", "1h")
    assert "ingest: 1 task. " in ended.out, ended.err
