"""The laws every broker engine holds, written once: subclass ``BrokerConformance`` and give it a ``broker_under_test``.

    class TestEmbedded(BrokerConformance):
        @pytest.fixture
        async def broker_under_test(self, tmp_path):
            yield MyBrokerUnderTest(...)   # connect(), lose(), restart(), capabilities: see harness.py

The suite speaks to engines through ``reefmesh.broker.port`` alone, and gives every test a channel name of its own, so one
broker can serve the whole run.
"""

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))

from reefmesh_conformance.harness import BrokerUnderTest, Capabilities  # noqa: E402 - after the registration above
from reefmesh_conformance.suite import BrokerConformance  # noqa: E402 - after the registration above

__all__ = ["BrokerConformance", "BrokerUnderTest", "Capabilities"]
