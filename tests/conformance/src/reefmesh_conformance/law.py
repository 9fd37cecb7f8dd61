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

    @pytest.fixture(params=[True, False], ids=["numbered", "plain"])
    def numbered(self, request: pytest.FixtureRequest) -> bool:
        """Return whether the channels of this test are numbered. Every law holds in both modes."""
        return bool(request.param)

    @pytest.fixture
    async def stage(self, broker_under_test: BrokerUnderTest, numbered: bool) -> AsyncIterator[Stage]:
        stage = Stage(broker_under_test, numbered=numbered)
        yield stage
        await stage.close()
