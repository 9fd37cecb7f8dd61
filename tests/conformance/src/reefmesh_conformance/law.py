"""The fixtures that every law's tests stand on."""

from collections.abc import AsyncIterator

import pytest

from reefmesh_conformance.harness import BrokerUnderTest
from reefmesh_conformance.stage import Stage


class Law:
    """Tests of one law; the engine's test class overrides ``broker_under_test``."""

    @pytest.fixture
    async def broker_under_test(self) -> BrokerUnderTest:
        raise NotImplementedError("override the fixture broker_under_test")

    @pytest.fixture
    async def stage(self, broker_under_test: BrokerUnderTest) -> AsyncIterator[Stage]:
        stage = Stage(broker_under_test)
        yield stage
        await stage.close()
