"""What one may ask a broker without leaving a trace: for ``reefmesh doctor``."""

from typing import Protocol

from reefmesh.contracts.channels import Subscription


class Probe(Protocol):
    """One login. The ``may_...`` return None for yes, or the broker's own words for no; nothing is sent and nothing taken."""

    async def connect(self) -> None:
        """Raises as ``Broker.connect``."""
        ...

    async def close(self) -> None: ...

    async def may_publish(self, channel: str) -> str | None: ...

    async def may_consume(self, subscription: Subscription) -> str | None: ...

    async def may_park(self, subscription: Subscription) -> str | None: ...

    async def clock_offset_seconds(self, subscription: Subscription) -> float:
        """How far the broker's clock is ahead of ours, as told by a message through this subscription, which must be the
        asker's own and empty."""
        ...
