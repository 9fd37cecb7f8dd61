"""The port: the operations that services need of a broker, and nothing else.

A *channel* fans out to *subscriptions*. Inside a subscription the messages of one group (= reef id) are handled one at a time,
in publishing order, by one *lane* of one process; different reefs run in parallel. Every engine holds these laws;
``reefmesh_conformance`` tests them on each engine, on plain and on numbered channels.

What order rests on: a group belongs to one lane at a time, in all processes. On a plain channel an engine takes the next
message of a reef from the broker only after the one before it is settled, unless its broker gives what was taken and not
settled out again in order, before anything else of the reef. On a numbered channel any engine may take several messages of a
reef in advance, and then order rests on the numbers (``seq``) too. After a loss a message may come before its turn, and a
settled message may come again. So a consumer of a numbered channel skips a message whose number it has applied, and gives back
(``Lane.release``) a message whose predecessor is missing until that has come.

A settled message may come again on a plain channel too, late and behind others of its reef, on an engine that copies the
messages of an isolated reef without a transaction (``Consumer.isolate``), when a process or the broker dies between copy and
acknowledgement. The inbox recognises it by its event id.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import TransientError


class BrokerUnavailable(TransientError):
    """There is no connection, or it was lost before the broker answered: the request may or may not have been carried out."""


class PublishRefused(TransientError):
    """The broker answered and refused the message (store full, permission, size)."""


class LaneLost(TransientError):
    """The delivery is no longer this lane's (connection lost, group moved, visibility time-out): it is delivered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One message for one channel."""

    channel: str
    message: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message that one lane holds until it is settled, parked or released.

    ``redelivered``: it may have been delivered before, which does not mean that it was handled. ``token`` is for the engine.
    ``user_id``: the authenticated user that sent it, as the broker states it, whatever the message says of itself;
    ``senders.UNAUTHENTICATED`` on an engine without logins; None: the broker does not say.
    """

    message: Envelope
    subscription: Subscription
    lane: int
    redelivered: bool
    user_id: str | None
    token: object


class Lane(Protocol):
    """Handles one delivery at a time."""

    @property
    def index(self) -> int: ...

    async def receive(self) -> Delivery | None:
        """Wait for the next delivery; None once the consumer drains or is closed. Survives reconnection by itself."""
        ...

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        """Publish ``outputs`` and acknowledge the delivery. On return the broker has confirmed the outputs.

        With broker transactions both happen, or neither. An engine without them publishes first, waits until every output is
        confirmed, and then acknowledges; when it fails in between, the message is delivered again and its outputs are sent
        again. The outbox knows that they are due, and their numbers and deterministic ids give a second copy no effect.

        On a numbered channel the engine may send the acknowledgement later, with that of an earlier message that is still open.

        Raises:
            LaneLost: the delivery is no longer ours, or nothing can be published now; its outputs may or may not be out, and it
                is delivered again.
            PublishRefused: the delivery is still ours and not acknowledged. With broker transactions nothing was published;
                without, any output but the refused one may be out.
        """
        ...

    async def park(self, delivery: Delivery, *, reason: str, detail: str, attempts: int) -> None:
        """Move the message to the subscription's parking (its dead-letter queue), with its reason, and acknowledge it; raises
        like ``settle``. Beyond the consumer's quota only the beginning of it is kept, or nothing (``PARKING_FOLDED``)."""
        ...

    async def release(self, delivery: Delivery, *, again_after_seconds: float = 0.0) -> None:
        """Give the message back unhandled (an interruption, or a missing predecessor). It is delivered again before any later
        message of its reef. A delivery that was lost meanwhile is given back already: that is no error.

        ``again_after_seconds``: it waits for a missing predecessor. This consumer delivers it again only after that time, or
        as soon as an earlier message of the reef arrives here. Meanwhile its reef waits, but no lane, and no other reef.
        """
        ...


