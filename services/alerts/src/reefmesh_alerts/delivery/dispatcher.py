"""All channels side by side: one lane each, as the subscriptions file has them now."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Final

import structlog

from reefmesh.clock import Clock
from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store
from reefmesh_alerts.channels.opening import open_channel
from reefmesh_alerts.channels.port import Channel
from reefmesh_alerts.delivery.lane import ORPHAN_AFTER, ChannelLane, DeliveryLimits
from reefmesh_alerts.delivery.ledger import Ledger
from reefmesh_alerts.subscriptions.entries import ChannelEntry
from reefmesh_alerts.subscriptions.watching import Subscriptions

log = structlog.get_logger()

EXPIRE_EVERY: Final = timedelta(minutes=1)
OUTCOMES: Final = table.DELIVERIES.labels[1].values
OVERDUE_AFTER: Final = timedelta(seconds=table.DELIVERED_WITHIN_SECONDS)


class Dispatcher:
    """Delivers what is due. Any number of processes may do so at once: people are told at least once, mostly once, and each
    repeat has the key of the first. An alert's row is settled by one of them."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        subscriptions: Subscriptions,
        metrics: Metrics,
        limits: DeliveryLimits | None = None,
        random: Random | None = None,
        poll_seconds: float = 0.5,
        opener: Callable[[ChannelEntry], Channel] = open_channel,
    ) -> None:
        self._ledger = Ledger(store)
        self._clock = clock
        self._subscriptions = subscriptions
        self._metrics = metrics
        self._limits = limits or DeliveryLimits()
        self._random = random or Random()  # noqa: S311 - jitter, not secrets
        self._poll_seconds = poll_seconds
        self._opener = opener
        self._lanes: dict[str, ChannelLane] = {}
        self._closing: list[ChannelLane] = []
        self._broken: dict[str, ChannelEntry] = {}
        self._seen_overdue: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop``; what is being sent then is seen through, each within its channel's time-out."""
        rounds: dict[ChannelLane, asyncio.Task[None]] = {}
        expires_at = self._clock.now()
        try:
            while not stop.is_set():
                await self._follow_file(busy=set(rounds))
                for lane in self._lanes.values():
                    if lane not in rounds:
                        rounds[lane] = asyncio.create_task(self._work(lane, stop), name=f"deliveries/{lane.entry.name}")
                if self._clock.now() >= expires_at:
                    expires_at = self._clock.now() + EXPIRE_EVERY
                    await self._expire_safely()
                await is_set_within(stop, self._poll_seconds)
                for lane in [lane for lane, task in rounds.items() if task.done()]:
                    fault = rounds.pop(lane).exception()
                    if fault is not None:
                        log.error("deliveries stopped, they are started again", channel=lane.entry.name, error=repr(fault))
        finally:
            await asyncio.gather(*rounds.values(), return_exceptions=True)
            await self.close()

    async def deliver_due(self) -> int:
        """Deliver everything that is due by now, on every channel, then return how many deliveries were tried."""
        await self._follow_file(busy=set())
        await self.expire()
        return sum(await asyncio.gather(*(self._deliver_all(lane) for lane in self._lanes.values())))

    async def expire(self) -> None:
        """Let go of what became too old to be told, and of what is for channels that are no longer in the file."""
        now = self._clock.now()
        old = await self._ledger.expire(
            created_before=now - self._limits.expires_after, now=now, note="it could not be told in time"
        )
        known = [entry.name for entry in self._subscriptions.channels]
        orphans = await self._ledger.expire(
            created_before=now - ORPHAN_AFTER, now=now, note="its channel is no longer in the file", but=known
        )
        for outcome, expired in (("expired", old), ("suppressed", orphans)):
            for channel, count in expired.items():
                self._metrics.count(table.DELIVERIES, channel, outcome, amount=count)
                log.error("alerts not told", channel=channel, deliveries=count, outcome=outcome)

    async def sample(self) -> None:
        """Set the gauges of a scrape."""
        overdue = await self._ledger.count_overdue(due_before=self._clock.now() - OVERDUE_AFTER)
        for channel in {*self._lanes, *self._seen_overdue, *overdue}:
            self._metrics.set(table.DELIVERIES_OVERDUE, overdue.get(channel, 0), channel)
        self._seen_overdue = set(overdue)

    async def close(self) -> None:
        """Close every channel. Idempotent."""
        lanes = [*self._lanes.values(), *self._closing]
        self._lanes, self._closing = {}, []
        for lane in lanes:
            await lane.close()

    async def _work(self, lane: ChannelLane, stop: asyncio.Event) -> None:
        """Deliver as long as something is due, then wait for the next look."""
        while not stop.is_set() and self._lanes.get(lane.entry.name) is lane:
            try:
                delivered = await lane.deliver_once(stop)
            except TransientError as error:
                log.warning("deliveries wait", channel=lane.entry.name, reason=str(error))
                delivered = 0
            if not delivered:
                await is_set_within(stop, self._poll_seconds)

    async def _deliver_all(self, lane: ChannelLane) -> int:
        total = 0
        while delivered := await lane.deliver_once():
            total += delivered
        return total

    async def _expire_safely(self) -> None:
        try:
            await self.expire()
        except TransientError as error:
            log.warning("expiry waits", reason=str(error))

    async def _follow_file(self, *, busy: set[ChannelLane]) -> None:
        """Open channels that are new, close those that changed or went; one in the middle of a round is closed after it."""
        wanted = {entry.name: entry for entry in self._subscriptions.channels}
        for name, lane in list(self._lanes.items()):
            if wanted.get(name) != lane.entry:
                del self._lanes[name]
                self._closing.append(lane)
        for lane in [lane for lane in self._closing if lane not in busy]:
            self._closing.remove(lane)
            await lane.close()
        for name, entry in wanted.items():
            if name in self._lanes or self._broken.get(name) == entry:
                continue
            try:
                channel = self._opener(entry)
            except ConfigurationError as error:
                self._broken[name] = entry
                log.error("channel not opened", channel=name, reason=str(error))  # noqa: TRY400 - one line says it
                continue
            self._broken.pop(name, None)
            self._lanes[name] = self._lane(entry, channel)

    def _lane(self, entry: ChannelEntry, channel: Channel) -> ChannelLane:
        for outcome in OUTCOMES:  # from 0 on, so that a rule sees the first failure
            self._metrics.counter(table.DELIVERIES, entry.name, outcome)
        self._metrics.histogram(table.ALERT_LATENCY_SECONDS, entry.name)
        return ChannelLane(
            entry=entry,
            channel=channel,
            ledger=self._ledger,
            subscriptions=self._subscriptions,
            clock=self._clock,
            metrics=self._metrics,
            random=self._random,
            limits=self._limits,
        )
