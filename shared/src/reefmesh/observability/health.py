"""Health is progress, not liveness: a service that is idle because nothing waits is healthy; work that does not move is not."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import structlog

from reefmesh.broker.port import Broker, BrokerStatistics
from reefmesh.contracts.channels import Subscription
from reefmesh.observability.progress import Progress
from reefmesh.observability.stacks import task_stacks
from reefmesh.store.port import Store, StoreRefused

Status = Literal["ok", "degraded", "failing"]

CHECK_TIMEOUT_SECONDS: Final = 2.0
BROKER_SILENT_SECONDS: Final = 60.0
REFUSED_SECONDS: Final = 60.0
"""How long broker or database may refuse us before a restart is asked for, which reads settings and secrets again: a password
that is being changed arrives here too. It is longer than the 30 s that a container has for its start."""

_ORDER: Final[tuple[Status, ...]] = ("ok", "degraded", "failing")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check. ``degraded``: work goes on, but a person should look; ``failing``: work does not go on.

    ``needs_restart``: what is wrong has lasted for the patience of a start and does not heal in this process (a login that is
    refused, a server of the wrong kind); a process that starts anew reads its settings and secrets again.
    """

    name: str
    status: Status
    reason: str = ""
    needs_restart: bool = False
    facts: dict[str, str | int | float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """``alive`` is False when starting the process again is the likely cure: work is stuck here although store and broker
    answer, or a check needs a restart. ``draining``: the service takes nothing new any more."""

    service: str
    status: Status
    alive: bool
    checks: Sequence[Check]
    draining: bool = False

    @property
    def ready(self) -> bool:
        """Whether the service takes messages and can finish them."""
        return self.status != "failing" and not self.draining

    @property
    def reasons(self) -> Sequence[str]:
        reasons = [f"{check.name}: {check.reason}" for check in self.checks if check.status != "ok"]
        return ["draining", *reasons] if self.draining else reasons

    def as_json(self) -> dict[str, object]:
        """Return the page of ``/health``."""
        return {
            "service": self.service,
            "status": self.status,
            "alive": self.alive,
            "ready": self.ready,
            "reasons": self.reasons,
            "checks": {check.name: {"status": check.status, "reason": check.reason, **check.facts} for check in self.checks},
        }


Probe = Callable[[], Awaitable[Check]]


class Health:
    """One service's health: the progress of its lanes, its broker, its store, and the probes that ``add`` brings.

    ``subscriptions``: those of the service. Messages that wait for other services on the same broker client do not concern
    it. None: all that the client has.
    """

    def __init__(
        self,
        service: str,
        progress: Progress,
        *,
        broker: Broker | None = None,
        store: Store | None = None,
        subscriptions: Collection[Subscription] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = service
        self._progress = progress
        self._broker = broker
        self._store = store
        self._subscriptions = subscriptions
        self._now = now
        self._probes: list[tuple[str, Probe]] = []
        self._waiting_since: float | None = None
        self._refused_since: float | None = None
        self._finished_when_waiting = 0
        self._reported: set[tuple[str, int, str]] = set()

    def add(self, name: str, probe: Probe) -> None:
        """Run ``probe`` too for every report; a probe that raises or takes more than 2 s counts as failing."""
        self._probes.append((name, probe))

    async def report(self) -> HealthReport:
        """Run all checks now; takes 2 s at most."""
        (broker_check, waiting), store_check, others = await asyncio.gather(
            self._broker_check(),
            self._store_check(),
            asyncio.gather(*(_bounded(name, probe) for name, probe in self._probes)),
        )
        progress = self._progress_check(waiting)
        checks = [check for check in (progress, broker_check, store_check, *others) if check is not None]
        dependencies_there = all(check.status != "failing" for check in (broker_check, store_check) if check is not None)
        return HealthReport(
            service=self.service,
            status=max((check.status for check in checks), key=_ORDER.index),
            alive=not (progress.status == "failing" and dependencies_there and bool(self._progress.stuck()))
            and not any(check.needs_restart for check in checks),
            checks=checks,
            draining=self._progress.is_draining,
        )

    async def watch(self, *, interval_seconds: float = 5.0) -> None:
        """Run all checks every few seconds until cancelled; log a stuck lane once, with the stacks of all tasks."""
        previous: Status = "ok"
        while True:
            report = await self.report()
            if report.status != previous:
                log = _log.info if report.status == "ok" else _log.warning
                log("health changed", service=self.service, status=report.status, was=previous, reasons=list(report.reasons))
                previous = report.status
            self.log_stuck_lanes()
            await asyncio.sleep(interval_seconds)

    def log_stuck_lanes(self) -> int:
        """Log the lanes that got stuck since the last call, with the stacks of all tasks; return their number."""
        stuck = {(held.subscription, held.lane, held.event_id): held for held in self._progress.stuck()}
        fresh = [held for key, held in stuck.items() if key not in self._reported]
        self._reported = set(stuck)
        for held in fresh:
            _log.error(
                "lane stuck",
                service=self.service,
                subscription=held.subscription,
                lane=held.lane,
                reef_id=held.reef_id,
                event_id=held.event_id,
                still_seconds=round(held.still_seconds, 1),
            )
        if fresh:
            _log.error("stacks of all tasks", service=self.service, stacks=task_stacks())
        return len(fresh)

    def _progress_check(self, waiting: int) -> Check:
        now, limit, seen = self._now(), self._progress.stall_after_seconds, self._progress.statistics()
        if not waiting or seen.draining:
            self._waiting_since = None
        elif self._waiting_since is None or seen.finished != self._finished_when_waiting:
            self._waiting_since = now
        self._finished_when_waiting = seen.finished
        starved_seconds = 0.0 if self._waiting_since is None else now - self._waiting_since
        facts: dict[str, str | int | float | None] = {
            "received": seen.received,
            "finished": seen.finished,
            "in_flight": len(seen.held),
            "waiting": waiting,
            "oldest_unacknowledged_seconds": round(max((held.held_seconds for held in seen.held), default=0.0), 1),
            "idle_seconds": round(seen.idle_seconds, 1),
        }
        unmoved_seconds = max(seen.unmoved_seconds, starved_seconds)
        status: Status = "ok"
        reason = "draining" if seen.draining else ""
        if unmoved_seconds > limit:
            status = "failing"
            reason = f"{len(seen.held)} in flight, {waiting} waiting, and nothing was finished for {unmoved_seconds:.0f} s"
            error = next((held.error for held in seen.held if held.error), None)
            reason += f"; latest failure: {error}" if error else ""
        elif late := [held for held in seen.held if held.held_seconds > limit]:
            status = "degraded"
            worst = max(late, key=lambda held: held.held_seconds)
            reason = f"lane {worst.lane} of {worst.subscription} has held a message of {worst.reef_id} "
            reason += f"for {worst.held_seconds:.0f} s" + (f": {worst.error}" if worst.error else "")
        return Check(name="progress", status=status, reason=reason, facts=facts)

    async def _broker_check(self) -> tuple[Check | None, int]:
        if self._broker is None:
            return None, 0
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                seen = await self._broker.statistics()
        except Exception as error:  # noqa: BLE001 - the check reports whatever is wrong
            return Check(name="broker", status="failing", reason=_reason(error)), 0
        own = seen.subscriptions.keys() if self._subscriptions is None else self._subscriptions
        waiting = sum(each.waiting_messages or 0 for name, each in seen.subscriptions.items() if name in own)
        return _judge_broker(seen), waiting

    async def _store_check(self) -> Check | None:
        store = self._store
        if store is None:
            return None

        async def probe() -> Check:
            try:
                await store.fetch("SELECT 1")
            except StoreRefused as refusal:
                return self._judge_refusal(refusal)
            self._refused_since = None
            return Check(name="store", status="ok", facts={"units_waiting": store.statistics().units_waiting})

        return await _bounded("store", probe)

    def _judge_refusal(self, refusal: StoreRefused) -> Check:
        now = self._now()
        self._refused_since = now if self._refused_since is None else self._refused_since
        refused_seconds = now - self._refused_since
        needs_restart = refused_seconds > REFUSED_SECONDS
        reason = f"refused for {refused_seconds:.0f} s: {refusal}"
        reason += "; a restart reads settings and secrets again" if needs_restart else ""
        return Check(name="store", status="failing", reason=reason, needs_restart=needs_restart)


def _judge_broker(seen: BrokerStatistics) -> Check:
    facts: dict[str, str | int | float | None] = {"last_heard_seconds": seen.last_heard_seconds, "reconnects": seen.reconnects}
    if seen.refused_seconds is not None:
        needs_restart = seen.refused_seconds > REFUSED_SECONDS
        reason = f"refused for {seen.refused_seconds:.0f} s: {seen.trouble}"
        reason += "; a restart reads user and password again" if needs_restart else ""
        return Check(name="broker", status="failing", reason=reason, needs_restart=needs_restart, facts=facts)
    if not seen.connected:
        reason = f"not connected: {seen.trouble}" if seen.trouble else "not connected"
        return Check(name="broker", status="failing", reason=reason, facts=facts)
    if seen.last_heard_seconds is not None and seen.last_heard_seconds > BROKER_SILENT_SECONDS:
        return Check(name="broker", status="failing", reason=f"silent for {seen.last_heard_seconds:.0f} s", facts=facts)
    return Check(name="broker", status="ok", facts=facts)


async def _bounded(name: str, probe: Probe) -> Check:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await probe()
    except Exception as error:  # noqa: BLE001 - the check reports whatever is wrong
        return Check(name=name, status="failing", reason=_reason(error))


def _reason(error: Exception) -> str:
    return f"no answer within {CHECK_TIMEOUT_SECONDS:.0f} s" if isinstance(error, TimeoutError) else str(error) or repr(error)
