"""The brokers of the matrix: how a client of each is opened, and which scenarios it does not offer."""

import asyncio
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from matrix_scenario import Scenario
from mesh_under_load import HEAP
from reefmesh.broker.connect import open_broker
from reefmesh.broker.embedded.engine import EmbeddedBroker
from reefmesh.broker.embedded.url import EmbeddedAddress
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh_components.activemq import local_activemq
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_components.rabbitmq import local_rabbitmq
from reefmesh_components.rabbitmq_process import RabbitmqProcess

ALWAYS_PERSISTENT: Final = "the client publishes everything persistent and confirmed"
NO_TRANSACTIONS: Final = "the engine publishes confirmed, but in no transaction; see confirmed_together"
SHARDS: Final = 8
"""Of a subscription that is alone on RabbitMQ."""


class Engine(ABC):
    """``name``: with its version, as the report says it; ``pid`` of a broker that is a process of its own."""

    name: str
    address: str
    pid: int | None = None

    @abstractmethod
    async def clients(self, scenario: Scenario, count: int) -> list[Broker]:
        """Return so many connected clients of one broker."""

    @abstractmethod
    def not_offered(self, scenario: Scenario) -> str | None:
        """Return why this engine has no such thing; None: it has."""


class Embedded(Engine):
    """Persistent: a journal on the disk, flushed at every commit. Not persistent: a journal in memory."""

    name = "reefmesh embedded"
    address = "embedded:///"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journals = 0

    async def clients(self, scenario: Scenario, count: int) -> list[Broker]:
        self._journals += 1
        path = self._folder / f"{self._journals}.db" if scenario.persistent else None
        first = EmbeddedBroker(EmbeddedAddress(path=path), clock=SystemClock())
        clients: list[Broker] = [first, *(first.another_client() for _ in range(count - 1))]
        for client in clients:
            await client.connect()
        return clients

    def not_offered(self, scenario: Scenario) -> str | None:
        return None


class RealEngine(Engine):
    """A process of its own; every client has connections of its own."""

    def __init__(self, process: ActivemqProcess | RabbitmqProcess, *, title: str, address: str) -> None:
        self._process = process
        self.name = f"{title} {process.version}"
        self.address = address
        self.pid = process.pid

    async def clients(self, scenario: Scenario, count: int) -> list[Broker]:
        url = self._process.url(parameters=self._parameters(scenario))
        clients: list[Broker] = [open_broker(url, clock=SystemClock()) for _ in range(count)]
        try:
            for client in clients:
                await client.connect()
        except BaseException:
            await asyncio.gather(*(client.close() for client in clients))
            raise
        return clients

    def not_offered(self, scenario: Scenario) -> str | None:
        return None if scenario.persistent else ALWAYS_PERSISTENT

    def _parameters(self, scenario: Scenario) -> str:
        return ""


class RabbitMQ(RealEngine):
    def not_offered(self, scenario: Scenario) -> str | None:
        return super().not_offered(scenario) or (NO_TRANSACTIONS if scenario.tx_size else None)

    def _parameters(self, scenario: Scenario) -> str:
        return f"shards={shards_for(scenario)}"


def shards_for(scenario: Scenario) -> int:
    """Return into how many queues a subscription is spread: at least one for each of its consumers, a power of two, and fewer
    where there are many subscriptions."""
    subscriptions = scenario.consumers if scenario.mode == "topic" else scenario.destinations
    each = max(2, SHARDS // subscriptions, scenario.consumers // subscriptions)
    return 1 << (each - 1).bit_length()


@contextmanager
def engine_of(broker: str) -> Iterator[Engine]:
    """Start a broker of this run's own. Raises ComponentMissing."""
    match broker:
        case "embedded":
            with tempfile.TemporaryDirectory(prefix="reefmesh-matrix-") as folder:
                yield Embedded(Path(folder))
        case "activemq":
            with local_activemq(heap=HEAP) as activemq:
                yield RealEngine(activemq, title="reefmesh on ActiveMQ", address="stomp://127.0.0.1")
        case _:
            with local_rabbitmq() as rabbitmq:
                yield RabbitMQ(rabbitmq, title="reefmesh on RabbitMQ", address="amqp://127.0.0.1")
