"""The deliveries of one target: taken under a lease, sent concurrently up to the target's limit, then settled or postponed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final, Literal, assert_never
from uuid import uuid4

import structlog

from reefmesh.backoff import Backoff
from reefmesh.clock import Clock
from reefmesh.contracts.envelope import event_id_of
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh_alerts.delivery.daily_digests import is_wanted
from reefmesh_alerts.delivery.ledger import Ledger, Taken, TakenDelivery
from reefmesh_alerts.delivery.pulse import Pulse
from reefmesh_alerts.delivery.purpose import lead_of, subject_of
from reefmesh_alerts.delivery.surveyor import Surveyor
from reefmesh_alerts.domain.transition import instant_of
from reefmesh_alerts.muting.ledger import Mutes
from reefmesh_alerts.muting.mute import Mute, muted_by
from reefmesh_alerts.recipients.entries import RecipientEntry
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.targets.entries import TargetEntry
from reefmesh_alerts.targets.port import Notice, Rejected, SendResult, Sent, Target, TryAgain
from reefmesh_alerts.texts.headline import alert_subject
from reefmesh_alerts.texts.letter import digest_subject

log = structlog.get_logger()

LEASE_MARGIN: Final = timedelta(seconds=60)
"""Added to the target's time-out: for the database, a pause of the process, and clocks that differ."""

BEGIN_WITHIN: Final = timedelta(seconds=30)
"""Counted from the taking. A delivery that has not begun by then is given back: its attempt might outlast its lease."""

TAKEN_AT_ONCE: Final = 100
"""Deliveries under one lease: their ledger rows are read and written together, whatever the target's concurrency."""

ORPHAN_AFTER: Final = timedelta(hours=1)
ORPHAN_LOOK: Final = timedelta(minutes=1)
CountedOutcome = Literal["delivered", "retrying", "failed", "expired", "suppressed", "muted"]
"""The outcomes that ``table.DELIVERIES`` counts."""

NO_LONGER_THERE: Final = "its recipient is no longer in the file"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLimits:
    """The limits of every delivery; see ``AlertsSettings``."""

    attempts: int = 60
    backoff: Backoff = field(default_factory=lambda: Backoff(first_seconds=5.0, max_seconds=3600.0))
    expires_after: timedelta = timedelta(hours=72)