class Consumer(Protocol):
    """K lanes on one subscription."""

    @property
    def lanes(self) -> Sequence[Lane]: ...

    async def start(self) -> None:
        """Subscribe. Raises BrokerUnavailable when the broker cannot be reached within the connection time-out."""
        ...

    async def isolate(self, reef_id: str) -> None:
        """Give this reef a way of its own through the broker, so that the reefs beside it do not wait for it: a dedicated
        subscription, or a queue for the overflow, as the broker has it.

        Order holds: the reef's messages come in publishing order, one at a time. A message that is in a lane's hands stays
        there and can be settled as before. The reef's own way ends by itself when the reef has no messages any more.

        Returns at once where there is nothing to do: this consumer knows no message of the reef, the reef is isolated already,
        the consumer drains or is closed, or the engine's reefs share nothing.

        Raises:
            BrokerUnavailable: the connection was lost; the reef belongs to no consumer then.
        """
        ...

    async def drain(self) -> None:
        """Take nothing new from the broker, finish, and give the subscription up.

        Lanes go on receiving until ``receive`` returns None. Before that they may get messages that had arrived before the
        drain, on an engine that must not return these. ``drain`` returns when every delivery is settled, parked or released,
        every acknowledgement is sent, and the broker has ended the subscription. Messages that arrived and that no lane
        received go back to the broker. No message that a lane settled is delivered again. Idempotent, safe before ``start``.
        Bound it from outside: it waits for the handlers.
        """
        ...

    async def close(self) -> None:
        """Give up at once. Unsettled messages are delivered again, here or elsewhere. Idempotent, safe before ``start``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedMessage:
    """A message in the parking, as a person sees it; ``parking_id`` names it for ``replay`` and ``discard``.

    ``sender``: the authenticated user that sent it; of a replay that was parked again ``operator for buoy``, where the broker
    vouches for the first name and the first for the second. None: the broker did not say.
    """

    parking_id: str
    subscription: Subscription
    message: Envelope
    reason: str
    detail: str
    attempts: int
    parked_at: str
    sender: str | None


class Parking(Protocol):
    """The messages of one subscription that were parked; order is the order of parking."""

    async def list(self, *, limit: int = 100, reef_id: str | None = None) -> Sequence[ParkedMessage]: ...

    async def replay(self, parking_ids: Sequence[str]) -> int:
        """Send the named messages to their subscription again (to it alone, not to the channel), oldest first, under
        their own event ids with the header ``replayed: true``. Each leaves the parking in the same transaction, or, on an
        engine without transactions, after the confirmation of its copy. One of which only the beginning is kept stays where
        it is. Returns how many were found."""
        ...

    async def discard(self, parking_ids: Sequence[str]) -> int:
        """Delete the named messages for good; returns how many were found."""
        ...

    async def remove_old(self, quota: ParkingQuota, *, now: datetime, limit: int) -> Mapping[str, int]:
        """Delete for good at most ``limit`` messages that have lain longer than the ages of the quota say, the oldest of a
        reason first. Returns how many of each reason. Several clients may do so at once: each message is counted by the one
        that deleted it. A client that ends meanwhile leaves the rest as it was.

        Raises:
            BrokerUnavailable: some may be gone.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStatistics:
    """One subscription at one instant; None where this engine cannot see it.

    ``in_flight_messages``: taken from the broker by this client and not acknowledged; on a numbered channel that may be more
    than there are lanes, and on a plain one too where the engine takes messages in advance.
    ``oldest_age_seconds``: since the broker took the oldest message that is not acknowledged. An engine that cannot look into
    the broker's queue reports the oldest message that it has here, in a lane's hands, ready for one or held back: the oldest
    of its reef, and of the queue while that moves. ``isolated_reefs``: the reefs that have a way of their own now; a few for
    each lane at most.
    ``parked_messages``, ``parked_bytes``: what lies in the parking and is bound by the quota, as of a few minutes ago at most.
    """

    waiting_messages: int | None
    in_flight_messages: int
    oldest_age_seconds: float | None
    lanes: int
    lanes_busy: int
    isolated_reefs: tuple[str, ...] = ()
    parked_messages: int | None = None
    parked_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatistics:
    """One broker client at one instant. ``last_heard_seconds``: since the broker sent anything; None: never connected.
    ``trouble``: why it is not connected, or why the broker takes nothing that is published, although it is.
    ``refused_seconds``: for how long every attempt has failed for what ends a start with ConfigurationError (a refused login,
    a missing right); None: that is not so."""

    connected: bool
    last_heard_seconds: float | None
    publishes_in_flight: int
    reconnects: int
    subscriptions: dict[Subscription, SubscriptionStatistics]
    trouble: str = ""
    refused_seconds: float | None = None


UNREADABLE_PARKED: Final = "unreadable_parked"
PARKING_FOLDED: Final = "parking_folded"
ADVISORY_IGNORED: Final = "advisory_ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerEvent:
    """A change that a client reports, with facts for the log.

    ``connected`` and ``lost``: its connection. ``consumers_changed``: a consumer joined or left one of its subscriptions.
    ``groups_released``: this process gave groups back because another consumer joined. ``reef_isolated``: a stuck or hot reef
    got a way of its own, so that it delays only itself. ``UNREADABLE_PARKED``: a message of ``subscription`` that
    cannot be read was parked for ``reason``, without reaching a lane's caller; ``user_id`` sent it (empty: the broker does not
    say), ``reef_id`` is what it says of itself. ``PARKING_FOLDED``: a message that was set aside for ``reason`` was only
    counted, because the quota of its sender or of all is used up. ``ADVISORY_IGNORED``: an advisory, which may be
    forged, announced consumers that cannot exist; ``times``: how often since the last such event.
    """

    name: str
    facts: dict[str, str | int | float]


class Broker(Protocol):
    """One client of one broker."""

    async def connect(self) -> None:
        """Connect; every endpoint is tried.

        Raises:
            BrokerUnavailable: no endpoint answers.
            ConfigurationError: no retry can help (wrong password, unknown CA, wrong host name, no permission).
        """
        ...

    async def close(self) -> None:
        """Disconnect; consumers are closed, not drained. Idempotent, safe before ``connect``."""
        ...

    async def declare(self, subscriptions: Sequence[Subscription]) -> None:
        """Create these durable subscriptions unless they exist: messages published from now on wait for their consumers.

        Raises:
            ConfigurationError: this user may not, or they exist with other settings.
            BrokerUnavailable: some may exist.
        """
        ...

    async def publish(self, publications: Sequence[Publication]) -> None:
        """Publish in this order, all in one transaction where the engine has them.

        Returns when the broker has confirmed a durable write of all.

        Raises:
            BrokerUnavailable: no confirmation came; any of them may be out.
            PublishRefused: with transactions none is out; without, any but the refused one may be. (What is numbered or
                linked shows its consumers that one is missing.)
        """
        ...

    def consumer(self, subscription: Subscription, *, lanes: int, quota: ParkingQuota | None = None) -> Consumer:
        """Return a consumer, not yet started. ``quota``: of what its lanes park; None: everything is kept whole."""
        ...

    def parking(self, subscription: Subscription) -> Parking: ...

    def on_event(self, listener: Callable[[BrokerEvent], None]) -> None: ...

    async def statistics(self) -> BrokerStatistics: ...
