"""SIGTERM while a service waits at its start: for another process that migrates, or for a server that does not answer."""

import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from reefmesh.store.postgresql import LOCK_SCHEMA
from reefmesh_components.service_process import ServiceProcess
from reefmesh_incidents.lone_service import lone_service

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
LIMIT_SECONDS, HEARD_SECONDS = 30.0, 3.0


@pytest.fixture
async def admin(postgresql_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(postgresql_url)
    yield connection
    await connection.close()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(LIMIT_SECONDS)
        yield listening


def ended(process: ServiceProcess) -> tuple[int, float]:
    """Ask it to end; return its exit code and after how many seconds it ended."""
    began = time.monotonic()
    process.ask_to_end()
    return process.wait_until_ended(LIMIT_SECONDS), time.monotonic() - began


@pytest.mark.row(8)
async def test_sigterm_while_another_process_migrates_is_heard_at_once(
    postgresql_schema_url: str,
    admin: "asyncpg.Connection[asyncpg.Record]",
    tmp_path: Path,
    measured: Callable[[str], None],
) -> None:
    schema = parse_qs(urlsplit(postgresql_schema_url).query)["schema"][0]
    async with admin.transaction():
        await admin.execute(LOCK_SCHEMA, schema)
        with lone_service(tmp_path, postgresql_schema_url) as process:
            while not await admin.fetchval(WAITING):
                assert process.pid is not None, process.last_words()
            code, seconds = ended(process)
    assert code == 0  # while the lock is held; whoever does not hear it is killed in the end
    measured(f"ended (exit 0) {seconds:.1f} s after SIGTERM, the lock still held")


@pytest.mark.row(8)
@pytest.mark.incidents
def test_sigterm_while_the_database_does_not_answer_is_heard_at_once(
    silent: socket.socket, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    with lone_service(tmp_path, f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d") as process:
        connection, _ = silent.accept()
        code, seconds = ended(process)
        connection.close()
    assert (code, seconds < HEARD_SECONDS) == (0, True)
    measured(f"a database that takes the connection and says nothing: {seconds:.1f} s")


@pytest.mark.row(8)
@pytest.mark.incidents
def test_sigterm_while_the_broker_does_not_answer_is_heard_at_once(
    silent: socket.socket, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    broker_url = f"stomp://u:p@127.0.0.1:{silent.getsockname()[1]}"
    with lone_service(tmp_path, f"sqlite:///{tmp_path}/store.db", broker_url=broker_url) as process:
        connection, _ = silent.accept()
        code, seconds = ended(process)
        connection.close()
    assert (code, seconds < HEARD_SECONDS) == (0, True)
    measured(f"such a broker: {seconds:.1f} s")
