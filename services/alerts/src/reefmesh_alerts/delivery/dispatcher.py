"""One lane for each target of the current subscriptions file, all at the same time."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Final

import structlog

from reefmesh.clock import Clock
from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.observability import table
from reefmesh.observability.health import Check
from reefmesh.observability.metrics import Metrics
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store
from reefmesh_alerts.delivery.daily_digests import DailyDigests
from reefmesh_alerts.delivery.lane import ORPHAN_AFTER, DeliveryLimits, TargetLane
from reefmesh_alerts.delivery.ledger import Ledger
from reefmesh_alerts.delivery.surveyor import Surveyor
from reefmesh_alerts.muting.ledger import Mutes
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.targets.entries import TargetEntry
from reefmesh_alerts.targets.opening import open_target
from reefmesh_alerts.targets.port import Target

log = structlog.get_logger()

KEEP_HOUSE_EVERY: Final = timedelta(minutes=1)
OUTCOMES: Final = table.DELIVERIES.labels[1].values
OVERDUE_AFTER: Final = timedelta(seconds=table.DELIVERED_WITHIN_SECONDS)


class DeliveryDispatcher:
    """Sends the due deliveries. Any number of processes may do so at once: people are notified at least once, nearly always
    exactly once, and a repeat has the idempotency key of the first. One process settles each row."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        recipients: Recipients,
        metrics: Metrics,
        limits: DeliveryLimits | None = None,
        random: Random | None = None,
        poll_seconds: float = 0.5,
        opener: Callable[[TargetEntry], Target] = open_target,
        surveyor: Surveyor | None = None,
    ) -> None:
        self._ledger = Ledger(store)
        self._digests = DailyDigests(store, recipients)
        self._surveyor = surveyor or Surveyor(store)
        self._mutes = Mutes(store)
        self._clock = clock
        self._recipients = recipients
        self._metrics = metrics
        self._limits = limits or DeliveryLimits()
        self._random = random or Random()  # noqa: S311 - jitter, not secrets
        self._poll_seconds = poll_seconds
        self._opener = opener
        self._lanes: dict[str, TargetLane] = {}
        self._closing: list[TargetLane] = []
        self._broken: dict[str, TargetEntry] = {}
        self._why_broken: dict[str, str] = {}
        self._seen_overdue: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop``; attempts in progress then end first, each within its target's time-out."""
        rounds: dict[TargetLane, asyncio.Task[None]] = {}
        house_kept_at = self._clock.now()
        try:
            while not stop.is_set():
                await self._follow_file(busy=set(rounds))
                for lane in self._lanes.values():
                    if lane not in rounds:
                        rounds[lane] = asyncio.create_task(self._work(lane, stop), name=f"deliveries/{lane.entry.name}")
                if self._clock.now() >= house_kept_at:
                    house_kept_at = self._clock.now() + KEEP_HOUSE_EVERY
                    await self._keep_house()
                await is_set_within(stop, self._poll_seconds)
                for lane in [lane for lane, task in rounds.items() if task.done()]:
                    fault = rounds.pop(lane).exception()
                    if fault is not None:
                        log.error("deliveries stopped, they are started again", target=lane.entry.name, error=repr(fault))
        finally:
            await asyncio.gather(*rounds.values(), return_exceptions=True)
            await self.close()

    async def deliver_due(self) -> int:
        """Deliver everything that is due now over every target; return how many deliveries were tried."""
        await self._follow_file(busy=set())
        await self._digests.plan(self._clock.now())
        await self.expire()
        return sum(await asyncio.gather(*(self._deliver_all(lane) for lane in self._lanes.values())))

    async def expire(self) -> None:
        """Expire deliveries that became too old, and those for a target that is no longer in the file."""
        now = self._clock.now()
        old = await self._ledger.expire(
            created_before=now - self._limits.expires_after, now=now, note="it could not be sent in time"
        )
        known = [entry.name for entry in self._recipients.targets]
        orphans = await self._ledger.expire(
            created_before=now - ORPHAN_AFTER, now=now, note="its target is no longer in the file", but=known
        )
        for outcome, expired in (("expired", old), ("suppressed", orphans)):
            for target, count in expired.items():
                self._metrics.count(table.DELIVERIES, target, outcome, amount=count)
                log.error("alerts not sent", target=target, deliveries=count, outcome=outcome)

    async def check(self) -> Check:
        """Report the targets that take nothing: alerts are made and kept, but somebody does not get them."""
        now = self._clock.now()
        wanted = {entry.name: entry for entry in self._recipients.targets}
        faults = {name: self._why_broken[name] for name, entry in self._broken.items() if wanted.get(name) == entry}
        for name, lane in self._lanes.items():
            if await self._is_dead(lane, now) and lane.pulse.failing_since is not None:
                since = lane.pulse.failing_since.strftime("%Y-%m-%d %H:%M UTC")
                faults[name] = f"{lane.pulse.failures} attempts in a row failed, since {since}: {lane.pulse.reason}"
        if not faults:
            return Check(name="targets", status="ok", facts={"targets": len(wanted)})
        reason = "; ".join(f"{name}: {why}" for name, why in sorted(faults.items()))
        return Check(name="targets", status="degraded", reason=reason, facts={"targets": len(wanted), "dead": len(faults)})

    async def _is_dead(self, lane: TargetLane, now: datetime) -> bool:
        """Whether it takes nothing, from this process or another one that delivers to the same target."""
        pulse = lane.pulse
        if not pulse.is_dead(now):
            return False
        sent_at = await self._ledger.last_sent_at(lane.entry.name)
        if sent_at is not None and pulse.failed_at is not None and sent_at > pulse.failed_at:
            pulse.answered()
        return pulse.is_dead(now)

    async def sample(self) -> None:
        """Set the gauges of a scrape."""
        now = self._clock.now()
        for name, lane in self._lanes.items():
            since = lane.pulse.failing_since if await self._is_dead(lane, now) else None
            self._metrics.set(table.TARGET_FAILING_SECONDS, 0 if since is None else (now - since).total_seconds(), name)
        overdue = await self._ledger.count_overdue(due_before=now - OVERDUE_AFTER)
        for target in {*self._lanes, *self._seen_overdue, *overdue}:
            self._metrics.set(table.DELIVERIES_OVERDUE, overdue.get(target, 0), target)
        self._seen_overdue = set(overdue)

    async def close(self) -> None:
        """Close every target. Idempotent."""
        lanes = [*self._lanes.values(), *self._closing]
        self._lanes, self._closing = {}, []
        for lane in lanes:
            await lane.close()
        self._surveyor.close()

    async def _work(self, lane: TargetLane, stop: asyncio.Event) -> None:
        """Deliver while something is due, then wait for the next poll."""
        while not stop.is_set() and self._lanes.get(lane.entry.name) is lane:
            try:
                delivered = await lane.deliver_once(stop)
            except TransientError as error:
                log.warning("deliveries wait", target=lane.entry.name, reason=str(error))
                delivered = 0
            if not delivered:
                await is_set_within(stop, self._poll_seconds)

    async def _deliver_all(self, lane: TargetLane) -> int:
        total = 0
        while delivered := await lane.deliver_once():
            total += delivered
        return total

    async def _keep_house(self) -> None:
        try:
            await self._digests.plan(self._clock.now())
            await self.expire()
        except TransientError as error:
            log.warning("expiry waits", reason=str(error))

    async def _follow_file(self, *, busy: set[TargetLane]) -> None:
        """Open new targets and close those that changed or were removed; a busy one is closed after its round."""
        wanted = {entry.name: entry for entry in self._recipients.targets}
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
                target = self._opener(entry)
            except ConfigurationError as error:
                self._broken[name], self._why_broken[name] = entry, str(error)
                log.error("target not opened", target=name, reason=str(error))  # noqa: TRY400 - one line, no traceback
                continue
            self._broken.pop(name, None)
            self._lanes[name] = self._lane(entry, target)

    def _lane(self, entry: TargetEntry, target: Target) -> TargetLane:
        for outcome in OUTCOMES:  # from 0 on, so that a rule sees the first failure
            self._metrics.counter(table.DELIVERIES, entry.name, outcome)
        self._metrics.histogram(table.ALERT_LATENCY_SECONDS, entry.name)
        return TargetLane(
            entry=entry,
            target=target,
            ledger=self._ledger,
            mutes=self._mutes,
            recipients=self._recipients,
            clock=self._clock,
            metrics=self._metrics,
            random=self._random,
            limits=self._limits,
            surveyor=self._surveyor,
        )
