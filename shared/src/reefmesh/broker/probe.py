"""Questions to a broker that change nothing there: for ``reefmesh doctor``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reefmesh.contracts.channels import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why a broker that lets us in cannot do its work; ``mend`` is what to do about it."""

    said: str
    mend: str


class Probe(Protocol):
    """One login. Each ``may_...`` returns None when it is allowed, else the broker's reason; no message is sent or taken."""

    async def connect(self) -> None:
        """Raises as ``Broker.connect``."""
        ...

    async def close(self) -> None: ...

    async def unresolved_names(self) -> list[str]:
        """Return a line for each host of the address whose name does not resolve now."""
        ...

    async def alarm(self) -> Obstacle | None:
        """Return why the broker takes nothing that is published now; None: it takes it, or nothing is looked for."""
        ...

    async def may_publish(self, channel: str) -> str | None: ...

    async def may_consume(self, subscription: Subscription) -> str | None: ...

    async def may_park(self, subscription: Subscription) -> str | None: ...

    async def misfits(self, subscription: Subscription) -> list[str] | None:
        """Return a line for each queue of the subscription that is there, but not as this engine makes it; None: nothing is
        compared."""
        ...

    async def obstacles(self, subscriptions: Sequence[Subscription]) -> list[Obstacle] | None:
        """Return what keeps the broker from its work for these subscriptions of the services now; None: nothing is looked
        for."""
        ...

    async def clock_offset_seconds(self, subscription: Subscription) -> float:
        """Return how far the broker's clock is ahead of ours. One message is sent through this subscription, which must be
        empty and used by nobody else."""
        ...
