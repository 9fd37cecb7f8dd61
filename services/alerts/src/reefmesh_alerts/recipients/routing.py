"""Which recipients get an alert, over which targets, and when. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.envelope import event_id_of
from reefmesh_alerts.domain.alert_text import age
from reefmesh_alerts.recipients.entries import RecipientEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDelivery:
    """One alert for one recipient over one target. ``digest_at`` is None for an alert that is sent at once."""

    idempotency_key: str
    recipient: str
    target: str
    status: Literal["pending", "expired"]
    next_attempt_at: datetime
    digest_at: datetime | None
    break_through: bool
    note: str


def plan_deliveries(alert: Alert, worst_severity: int, recipients: Sequence[RecipientEntry]) -> list[PlannedDelivery]:
    """Return one delivery for each recipient whose rule matches and each of its targets.

    ``worst_severity`` is compared with the recipient's minimum.
    """
    return [
        _plan(alert, worst_severity, recipient, target)
        for recipient in recipients
        if matches(recipient, alert, worst_severity)
        for target in recipient.targets
    ]


def matches(recipient: RecipientEntry, alert: Alert, worst_severity: int) -> bool:
    return (
        alert.kind in recipient.kinds
        and worst_severity >= recipient.minimum.get(alert.kind, 0)
        and any(fnmatchcase(alert.reef_id, pattern) for pattern in recipient.reefs)
    )


def _plan(alert: Alert, worst_severity: int, recipient: RecipientEntry, target: str) -> PlannedDelivery:
    raised_at = alert.raised_at
    next_attempt_at, digest_at, break_through = raised_at, None, False
    limit_hours = recipient.data_age_limit_hours
    too_old = 0 < limit_hours < alert.data_age_seconds / 3600
    if recipient.digest is not None:
        next_attempt_at = digest_at = recipient.digest.daily.next_after(raised_at)
    elif (quiet := recipient.quiet_hours) is not None:
        break_through = quiet.breaks(alert.kind, worst_severity)
        ends_at = None if break_through else quiet.span.end_after(raised_at)
        next_attempt_at = ends_at or raised_at
    return PlannedDelivery(
        idempotency_key=event_id_of(alert.alert_id, f"{recipient.name}\n{target}"),
        recipient=recipient.name,
        target=target,
        status="expired" if too_old else "pending",
        next_attempt_at=next_attempt_at,
        digest_at=digest_at,
        break_through=break_through,
        note=f"the data were {age(alert.data_age_seconds)} old, the limit is {limit_hours:g} h" if too_old else "",
    )
