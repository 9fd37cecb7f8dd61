"""The ActiveMQ engine holds every law on a real broker, plain and over TLS."""

import pytest

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh_components.activemq import ActivemqServer
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_conformance import BrokerConformance, BrokerUnderTest, Capabilities


class ActivemqUnderTest:
    """``subscriptions``: how many the lanes of a consumer share in a numbered channel. Few, so that the few lanes of a test
    have several messages ahead in each, as the many lanes of a service have."""

    def __init__(self, url: str, process: ActivemqProcess | None, *, subscriptions: int, backlog_messages: int) -> None:
        self.capabilities = Capabilities(
            takes_ahead=True,
            authenticates=True,
            restarts=process is not None,
            backlog_messages=backlog_messages,
        )
        self._url = f"{url}{'&' if '?' in url else '?'}subscriptions={subscriptions}"
        self._process = process

    async def connect(self) -> ActiveMQBroker:
        client = ActiveMQBroker(self._url, clock=SystemClock())
        await client.connect()
        return client

    async def connect_as(self, user: str) -> ActiveMQBroker:
        if self._process is None:
            pytest.skip("the passwords of the given broker's users are not known")
        client = ActiveMQBroker(self._process.url(user), clock=SystemClock())
        await client.connect()
        return client

    async def lose(self, client: Broker) -> None:
        assert isinstance(client, ActiveMQBroker)
        client.abort()

    async def restart(self) -> None:
        assert self._process is not None
        self._process.restart()


class TestActiveMQ(BrokerConformance):
    @pytest.fixture
    async def broker_under_test(self, activemq: ActivemqServer) -> BrokerUnderTest:
        return ActivemqUnderTest(activemq.url, activemq.process, subscriptions=2, backlog_messages=2000)


class TestActiveMQOverTLS(BrokerConformance):
    """Over TLS, in the mode that production uses most, and with all lanes of a consumer on one subscription."""

    @pytest.fixture(params=[True], ids=["numbered"])
    def numbered(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param)

    @pytest.fixture
    async def broker_under_test(self, activemq: ActivemqServer) -> BrokerUnderTest:
        if activemq.tls_url is None:
            pytest.skip("the given broker's TLS address is not known")
        return ActivemqUnderTest(activemq.tls_url, activemq.process, subscriptions=1, backlog_messages=1000)
