"""The ActiveMQ engine holds every law on a real broker, plain and over TLS."""

import pytest

from reefmesh.broker.activemq.engine import ActiveMQBroker
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh_components.activemq import ActivemqServer
from reefmesh_components.activemq_process import ActivemqProcess
from reefmesh_conformance import BrokerConformance, BrokerUnderTest, Capabilities


class ActivemqUnderTest:
    def __init__(self, url: str, process: ActivemqProcess | None) -> None:
        self.capabilities = Capabilities(restarts=process is not None, backlog_messages=5000, patience_seconds=60.0)
        self._url = url
        self._process = process

    async def connect(self) -> ActiveMQBroker:
        client = ActiveMQBroker(self._url, clock=SystemClock())
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
        return ActivemqUnderTest(activemq.url, activemq.process)


class TestActiveMQOverTLS(BrokerConformance):
    @pytest.fixture
    async def broker_under_test(self, activemq: ActivemqServer) -> BrokerUnderTest:
        if activemq.tls_url is None:
            pytest.skip("the given broker's TLS address is not known")
        return ActivemqUnderTest(activemq.tls_url, activemq.process)
