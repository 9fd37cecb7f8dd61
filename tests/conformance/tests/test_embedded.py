"""The embedded engine holds every law, with its journal in a file and in memory."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reefmesh.broker.embedded.engine import EmbeddedBroker
from reefmesh.broker.embedded.ownership import Ownership
from reefmesh.broker.embedded.url import EmbeddedAddress
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh_conformance import BrokerConformance, BrokerUnderTest, Capabilities


class EmbeddedUnderTest:
    """Clients of one engine, as they live in one process. With a file, the engine closes with the last client."""

    def __init__(self, address: EmbeddedAddress, *, backlog_messages: int = 3000) -> None:
        durable = address.path is not None
        self.capabilities = Capabilities(
            loses_clients=durable,  # what is in memory is lost with its process: there is nothing that another could find
            loses_clients_alone=False,
            restarts=durable,
            backlog_messages=backlog_messages,
        )
        self._address = address
        self._broker = EmbeddedBroker(address, clock=SystemClock())

    async def connect(self) -> EmbeddedBroker:
        client = self._broker.another_client()
        await client.connect()
        return client

    async def connect_as(self, user: str) -> EmbeddedBroker:
        raise NotImplementedError("nobody logs in at this engine")

    async def lose(self, client: Broker) -> None:
        """Kill the process: what comes next is another one that finds the files as the kill left them."""
        assert isinstance(client, EmbeddedBroker)
        assert self._address.path is not None
        kill(client, self._address.path)
        self._broker = EmbeddedBroker(self._address, clock=SystemClock())

    async def restart(self) -> None:
        """The suite has closed the clients, and with the last of them the journal: another process opens it."""
        assert self._address.path is not None
        Ownership(self._address.path).release()  # raises unless the journal was given up
        self._broker = EmbeddedBroker(self._address, clock=SystemClock())

    async def keep(self) -> None:
        """Hold the engine open, for what is in memory only."""
        await self._broker.connect()

    async def close(self) -> None:
        await self._broker.close()


def kill(client: EmbeddedBroker, journal: Path) -> None:
    """Tear the engine down and leave the files as kill -9 does: the log is not carried over into the database.

    SQLite does that when the last connection closes, so another connection is open meanwhile, and the files are copied.
    """
    files = [journal, journal.with_name(journal.name + "-wal")]
    onlooker = sqlite3.connect(journal)
    try:
        onlooker.execute("SELECT COUNT(*) FROM message").fetchone()
        client.abort()
        left_behind = [file.read_bytes() for file in files]
    finally:
        onlooker.close()
    assert all(left_behind)  # the log has what the database has not
    for file, content in zip(files, left_behind, strict=True):
        file.write_bytes(content)


class TestEmbeddedFile(BrokerConformance):
    @pytest.fixture
    async def broker_under_test(self, tmp_path: Path) -> BrokerUnderTest:
        return EmbeddedUnderTest(EmbeddedAddress(path=tmp_path / "journal.db"))


class TestEmbeddedFileWithASmallWindow(BrokerConformance):
    """The same when the memory holds a handful of messages and the rest is read from the journal again and again."""

    @pytest.fixture
    async def broker_under_test(self, tmp_path: Path) -> BrokerUnderTest:
        return EmbeddedUnderTest(EmbeddedAddress(path=tmp_path / "journal.db", window_slots=12), backlog_messages=1000)


class TestEmbeddedMemory(BrokerConformance):
    """In memory nothing outlives the process: the laws of a lost client and of a restarted broker do not apply."""

    @pytest.fixture
    async def broker_under_test(self) -> AsyncIterator[BrokerUnderTest]:
        under_test = EmbeddedUnderTest(EmbeddedAddress())
        await under_test.keep()
        yield under_test
        await under_test.close()
