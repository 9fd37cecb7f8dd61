"""The Protocol of an engine under test: how to reach it, how to disturb it, and which disturbances it can show."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

from reefmesh.broker.port import Broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What this engine can show, and how large and how patient the suite should be with it.

    A test of a law that cannot be shown here is skipped and names the capability.
    """

    loses_clients: bool = True
    """``lose`` cuts a client off without a farewell."""
    loses_clients_alone: bool = True
    """The other clients stay when one is cut off. False: all live in one process, and are cut off together."""
    takes_ahead: bool = False
    """In a numbered channel a consumer has several messages of one reef in this process before the first is settled."""
    returns_in_order: bool = False
    """What a consumer took and did not settle comes again in its order, whoever was lost, before anything else of its reef. So
    a consumer takes several messages of one reef ahead in a plain channel too."""
    authenticates: bool = False
    """Users log in: ``connect_as`` is there, and the broker states who sent a message."""
    consumers_at_work: int = 4
    """Among how many consumers the reefs of one subscription can be spread. With 1 the only consumer at work, if its lanes are
    stuck, holds up everybody."""
    place_of: Callable[[str], Hashable] = str
    """Reefs for which it returns the same are always at the same consumer, by their names."""
    repeats_after_loss: bool = False
    """In a plain channel too, of a consumer that was lost or closed at work: what it moved to another place of its own may
    come again behind its successors, when it is settled already. The inbox knows it."""
    restarts: bool = False
    """``restart`` stops the broker and starts it again on the same data; connected clients are lost or come back."""
    backlog_messages: int = 300
    """The backlog of a stuck reef that must not hold up the others."""
    patience_seconds: float = 60.0
    """The longest wait for anything that must happen, on a machine that does other things too."""
    takeover_seconds: float = 5.0
    """The longest wait until a consumer that joined has work, or the work of one that left is taken over."""


class BrokerUnderTest(Protocol):
    """One broker, and ways to reach and to disturb it."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def connect(self) -> Broker:
        """Return a fresh, connected client; every call stands for another process."""
        ...

    async def connect_as(self, user: str) -> Broker:
        """As ``connect``, logged in as ``operator`` or as a service's user. Only with ``authenticates``."""
        ...

    async def lose(self, client: Broker) -> None:
        """Make this client vanish without a farewell, as kill -9 or a cut cable would. Only with ``loses_clients``; without
        ``loses_clients_alone`` every client vanishes."""
        ...

    async def restart(self) -> None:
        """Stop and start the broker, which keeps its data. Only with ``restarts``. The suite has closed its clients."""
        ...
