"""What no retry mends is one clear line and exit code 78, and the broker is not stormed."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from reefmesh_components.activemq import local_activemq
from reefmesh_components.either_broker import ACTIVEMQ, RABBITMQ, EitherBroker
from reefmesh_components.ports import HOST
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_components.service_process import ServiceProcess

EXIT_CONFIGURATION = 78
ATTEMPTS_LIMIT = 2
"""A service has two connections; whichever is refused first ends it."""
ENDS_WITHIN_SECONDS = 90
"""Half a minute on a machine that others use too, most of it until the process has read its code."""
LACKS_RIGHT = {
    ACTIVEMQ: ("not authorized", "Consumer.scoring.VirtualTopic.reef.readings"),
    RABBITMQ: ("refused", "reef.readings"),
}
"""What the line names, besides the right's lack."""


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
def plain(broker: EitherBroker) -> Iterator[Doorkeeper]:
    with Doorkeeper(urlsplit(broker.url()).port or 0) as keeper:
        yield keeper


@pytest.fixture
def over_tls(broker: EitherBroker) -> Iterator[Doorkeeper]:
    with Doorkeeper(urlsplit(broker.url(tls=True)).port or 0) as keeper:
        yield keeper


def address(broker: EitherBroker, keeper: Doorkeeper, credentials: str = "", *, tls: bool = False, parameters: str = "") -> str:
    """Return the address behind this keeper."""
    login = f"{credentials}@" if credentials else ""
    query = "&".join(part for part in (broker.parameters, parameters) if part)
    return f"{urlsplit(broker.url(tls=tls)).scheme}://{login}{HOST}:{keeper.port}" + (f"?{query}" if query else "")


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
    code = process.wait_until_ended(ENDS_WITHIN_SECONDS)
    lines = [line for line in process.log.read_text().splitlines() if not line.startswith("{")]
    assert (code, len(lines)) == (EXIT_CONFIGURATION, 1), process.log.read_text()
    assert "Traceback" not in process.log.read_text()
    return lines[0]


def test_wrong_password_is_one_line(broker: EitherBroker, plain: Doorkeeper, tmp_path: Path) -> None:
    environment = {"REEFMESH_BROKER_USERNAME": "scoring", "REEFMESH_BROKER_PASSWORD": "not-the-password"}
    line = refused(address(broker, plain), tmp_path, environment)
    assert "refused the login of scoring: wrong user name or password" in line
    assert "not-the-password" not in line
    assert plain.connections <= ATTEMPTS_LIMIT


def test_authority_that_is_not_trusted_is_one_line(broker: EitherBroker, over_tls: Doorkeeper, tmp_path: Path) -> None:
    line = refused(address(broker, over_tls, tls=True), tmp_path)
    assert "not trusted by this system's authorities" in line
    assert "ca=FILE" in line
    assert over_tls.connections <= ATTEMPTS_LIMIT


def test_certificate_for_another_name_is_one_line(broker: EitherBroker, over_tls: Doorkeeper, tmp_path: Path) -> None:
    ca = parse_qs(urlsplit(broker.url(tls=True)).query)["ca"][0]
    line = refused(address(broker, over_tls, tls=True, parameters=f"ca={quote(ca)}&server_name=reefs.example"), tmp_path)
    assert "the certificate is for another name" in line
    assert over_tls.connections <= ATTEMPTS_LIMIT


def test_user_without_the_right_is_one_line(broker: EitherBroker, plain: Doorkeeper, tmp_path: Path) -> None:
    """Alerts may not read what scoring reads."""
    credentials = urlsplit(broker.url("alerts")).netloc.rpartition("@")[0]
    line = refused(address(broker, plain, credentials), tmp_path)
    for words in LACKS_RIGHT[broker.kind]:
        assert words in line
    assert plain.connections <= ATTEMPTS_LIMIT


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
