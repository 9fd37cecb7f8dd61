"""An addition to the port that engines with logins offer: to find out whether the broker states who sent a message."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class StampingBroker(Protocol):
    async def stamped_sender(self, service: str) -> str | None:
        """Send a message to a queue that only this service uses, and return which user sent it, as the broker states it on
        arrival; None: it states nobody. Nothing stays in the queue.

        Raises:
            BrokerUnavailable: the message did not arrive.
            ConfigurationError: this user may not use the queue.
        """
        ...
