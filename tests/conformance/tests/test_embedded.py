"""The embedded engine holds every law, with its journal in a file and in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reefmesh.broker.embedded.address import Address
from reefmesh.broker.embedded.client import EmbeddedBroker
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh_conformance import BrokerConformance, BrokerUnderTest, Capabilities


class EmbeddedUnderTest:
    """Clients of one engine. With a file, the engine closes with the last client and the next one opens it anew."""

    def __init__(self, address: Address) -> None:
        self.capabilities = Capabilities(restarts=address.path is not None, backlog_messages=3000)
        self._broker = EmbeddedBroker(address, clock=SystemClock())

    async def connect(self) -> EmbeddedBroker:
        client = self._broker.another_client()
        await client.connect()
        return client

    async def lose(self, client: Broker) -> None:
        await client.close()  # one process: a client cannot vanish alone; kill -9 of all is tested with the journal

    async def restart(self) -> None:
        """The suite has closed the clients, and with the last of them the journal."""

    async def keep(self) -> None:
        """Hold the engine open, for what is in memory only."""
        await self._broker.connect()

    async def close(self) -> None:
        await self._broker.close()


class TestEmbeddedFile(BrokerConformance):
    @pytest.fixture
    async def broker_under_test(self, tmp_path: Path) -> BrokerUnderTest:
        return EmbeddedUnderTest(Address(path=tmp_path / "journal.db"))


class TestEmbeddedFileWithASmallWindow(BrokerConformance):
    """The same when the memory holds a handful of messages and the rest is read from the journal again and again."""

    @pytest.fixture
    async def broker_under_test(self, tmp_path: Path) -> BrokerUnderTest:
        return EmbeddedUnderTest(Address(path=tmp_path / "journal.db", window_slots=12))


class TestEmbeddedMemory(BrokerConformance):
    @pytest.fixture
    async def broker_under_test(self) -> AsyncIterator[BrokerUnderTest]:
        under_test = EmbeddedUnderTest(Address())
        await under_test.keep()
        yield under_test
        await under_test.close()
