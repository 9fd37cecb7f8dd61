"""To whom an alert goes, and when. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.envelope import event_id_of
from reefmesh_alerts.domain.alert_text import age
from reefmesh_alerts.subscriptions.entries import SubscriptionEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDelivery:
    """One alert to one subscription over one channel. ``digest_at`` is None for what is told at once."""

    idempotency_key: str
    subscription: str
    channel: str
    status: Literal["pending", "expired"]
    next_attempt_at: datetime
    digest_at: datetime | None
    break_through: bool
    note: str


def plan_deliveries(alert: Alert, worst_severity: int, subscriptions: Sequence[SubscriptionEntry]) -> list[PlannedDelivery]:
    """Return what the subscriptions make of an alert; ``worst_severity`` decides whether it concerns them."""
    return [
        _plan(alert, worst_severity, subscription, channel)
        for subscription in subscriptions
        if matches(subscription, alert, worst_severity)
        for channel in subscription.channels
    ]


def matches(subscription: SubscriptionEntry, alert: Alert, worst_severity: int) -> bool:
    return (
        alert.kind in subscription.kinds
        and worst_severity >= subscription.minimum.get(alert.kind, 0)
        and any(fnmatchcase(alert.reef_id, pattern) for pattern in subscription.reefs)
    )


def _plan(alert: Alert, worst_severity: int, subscription: SubscriptionEntry, channel: str) -> PlannedDelivery:
    raised_at = alert.raised_at
    next_attempt_at, digest_at, break_through = raised_at, None, False
    limit_hours = subscription.data_age_limit_hours
    too_old = 0 < limit_hours < alert.data_age_seconds / 3600
    if subscription.digest is not None:
        next_attempt_at = digest_at = subscription.digest.daily.next_after(raised_at)
    elif (quiet := subscription.quiet_hours) is not None:
        break_through = quiet.breaks(alert.kind, worst_severity)
        ends_at = None if break_through else quiet.span.end_after(raised_at)
        next_attempt_at = ends_at or raised_at
    return PlannedDelivery(
        idempotency_key=event_id_of(alert.alert_id, f"{subscription.name}\n{channel}"),
        subscription=subscription.name,
        channel=channel,
        status="expired" if too_old else "pending",
        next_attempt_at=next_attempt_at,
        digest_at=digest_at,
        break_through=break_through,
        note=f"the data were {age(alert.data_age_seconds)} old, the limit is {limit_hours:g} h" if too_old else "",
    )
