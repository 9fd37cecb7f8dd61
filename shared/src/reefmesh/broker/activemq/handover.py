"""When a consumer must hand reefs over to another one, by the broker's advisories.

The broker never takes a reef from its consumer while that consumer is there, so a new member gets none of the owned reefs.
Hence the rule: when a member joins, every other member renews all its shared subscriptions once, one by one, each as soon as
its messages are settled, after a moment of jitter. Members are told apart by their connection: a member that renews a
subscription stays the same member. When a member leaves, the broker spreads its reefs over the others.

Joins may be forged. So a hand-over that has begun is carried through, and one that follows it waits, longer each time while
joins go on: a flood of joins neither keeps reefs moving nor keeps a real member waiting for more than ``PAUSE_SECONDS[-1]``.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from reefmesh.broker.activemq.destinations import consumer_advisories
from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.membership import Membership
from reefmesh.broker.activemq.session import Session
from reefmesh.broker.activemq.subscription import BrokerSubscription
from reefmesh.broker.connection_loss import ConnectionLost
from reefmesh.broker.port import ADVISORY_IGNORED, BrokerEvent
from reefmesh.contracts.channels import Subscription

JOIN_JITTER_SECONDS: Final = 0.3
"""How long members wait, at most, before they hand reefs over to one that joined: not all at the same instant."""
RENEWAL_JITTER_SECONDS: Final = 0.02
"""Between the renewals of two subscriptions."""
PAUSE_SECONDS: Final = (2.0, 5.0, 10.0, 30.0)
"""Between a hand-over and the next one, while members join during each pause; the last one for all that follow."""
EVENT_SECONDS: Final = 1.0
"""Changes and ignored advisories of so long a time are one event."""


class HandOver:
    """Of one consumer: follows the advisories of its queue, and hands reefs over when a member joins."""

    def __init__(
        self,
        subscription: Subscription,
        shared: Sequence[BrokerSubscription],
        *,
        on_event: Callable[[BrokerEvent], None],
        random: Random,
        pause_seconds: Sequence[float] = PAUSE_SECONDS,
    ) -> None:
        self._subscription = subscription
        self._shared = shared
        self._on_event = on_event
        self._random = random
        self._pause_seconds = pause_seconds
        self._loop = asyncio.get_running_loop()
        self._membership = Membership("")
        self._advisories: tuple[Session, str] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._has_joined = False
        self._consumers: int | None = None  # of a change that no event has told yet
        self._ignored = 0
        self._telling: asyncio.TimerHandle | None = None
        self._told_at_seconds = -EVENT_SECONDS
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
        if self._telling is not None:
            self._telling.cancel()
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    def _on_advisory(self, frame: Frame) -> None:
        change = self._membership.update(frame.headers, frame.body, now_seconds=self._loop.time())
        if change.joined or change.left:
            self._consumers = change.consumers
        self._ignored += change.is_ignored
        if self._consumers is not None or self._ignored:
            self._tell_soon()
        if change.joined and not self._stopped:
            self._has_joined = True
            if self._renewing is None or self._renewing.done():
                self._renewing = asyncio.create_task(self._hand_over(), name=f"hand-over {self._subscription}")

    async def _hand_over(self) -> None:
        """Hand over, and again for members that have joined since the renewals began."""
        for pause_seconds in itertools.chain(self._pause_seconds, itertools.repeat(self._pause_seconds[-1])):
            if not self._has_joined:
                return
            await self._renew_all()
            await asyncio.sleep(pause_seconds)

    async def _renew_all(self) -> None:
        await asyncio.sleep(JOIN_JITTER_SECONDS * self._random.random())
        self._has_joined = False
        subscriptions = list(self._shared)
        self._random.shuffle(subscriptions)
        for shared in subscriptions:
            with contextlib.suppress(ConnectionLost):
                shared.renew_once_settled()
            await asyncio.sleep(RENEWAL_JITTER_SECONDS * self._random.random())
        self._emit("groups_released", lanes=len(subscriptions))

    def _tell_soon(self) -> None:
        if self._telling is None:
            delay_seconds = self._told_at_seconds + EVENT_SECONDS - self._loop.time()
            if delay_seconds <= 0:
                self._tell()
            else:
                self._telling = self._loop.call_later(delay_seconds, self._tell)

    def _tell(self) -> None:
        self._telling = None
        self._told_at_seconds = self._loop.time()
        if self._consumers is not None:
            self._emit("consumers_changed", other_members=self._membership.others, consumers=self._consumers)
        if self._ignored:
            self._emit(ADVISORY_IGNORED, times=self._ignored)
        self._consumers, self._ignored = None, 0

    def _emit(self, name: str, **facts: int) -> None:
        self._on_event(BrokerEvent(name=name, facts={"subscription": str(self._subscription), **facts}))
