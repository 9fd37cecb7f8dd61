"""The RabbitMQ engine holds every law on a real broker, plain and over TLS."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from reefmesh.broker.port import Broker
from reefmesh.broker.rabbitmq.connection import Connection
from reefmesh.broker.rabbitmq.engine import RabbitMQBroker
from reefmesh.broker.rabbitmq.slots import ShardSlots
from reefmesh.broker.rabbitmq.topology import Topology
from reefmesh.broker.rabbitmq.url import RabbitMQAddress
from reefmesh.clock import SystemClock
from reefmesh.contracts.channels import Subscription
from reefmesh_components.rabbitmq import RabbitmqServer
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_conformance import BrokerConformance, BrokerUnderTest, Capabilities
from reefmesh_conformance.drain import DrainLaw
from reefmesh_conformance.order import OrderLaw
from reefmesh_conformance.settlement import SettlementLaw

pytestmark = pytest.mark.timeout(180)  # the first of them starts the broker; some restart it


class Client(RabbitMQBroker):
    """Notes in ``made`` what it declares."""

    def __init__(self, url: str, made: set[Subscription]) -> None:
        super().__init__(url, clock=SystemClock())
        self._made = made

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        self._made.update(subscriptions)
        await super().declare(subscriptions)


class RabbitmqUnderTest:
    """``shards``: few, so that several reefs of a test share one, as the many reefs of a mesh do; and so that a subscription is
    made quickly. What a test makes is removed after it: some thousand quorum queues make the broker slow."""

    def __init__(self, url: str, process: RabbitmqProcess | None, *, shards: int, backlog_messages: int) -> None:
        self.capabilities = Capabilities(
            takes_ahead=True,
            returns_in_order=True,
            authenticates=True,
            consumers_at_work=shards,
            place_of=lambda reef_id: ShardSlots.of(reef_id, shards=shards),
            repeats_after_loss=True,
            restarts=process is not None,
            backlog_messages=backlog_messages,
        )
        self._parameters = f"shards={shards}"
        self._url = f"{url}{'&' if '?' in url else '?'}{self._parameters}"
        self._process = process
        self._made: set[Subscription] = set()

    async def connect(self) -> RabbitMQBroker:
        client = Client(self._url, self._made)
        await client.connect()
        return client

    async def connect_as(self, user: str) -> RabbitMQBroker:
        if self._process is None:
            pytest.skip("the passwords of the given broker's users are not known")
        client = Client(self._process.url(user, parameters=self._parameters), self._made)
        await client.connect()
        return client

    async def lose(self, client: Broker) -> None:
        assert isinstance(client, RabbitMQBroker)
        client.abort()

    async def restart(self) -> None:
        assert self._process is not None
        self._process.restart()

    async def remove(self) -> None:
        """Remove all that the subscriptions of this test have at the broker."""
        address = RabbitMQAddress.parse(self._url)
        connection = await Connection.open(address, address.endpoints[0], address.ssl_context())
        async with connection.passing_channel() as channel:
            for subscription in self._made:
                topology = Topology.of(subscription, shards=address.shards)
                for queue in topology.queues:
                    await channel.queue_delete(queue.name)
                for exchange in topology.exchanges:
                    await channel.exchange_delete(exchange.name)
        await connection.close()


@asynccontextmanager
async def under_test(url: str, process: RabbitmqProcess | None, **options: int) -> AsyncIterator[RabbitmqUnderTest]:
    broker = RabbitmqUnderTest(url, process, **options)
    yield broker
    await broker.remove()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> RabbitmqServer:
    """The broker that tests share; of its own for a test that restarts it."""
    if request.node.get_closest_marker("restarts") is not None:
        return RabbitmqServer.of(request.getfixturevalue("own_rabbitmq"))
    shared: RabbitmqServer = request.getfixturevalue("rabbitmq")
    return shared


class TestRabbitMQKernel(OrderLaw, SettlementLaw, DrainLaw):
    """What `make test` has of them: order, settlement and drain, in the mode that production uses most."""

    @pytest.fixture(params=[True], ids=["numbered"])
    def numbered(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    async def broker_under_test(self, server: RabbitmqServer) -> AsyncIterator[BrokerUnderTest]:
        async with under_test(server.url, server.process, shards=4, backlog_messages=500) as broker:
            yield broker


@pytest.mark.rabbitmq
class TestRabbitMQ(BrokerConformance):
    @pytest.fixture
    async def broker_under_test(self, server: RabbitmqServer) -> AsyncIterator[BrokerUnderTest]:
        async with under_test(server.url, server.process, shards=4, backlog_messages=2000) as broker:
            yield broker


@pytest.mark.rabbitmq
class TestRabbitMQOverTLS(BrokerConformance):
    """Over TLS, in the mode that production uses most, and with all reefs of a subscription in one shard."""

    @pytest.fixture(params=[True], ids=["numbered"])
    def numbered(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    async def broker_under_test(self, server: RabbitmqServer) -> AsyncIterator[BrokerUnderTest]:
        if server.tls_url is None:
            pytest.skip("the given broker's TLS address is not known")
        async with under_test(server.tls_url, server.process, shards=1, backlog_messages=500) as broker:
            yield broker