class TargetLane:
    """Sends the due deliveries of one target. A dead or slow target delays only itself."""

    def __init__(
        self,
        *,
        entry: TargetEntry,
        target: Target,
        ledger: Ledger,
        mutes: Mutes,
        recipients: Recipients,
        clock: Clock,
        metrics: Metrics,
        random: Random,
        limits: DeliveryLimits,
        surveyor: Surveyor,
    ) -> None:
        self.entry = entry
        self.pulse = Pulse()
        self._target = target
        self._ledger = ledger
        self._mutes = mutes
        self._recipients = recipients
        self._clock = clock
        self._metrics = metrics
        self._random = random
        self._limits = limits
        self._surveyor = surveyor
        self._room = asyncio.Semaphore(entry.concurrency)

    async def deliver_once(self, stop: asyncio.Event | None = None) -> int:
        """Take one round of due deliveries and finish it; those not begun when ``stop`` is set are given back.

        Returns how many deliveries were taken.

        Raises:
            StoreUnavailable: a delivery that was sent but not settled will be sent again under the same key.
        """
        now = self._clock.now()
        lease = timedelta(seconds=self.entry.timeout_seconds) + LEASE_MARGIN
        taken = await self._ledger.take(self.entry.name, token=str(uuid4()), now=now, lease=lease, limit=TAKEN_AT_ONCE)
        if taken is None:
            return 0
        deliveries = await self._without_muted(taken, now)
        rounds = [deliveries] if taken.digest_us else [[delivery] for delivery in deliveries]
        until = now + BEGIN_WITHIN
        await asyncio.gather(*(self._deliver(taken, together, until, stop) for together in rounds if together))
        return len(taken.deliveries)

    async def close(self) -> None:
        await self._target.close()

    async def _without_muted(self, taken: Taken, now: datetime) -> Sequence[TakenDelivery]:
        """Hold back the deliveries that are muted, and return the others."""
        mutes = await self._mutes.effective()
        muted: dict[str, Mute] = {}
        for each in taken.deliveries if mutes else ():
            if each.alert is None:
                continue
            mute = muted_by(each.alert, mutes, raised_at=instant_of(each.created_us), now=now)
            if mute is not None:
                muted[each.idempotency_key] = mute
        if not muted:
            return taken.deliveries
        await self._ledger.mute(taken.token, list(muted.items()), at=now)
        self._count("muted", len(muted))
        log.info("alerts muted", target=self.entry.name, alerts=len(muted))
        return [each for each in taken.deliveries if each.idempotency_key not in muted]

    async def _deliver(
        self, taken: Taken, together: Sequence[TakenDelivery], until: datetime, stop: asyncio.Event | None
    ) -> None:
        """The target's concurrency limits only the sending: rows that settle at the same time share a commit."""
        recipient = self._recipients.named(together[0].recipient)
        if recipient is None or self.entry.name not in recipient.targets:
            await self._leave_orphans(taken, together, self._clock.now())
            return
        if all(each.alert is None for each in together) and not is_wanted(recipient, instant_of(taken.digest_us)):
            await self._ledger.settle(
                taken, together, "expired", at=self._clock.now(), attempted=False, note="this digest is not wanted any more"
            )
            self._count("suppressed", len(together))
            return
        result: SendResult | None = None
        async with self._room:
            now = self._clock.now()
            quiet_until = _quiet_until(taken, together[0], recipient, now)
            is_too_late = now >= until or (stop is not None and stop.is_set())
            if quiet_until is None and not is_too_late:
                result = await self._send(await self._notice(taken, together, recipient, now), now)
        if result is not None:
            await self._settle(taken, together, result, recipient)
        elif quiet_until is not None:
            await self._ledger.postpone(taken, together, until=quiet_until, attempted=False, note="quiet hours")
        else:
            await self._ledger.postpone(taken, together, until=now, attempted=False, note="it could not begin in time")

    async def _notice(
        self, taken: Taken, together: Sequence[TakenDelivery], recipient: RecipientEntry, now: datetime
    ) -> Notice:
        alerts = [each.alert for each in together if each.alert is not None]
        digest = bool(taken.digest_us)
        if digest:
            keys = "\n".join(sorted(each.idempotency_key for each in together))
            subject = subject_of(taken.purpose, alerts) if taken.purpose else digest_subject(alerts, recipient=recipient.name)
            key = event_id_of(f"{taken.purpose or 'digest'}/{recipient.name}/{taken.digest_us}", keys)
        else:
            subject, key = alert_subject(alerts[0]), together[0].idempotency_key
        background = await self._surveyor.background(alerts, recipient, self.entry, digest=digest, now=now)
        return Notice(
            idempotency_key=key,
            recipient=recipient.name,
            who=recipient.who,
            to=recipient.to,
            digest=digest,
            alerts=alerts,
            subject=subject,
            lead=lead_of(taken.purpose),
            background=background,
        )

    async def _send(self, notice: Notice, at: datetime) -> SendResult:
        try:
            async with asyncio.timeout(self.entry.timeout_seconds):
                return await self._target.send(notice, at=at)
        except TimeoutError:
            return TryAgain(reason=f"no answer within {self.entry.timeout_seconds:g} s")
        except Exception as error:  # noqa: BLE001 - a fault in one target's code must not stop the other targets
            return TryAgain(reason=f"{type(error).__name__}: {error}"[:300])

    async def _settle(
        self, taken: Taken, together: Sequence[TakenDelivery], result: SendResult, recipient: RecipientEntry
    ) -> None:
        now = self._clock.now()
        attempt = max(each.attempts for each in together) + 1
        facts = {"target": self.entry.name, "recipient": together[0].recipient, "attempt": attempt}
        if not isinstance(result, Sent):
            since = due_at(together[0], recipient, digest_us=taken.digest_us)
            self.pulse.failed(result.reason, attempt=attempt, since=since, at=now)
        match result:
            case Sent(note=note):
                self.pulse.answered()
                await self._ledger.settle(taken, together, "sent", at=now, attempted=True, note=note)
                self._count("delivered", len(together))
                for each in together:
                    latency_seconds = (now - due_at(each, recipient, digest_us=taken.digest_us)).total_seconds()
                    self._metrics.observe(table.ALERT_LATENCY_SECONDS, max(0.0, latency_seconds), self.entry.name)
                log.info("alert delivered", alerts=sum(each.alert is not None for each in together), note=note, **facts)
            case TryAgain(reason=reason, after_seconds=asked_seconds) if attempt < self._limits.attempts:
                backoff = self._limits.backoff
                asked_seconds = min(asked_seconds or 0.0, backoff.max_seconds)
                delay_seconds = max(backoff.delay_seconds(attempt, self._random), asked_seconds)
                until = now + timedelta(seconds=delay_seconds)
                await self._ledger.postpone(taken, together, until=until, attempted=True, note=reason)
                self._count("retrying", len(together))
                log.warning(
                    "alert not delivered, it is tried again", reason=reason, in_seconds=round(delay_seconds, 1), **facts
                )
            case TryAgain(reason=reason) | Rejected(reason=reason):
                await self._ledger.settle(taken, together, "failed", at=now, attempted=True, note=reason)
                self._count("failed", len(together))
                log.error("alert not delivered, given up", reason=reason, **facts)
            case _:
                assert_never(result)

    async def _leave_orphans(self, taken: Taken, together: Sequence[TakenDelivery], now: datetime) -> None:
        """Another process may have read a newer file than this one, so wait a while before giving the deliveries up."""
        gone = [each for each in together if now - instant_of(each.created_us) >= ORPHAN_AFTER]
        kept = [each for each in together if each not in gone]
        if gone:
            await self._ledger.settle(taken, gone, "expired", at=now, attempted=False, note=NO_LONGER_THERE)
            self._count("suppressed", len(gone))
        if kept:
            await self._ledger.postpone(taken, kept, until=now + ORPHAN_LOOK, attempted=False, note=NO_LONGER_THERE)

    def _count(self, outcome: CountedOutcome, deliveries: int) -> None:
        self._metrics.count(table.DELIVERIES, self.entry.name, outcome, amount=deliveries)


def due_at(delivery: TakenDelivery, recipient: RecipientEntry, *, digest_us: int) -> datetime:
    """Return when a delivery was due: when its alert was raised, unless the recipient asked for a later time."""
    if digest_us:
        return instant_of(digest_us)
    raised_at = instant_of(delivery.created_us)
    quiet = None if delivery.break_through else recipient.quiet_hours
    return raised_at if quiet is None else quiet.span.end_after(raised_at) or raised_at


def _quiet_until(taken: Taken, first: TakenDelivery, recipient: RecipientEntry, now: datetime) -> datetime | None:
    """Return the end of the quiet hours that postpone a delivery; None if it may be sent now."""
    quiet = recipient.quiet_hours
    if quiet is None or taken.digest_us or first.break_through:
        return None
    return quiet.span.end_after(now)
