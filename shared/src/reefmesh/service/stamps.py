"""A service does not start on a broker that does not state who sent a message: nothing could be believed of anybody."""

from reefmesh.broker.port import Broker
from reefmesh.broker.stamping import StampingBroker
from reefmesh.errors import ConfigurationError


async def require_stamps(broker: Broker, service: str) -> None:
    """Find out whether this broker states senders; an engine without logins is not asked.

    Raises:
        ConfigurationError: it does not.
        BrokerUnavailable: it did not answer.
    """
    if isinstance(broker, StampingBroker) and await broker.stamped_sender(service) is None:
        raise ConfigurationError(
            'the broker does not state who sent a message: set populateJMSXUserID="true" and'
            ' useAuthenticatedPrincipalForJMSXUserID="true" on <broker> in its configuration, and restart it'
        )
