"""A worker: the lanes of one service on one subscription, and the parts that they share.

One message's way, part by part: received by its lane (``LaneLoop``), attempted until it leaves the lane's hands (``Attempts``),
applied to its reef (``Application``) in a unit of work (``UnitsOfWork``): state, inbox mark, rows and outbox in one transaction
behind the version fence. Then its outputs and its acknowledgement go to the broker together, and the outbox forgets the
outputs (``Attempts`` again). A crash anywhere in between heals on redelivery: the cursor or the inbox says "applied", the
outbox says what is still to be sent (``EarlierOutputs``). Poison is set aside by ``MessageParking``.
"""

import asyncio
import logging
from dataclasses import replace
from random import Random
from typing import Generic, TypeVar

import structlog

from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import PARKING_FOLDED, UNREADABLE_PARKED, Broker, BrokerEvent, Consumer
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.senders import ANYBODY_WITH_THE_JOURNAL, Senders
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.observability.tracing import Tracer
from reefmesh.service.application import BEHIND_PARKED, Application
from reefmesh.service.attempt import Attempts
from reefmesh.service.breaker import PoisonBreaker, TooMuchPoison
from reefmesh.service.earlier_outputs import EarlierOutputs
from reefmesh.service.forgery import ForgeryCheck
from reefmesh.service.gap_waiter import GapWaits
from reefmesh.service.handler import Handler
from reefmesh.service.lane_loop import LaneLoop
from reefmesh.service.message_parking import MessageParking
from reefmesh.service.outbox import Outbox
from reefmesh.service.reef_cache import ReefCache
from reefmesh.service.unit_of_work import UnitsOfWork
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.store.port import Stale, Store, Unit

S = TypeVar("S")
log = structlog.get_logger()


