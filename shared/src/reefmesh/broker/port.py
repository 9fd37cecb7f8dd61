"""The port: what services need of a broker, and nothing else.

A *channel* fans out to *subscriptions*; inside a subscription the messages of one group (= reef id) are handled one at a
time, in publishing order, by one *lane* of one process; different reefs run in parallel. Every engine holds these laws;
``reefmesh_conformance`` is their one test.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import TransientError


class BrokerUnavailable(TransientError):
    """There is no connection, or it was lost before the broker answered: what was asked may or may not have happened."""


class PublishRefused(TransientError):
    """The broker answered, and did not take the message (store full, permission, size)."""


class LaneLost(TransientError):
    """The delivery is no longer this lane's (connection lost, group moved, time-out): it will be delivered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One message for one channel."""

    channel: str
    message: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message in the hands of one lane until it is settled, parked or released.

    ``redelivered`` says that it may have been delivered before (never that it was handled). ``token`` is the engine's.
    """

    message: Envelope
    subscription: Subscription
    lane: int
    redelivered: bool
    token: object


class Lane(Protocol):
    """Handles one delivery at a time."""

    @property
    def index(self) -> int: ...

    async def receive(self) -> Delivery | None:
        """Wait for the next delivery; None once the consumer drains or is closed. Survives reconnection by itself."""
        ...

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        """Publish ``outputs`` and acknowledge, in one broker transaction where the engine has them; confirmed on return. The
        broker may hear of the acknowledgement later, with that of messages that were delivered before and are still open.

        Raises:
            LaneLost: the delivery is no longer ours; outputs may or may not be out (deterministic ids heal that).
            PublishRefused: nothing was published and nothing acknowledged; the delivery is still ours.
        """
        ...

    async def park(self, delivery: Delivery, *, reason: str, detail: str, attempts: int) -> None:
        """Move the message to the subscription's parking, with its reason, and acknowledge it; raises like ``settle``."""
        ...

    async def release(self, delivery: Delivery) -> None:
        """Give the message back unhandled (an interruption): it is delivered again, before any later one of its reef."""
        ...


class Consumer(Protocol):
    """K lanes on one subscription."""

    @property
    def lanes(self) -> Sequence[Lane]: ...

    async def start(self) -> None:
        """Subscribe. Raises BrokerUnavailable when the broker cannot be reached within the connection time-out."""
        ...

    async def isolate(self, reef_id: str) -> None:
        """Give this reef a dedicated subscription, so that the reefs beside it do not wait for it.

        Pauses handing out from the shared subscription that the reef belongs to, opens the dedicated one, and goes on. Order
        holds: the reef's messages come in publishing order, one at a time. A message that is in a lane's hands stays there
        and can be settled as before. The dedicated subscription ends by itself when the reef has no messages any more.

        Returns at once where there is nothing to do: this consumer knows no message of the reef, the reef is isolated already,
        the consumer drains or is closed, or the engine's reefs share nothing.

        Raises:
            BrokerUnavailable: the connection was lost; the reef belongs to no subscription then.
        """
        ...

    async def drain(self) -> None:
        """Take nothing new from the broker: every ``receive`` returns None as soon as nothing is left of what had arrived
        before; returns when all deliveries are settled and the subscription is given up at the broker. So go on receiving
        until None: what nobody receives is given back. Idempotent. Bound it from outside: it waits for the handlers."""
        ...

    async def close(self) -> None:
        """Give up at once; what is unsettled is delivered again, here or elsewhere. Idempotent, safe before ``start``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedMessage:
    """A message that was set aside, as a person sees it; ``parking_id`` names it for ``show`` and ``replay``."""

    parking_id: str
    subscription: Subscription
    message: Envelope
    reason: str
    detail: str
    attempts: int
    parked_at: str


class Parking(Protocol):
    """The messages of one subscription that were set aside; order is the order of parking."""

    async def list(self, *, limit: int = 100, reef_id: str | None = None) -> Sequence[ParkedMessage]: ...

    async def replay(self, parking_ids: Sequence[str]) -> int:
        """Send the named messages to their subscription again (to it alone, not to the channel), oldest first, under
        their own event ids with the header ``replayed: true``; each leaves the parking in the same transaction.
        Returns how many were found."""
        ...

    async def discard(self, parking_ids: Sequence[str]) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStatistics:
    """A point in time of one subscription, as far as this engine can see it (None: it cannot).

    ``oldest_age_seconds``: since the broker took the oldest message that is not acknowledged. An engine that cannot look into
    the broker's queue tells it of the messages it holds: those are the oldest of their reefs, and of the queue while it moves.
    ``isolated_reefs``: the reefs that have a dedicated subscription now; a few for each lane at most.
    """

    waiting_messages: int | None
    in_flight_messages: int
    oldest_age_seconds: float | None
    lanes: int
    lanes_busy: int
    isolated_reefs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatistics:
    """What a broker client knows of itself."""

    connected: bool
    last_heard_seconds: float | None
    publishes_in_flight: int
    reconnects: int
    subscriptions: dict[Subscription, SubscriptionStatistics]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerEvent:
    """``connected``, ``lost``, ``consumers_changed``, ``groups_released`` or ``reef_isolated``, with facts for the log."""

    name: str
    facts: dict[str, str | int | float]


class Broker(Protocol):
    """One client of one broker."""

    async def connect(self) -> None:
        """Connect, trying every endpoint. Raises BrokerUnavailable, or ConfigurationError for what no retry can mend
        (wrong password, unknown CA, wrong host name, no permission)."""
        ...

    async def close(self) -> None:
        """Disconnect; consumers are closed, not drained. Idempotent, safe before ``connect``."""
        ...

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        """Make these durable subscriptions exist, so that what is published from now on waits for them."""
        ...

    async def publish(self, publications: Sequence[Publication]) -> None:
        """Publish in this order, all in one transaction where the engine has them.

        Returns when the broker has confirmed a durable write of all.

        Raises:
            BrokerUnavailable: no confirmation came; any of them may be out.
            PublishRefused: the broker said no.
        """
        ...

    def consumer(self, subscription: Subscription, *, lanes: int) -> Consumer: ...

    def parking(self, subscription: Subscription) -> Parking: ...

    def on_event(self, listener: Callable[[BrokerEvent], None]) -> None: ...

    async def statistics(self) -> BrokerStatistics: ...
