"""A service does not start on a broker that does not state who sent a message."""

from dataclasses import dataclass
from typing import Any

import pytest

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker
from reefmesh.clock import SystemClock
from reefmesh.errors import ConfigurationError
from reefmesh.service.stamps import require_stamps


@dataclass
class AskedBroker:
    """A broker with logins that states this sender."""

    broker: Broker
    sender: str | None

    async def stamped_sender(self, service: str) -> str | None:
        return self.sender

    def __getattr__(self, name: str) -> Any:
        return getattr(self.broker, name)


def asked(sender: str | None) -> Broker:
    broker: Broker = AskedBroker(open_broker("embedded://", clock=SystemClock()), sender)
    return broker


async def test_broker_that_states_nobody_is_refused_in_one_line_that_names_both_attributes() -> None:
    """Law 12: exit code 78, instead of parking everything that comes."""
    with pytest.raises(ConfigurationError) as caught:
        await require_stamps(asked(None), "scoring")
    text = str(caught.value)
    assert "\n" not in text
    assert 'populateJMSXUserID="true"' in text
    assert 'useAuthenticatedPrincipalForJMSXUserID="true"' in text


async def test_broker_that_states_senders_and_an_engine_without_logins_are_taken() -> None:
    await require_stamps(asked("scoring"), "scoring")
    await require_stamps(open_broker("embedded://", clock=SystemClock()), "scoring")
