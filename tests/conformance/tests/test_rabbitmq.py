"""The RabbitMQ engine holds every law on a real broker, plain and over TLS."""

import pytest

from reefmesh.broker.port import Broker
from reefmesh.broker.rabbitmq.engine import RabbitMQBroker
from reefmesh.clock import SystemClock
from reefmesh_components.rabbitmq import RabbitmqServer
from reefmesh_components.rabbitmq_process import RabbitmqProcess
from reefmesh_conformance import BrokerConformance, BrokerUnderTest, Capabilities

pytestmark = pytest.mark.timeout(180)  # the first of them starts the broker; some restart it


class RabbitmqUnderTest:
    """``shards``: few, so that several reefs of a test share one, as the many reefs of a mesh do; and so that a subscription is
    made quickly."""

    def __init__(self, url: str, process: RabbitmqProcess | None, *, shards: int, backlog_messages: int) -> None:
        self.capabilities = Capabilities(
            takes_ahead=True,
            authenticates=True,
            restarts=process is not None,
            backlog_messages=backlog_messages,
            patience_seconds=60.0,
        )
        self._parameters = f"shards={shards}"
        self._url = f"{url}{'&' if '?' in url else '?'}{self._parameters}"
        self._process = process

    async def connect(self) -> RabbitMQBroker:
        client = RabbitMQBroker(self._url, clock=SystemClock())
        await client.connect()
        return client

    async def connect_as(self, user: str) -> RabbitMQBroker:
        if self._process is None:
            pytest.skip("the passwords of the given broker's users are not known")
        client = RabbitMQBroker(self._process.url(user, parameters=self._parameters), clock=SystemClock())
        await client.connect()
        return client

    async def lose(self, client: Broker) -> None:
        assert isinstance(client, RabbitMQBroker)
        client.abort()

    async def restart(self) -> None:
        assert self._process is not None
        self._process.restart()


class TestRabbitMQ(BrokerConformance):
    @pytest.fixture
    async def broker_under_test(self, rabbitmq: RabbitmqServer) -> BrokerUnderTest:
        return RabbitmqUnderTest(rabbitmq.url, rabbitmq.process, shards=4, backlog_messages=2000)


class TestRabbitMQOverTLS(BrokerConformance):
    """Over TLS, in the mode that production uses most, and with all reefs of a subscription in one shard."""

    @pytest.fixture(params=[True], ids=["numbered"])
    def numbered(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    async def broker_under_test(self, rabbitmq: RabbitmqServer) -> BrokerUnderTest:
        if rabbitmq.tls_url is None:
            pytest.skip("the given broker's TLS address is not known")
        return RabbitmqUnderTest(rabbitmq.tls_url, rabbitmq.process, shards=1, backlog_messages=500)
