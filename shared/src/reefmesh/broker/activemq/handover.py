"""Who consumes a subscription, by the broker's advisories, and when a consumer must hand reefs over.

The broker never takes a reef from its consumer while that consumer is there, so a new member gets none of the owned reefs.
Hence the rule: when a member joins, every other member renews all its shared subscriptions once, one by one, each as soon as
its messages are settled, after a moment of jitter. Members are told apart by their connection: a member that renews a
subscription stays the same member. When a member leaves, the broker spreads its reefs over the others.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from reefmesh.broker.activemq.destinations import consumer_advisories
from reefmesh.broker.activemq.errors import ConnectionLost
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.subscription import BrokerSubscription
from reefmesh.broker.port import BrokerEvent
from reefmesh.contracts.channels import Subscription

JOIN_JITTER_SECONDS: Final = 0.3
"""How long members wait, at most, before they hand reefs over to one that joined: not all at the same instant."""
RENEWAL_JITTER_SECONDS: Final = 0.02
"""Between the renewals of two subscriptions."""
FORGET_SECONDS: Final = 3.0
"""A member without a subscription stays a member for so long: it may be renewing its only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipChange:
    """The meaning of one advisory. ``consumers``: the number of subscriptions of all members now."""

    joined: bool
    left: bool
    consumers: int


class Membership:
    """The other members of one subscription. The caller gives the time, in seconds of any clock."""

    def __init__(self, own_connection: str) -> None:
        self._own = own_connection
        self._subscriptions: dict[str, set[int]] = {}
        self._empty_since: dict[str, float] = {}
        self._consumers = 0

    @property
    def others(self) -> int:
        return sum(1 for subscriptions in self._subscriptions.values() if subscriptions)

    def update(self, headers: Mapping[str, str], body: bytes, *, now_seconds: float) -> MembershipChange:
        """Apply one advisory."""
        before = self._consumers
        self._consumers = _count(headers, before)
        self._forget(now_seconds)
        facts = _facts(body)
        if (consumer := facts.get("ConsumerInfo")) is not None:
            return self._added(consumer.get("consumerId"), browser=bool(consumer.get("browser")))
        if (removed := facts.get("RemoveInfo")) is not None:
            return self._removed(removed.get("objectId"), now_seconds)
        # this broker writes no JSON advisories: judge by the number of consumers
        return MembershipChange(joined=self._consumers > before, left=self._consumers < before, consumers=self._consumers)

    def _added(self, identity: Any, *, browser: bool) -> MembershipChange:
        connection, number = _identity(identity)
        if connection == self._own or browser:
            return MembershipChange(joined=False, left=False, consumers=self._consumers)
        joined = connection not in self._subscriptions
        self._subscriptions.setdefault(connection, set()).add(number)
        self._empty_since.pop(connection, None)
        return MembershipChange(joined=joined, left=False, consumers=self._consumers)

    def _removed(self, identity: Any, now_seconds: float) -> MembershipChange:
        connection, number = _identity(identity)
        subscriptions = self._subscriptions.get(connection)
        if subscriptions is None:
            return MembershipChange(joined=False, left=connection != self._own, consumers=self._consumers)
        subscriptions.discard(number)
        if not subscriptions:
            self._empty_since[connection] = now_seconds
        return MembershipChange(joined=False, left=not subscriptions, consumers=self._consumers)

    def _forget(self, now_seconds: float) -> None:
        for connection, since in tuple(self._empty_since.items()):
            if now_seconds - since > FORGET_SECONDS:
                del self._empty_since[connection], self._subscriptions[connection]


class HandOver:
    """Of one consumer: follows the advisories of its queue, and hands reefs over when a member joins."""

    def __init__(
        self,
        subscription: Subscription,
        shared: Sequence[BrokerSubscription],
        *,
        on_event: Callable[[BrokerEvent], None],
        random: Random,
    ) -> None:
        self._subscription = subscription
        self._shared = shared
        self._on_event = on_event
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._membership = Membership("")
        self._advisories: tuple[Session, str] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._stopped = False

    def subscribe(self, session: Session) -> "asyncio.Future[None]":
        """Subscribe to the advisories on a new session."""
        self._membership = Membership(session.name)
        name = session.new_name("a")
        self._advisories = session, name
        headers = (("ack", "auto"), ("transformation", "jms-advisory-json"))
        return session.subscribe(name, consumer_advisories(self._subscription), headers, self._on_advisory)

    def unsubscribe(self) -> None:
        """End the advisories without waiting for the broker's confirmation, which nobody needs."""
        if self._advisories is not None and not self._advisories[0].is_lost:
            self._advisories[0].unsubscribe(self._advisories[1])
        self._advisories = None

    async def stop(self) -> None:
        """Hand nothing over any more. Idempotent."""
        self._stopped = True
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    def _on_advisory(self, frame: Frame) -> None:
        change = self._membership.update(frame.headers, frame.body, now_seconds=self._loop.time())
        if not (change.joined or change.left):
            return
        self._emit("consumers_changed", other_members=self._membership.others, consumers=change.consumers)
        if change.joined and not self._stopped:
            if self._renewing is not None:
                self._renewing.cancel()  # a further member joined: begin again, for all of them
            self._renewing = asyncio.create_task(self._renew_all(), name=f"hand-over {self._subscription}")

    async def _renew_all(self) -> None:
        await asyncio.sleep(JOIN_JITTER_SECONDS * self._random.random())
        subscriptions = list(self._shared)
        self._random.shuffle(subscriptions)
        for shared in subscriptions:
            with contextlib.suppress(ConnectionLost):
                shared.renew_once_settled()
            await asyncio.sleep(RENEWAL_JITTER_SECONDS * self._random.random())
        self._emit("groups_released", lanes=len(subscriptions))

    def _emit(self, name: str, **facts: int) -> None:
        self._on_event(BrokerEvent(name=name, facts={"subscription": str(self._subscription), **facts}))


def _facts(body: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(body)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _identity(identity: Any) -> tuple[str, int]:
    if not isinstance(identity, dict):
        return "", 0
    return str(identity.get("connectionId", "")), hash((identity.get("sessionId"), identity.get("value")))


def _count(headers: Mapping[str, str], before: int) -> int:
    text = headers.get("consumerCount", "")
    return int(text) if text.isascii() and text.isdigit() else before
