"""What no retry mends is one clear line and exit code 78, and the broker is not stormed."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.ports import HOST
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_components.service_process import ServiceProcess

EXIT_CONFIGURATION = 78
ATTEMPTS_LIMIT = 2
"""A service has two connections; whichever is refused first ends it."""


class Doorkeeper:
    """Passes connections on to a port of the broker, and counts them."""

    def __init__(self, target: int) -> None:
        self.connections = 0
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Doorkeeper":
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._pass_on, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection(HOST, self._target)
        with contextlib.suppress(OSError):
            await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.fixture
def stomp(broker: ActivemqProcess) -> Iterator[Doorkeeper]:
    with Doorkeeper(broker.ports.stomp) as keeper:
        yield keeper


@pytest.fixture
def stomp_tls(broker: ActivemqProcess) -> Iterator[Doorkeeper]:
    with Doorkeeper(broker.ports.stomp_tls) as keeper:
        yield keeper


def refused(url: str, folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run scoring on this address and return its one line of standard error."""
    process = ServiceProcess(
        "scoring",
        name="scoring",
        broker_url=url,
        store_url=f"sqlite:///{folder / 'scoring.db'}",
        folder=folder,
        environment=environment,
    )
    process.start()
    code = process.wait_until_ended(30)
    lines = [line for line in process.log.read_text().splitlines() if not line.startswith("{")]
    assert (code, len(lines)) == (EXIT_CONFIGURATION, 1), process.log.read_text()
    assert "Traceback" not in process.log.read_text()
    return lines[0]


def test_wrong_password_is_one_line(stomp: Doorkeeper, tmp_path: Path) -> None:
    environment = {"REEFMESH_BROKER_USERNAME": "scoring", "REEFMESH_BROKER_PASSWORD": "not-the-password"}
    line = refused(f"stomp://{HOST}:{stomp.port}", tmp_path, environment)
    assert "refused the login of scoring: wrong user name or password" in line
    assert "not-the-password" not in line
    assert stomp.connections <= ATTEMPTS_LIMIT


def test_authority_that_is_not_trusted_is_one_line(broker: ActivemqProcess, stomp_tls: Doorkeeper, tmp_path: Path) -> None:
    line = refused(f"stomp+ssl://{HOST}:{stomp_tls.port}", tmp_path)
    assert "not trusted by this system's authorities" in line
    assert "ca=FILE" in line
    assert stomp_tls.connections <= ATTEMPTS_LIMIT


def test_certificate_for_another_name_is_one_line(broker: ActivemqProcess, stomp_tls: Doorkeeper, tmp_path: Path) -> None:
    ca = quote(str(broker.certificate.ca_file))
    line = refused(f"stomp+ssl://{HOST}:{stomp_tls.port}?ca={ca}&server_name=reefs.example", tmp_path)
    assert "the certificate is for another name" in line
    assert stomp_tls.connections <= ATTEMPTS_LIMIT


def test_user_without_the_right_is_one_line(broker: ActivemqProcess, stomp: Doorkeeper, tmp_path: Path) -> None:
    credentials = broker.url("alerts").removeprefix("stomp://").rpartition("@")[0]
    line = refused(f"stomp://{credentials}@{HOST}:{stomp.port}", tmp_path)
    assert "not authorized" in line
    assert "Consumer.scoring.VirtualTopic.reef.readings" in line
    assert stomp.connections <= ATTEMPTS_LIMIT


def test_broker_that_does_not_state_who_sent_a_message_is_one_line(tmp_path: Path) -> None:
    """Law 12: instead of parking everything that comes."""
    try:
        with local_activemq(edited=without_senders) as broker:
            line = refused(broker.url("scoring"), tmp_path)
    except ComponentMissing as missing:
        give_up(missing)
    assert "the broker does not state who sent a message" in line
    assert 'populateJMSXUserID="true"' in line


def without_senders(broker_xml: str) -> str:
    stated = 'populateJMSXUserID="true"'
    assert stated in broker_xml
    return broker_xml.replace(stated, 'populateJMSXUserID="false"')