class Worker(Generic[S]):
    """Runs K lanes from ``run`` until ``drain``.

    ``senders``: whose messages are believed; those of an engine without logins, unless others are named.
    The workers of one service share ``reefs``: with a cache each, one worker's commit would make the other's versions stale.
    """

    def __init__(
        self,
        *,
        subscription: Subscription,
        broker: Broker,
        store: Store,
        handler: Handler[S],
        clock: Clock,
        metrics: Metrics,
        progress: Progress,
        senders: Senders = ANYBODY_WITH_THE_JOURNAL,
        limits: WorkerLimits | None = None,
        reefs: ReefCache[S] | None = None,
        breaker: PoisonBreaker | None = None,
        random: Random | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.subscription = subscription
        inbox = str(subscription)
        limits = limits or WorkerLimits()
        self._broker = broker
        self._progress = progress
        self._lanes = limits.lanes
        self._draining = asyncio.Event()
        self._consumer: Consumer | None = None
        self._reefs: ReefCache[S] = ReefCache(limit=limits.reefs_cached_limit) if reefs is None else reefs
        self._metrics = metrics
        self._speakers = senders.speakers
        self.parking_quota = _quota(limits.parking_quota, subscription, senders)
        metrics.set(table.PARKING_MESSAGES_LIMIT, self.parking_quota.messages_limit, inbox)
        metrics.set(table.PARKING_BYTES_LIMIT, self.parking_quota.bytes_limit, inbox)
        self._refusals = metrics.counter(table.FENCE_REFUSALS, inbox)
        units = UnitsOfWork(store=store, handler=handler, on_refusal=self._note_refusal)
        self._application = application = Application(
            inbox=inbox,
            store=store,
            handler=handler,
            reefs=self._reefs,
            units=units,
            earlier_outputs=EarlierOutputs(outbox=Outbox(store=store, broker=broker, metrics=metrics), draining=self._draining),
            limits=limits,
            clock=clock,
            metrics=metrics,
            tracer=tracer,
        )
        parking = MessageParking(
            inbox=inbox, store=store, handler=handler, reefs=self._reefs, units=units, metrics=metrics, tracer=tracer
        )
        self._attempts = Attempts(
            inbox=inbox,
            application=application,
            parking=parking,
            forgeries=ForgeryCheck(inbox=inbox, senders=senders, store=store, clock=clock, metrics=metrics),
            reefs=self._reefs,
            store=store,
            limits=limits,
            breaker=(breaker or PoisonBreaker()) if subscription.is_numbered else None,
            draining=self._draining,
            random=random or Random(),  # noqa: S311  # jitter, not secrets
            metrics=metrics,
            progress=progress,
            tracer=tracer,
        )
        self._loop = LaneLoop(
            subscription=subscription,
            attempts=self._attempts,
            senders=senders,
            clock=clock,
            metrics=metrics,
            progress=progress,
            tracer=tracer,
        )
        for row in (
            table.ORDER_VIOLATIONS,
            table.SEQUENCE_GAPS,
            table.NUMBER_CONFLICTS,
            table.DUPLICATES,
            table.REDELIVERIES_HEALED,
        ):
            metrics.counter(row, inbox)  # from 0 on, so that a rule sees the first rise

        broker.on_event(self._note_parked)

    def _note_parked(self, event: BrokerEvent) -> None:
        """Count what the engine parked by itself, and what it only counted. The breaker sees what cannot be read only if a
        believed sender has sent it: a stranger must not stop a consumer."""
        if event.facts.get("subscription") != str(self.subscription):
            return
        if event.name == UNREADABLE_PARKED:
            reason = str(event.facts["reason"])
            self._metrics.count(table.PARKED, str(self.subscription), reason)
            if event.facts.get("user_id") in self._speakers:
                self._attempts.note_unreadable(str(event.facts.get("reef_id", "")), reason)
        elif event.name == PARKING_FOLDED:
            self._metrics.count(table.PARKED_FOLDED, str(self.subscription), str(event.facts["reason"]))

    def _note_refusal(self, unit: Unit, stale: Stale) -> None:
        self._refusals.inc()
        log.info("stale version refused", had=unit.expected_version, row=stale.version)

    def gap_waits(self) -> GapWaits:
        """Return which reefs wait for missing messages, in the event loop's time."""
        return self._application.gap_waits()

    @property
    def reefs_cached(self) -> int:
        return len(self._reefs)

    async def run(self) -> None:
        """Subscribe and work; returns when the worker has drained and every lane's hands are empty. Returns at once after
        ``drain``.

        Raises:
            BrokerUnavailable: the subscription cannot be made.
            TooMuchPoison: the breaker opened; nothing more is taken, what was in hand was released.
        """
        if self._draining.is_set():
            return
        self._attempts.logs_each = logging.getLogger().isEnabledFor(logging.DEBUG)
        consumer = self._consumer = self._broker.consumer(self.subscription, lanes=self._lanes, quota=self.parking_quota)
        await consumer.start()
        try:
            async with asyncio.TaskGroup() as lanes:
                watching = lanes.create_task(self._attempts.until_too_much_is_unreadable())
                await asyncio.wait(
                    [
                        lanes.create_task(self._loop.run(lane), name=f"{self.subscription}/{lane.index}")
                        for lane in consumer.lanes
                    ]
                )
                watching.cancel()
        except* TooMuchPoison as stopped:
            raise stopped.exceptions[0] from None
        finally:
            await consumer.close()

    async def drain(self) -> None:
        """Take nothing new, let what is in flight finish (a message that waits for its next attempt is released), then
        unsubscribe.

        Returns when that is done, which takes as long as the slowest handler: bound it from outside. What came before it is
        settled then; ``run`` may still be about to return. Idempotent, safe before ``run``.
        """
        self._draining.set()
        self._progress.draining()
        if self._consumer is not None:
            await self._consumer.drain()


def _quota(quota: ParkingQuota, subscription: Subscription, senders: Senders) -> ParkingQuota:
    """Return what bounds the parking of this subscription. Of a numbered channel it binds only those who may not speak there:
    the mesh's own messages are kept whole. A message that only waits behind a parked one is always kept whole."""
    trusted = senders.speakers | senders.replayers if subscription.is_numbered else frozenset[str]()
    return replace(quota, whole_of=trusted, whole_for=frozenset({BEHIND_PARKED}))
