"""Which recipients get an alert, over which targets, and when. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal

from reefmesh.contracts.alerts import Alert, Kind
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
    return wants(recipient, alert.reef_id, alert.kind) and worst_severity >= recipient.minimum.get(alert.kind, 0)


def wants(recipient: RecipientEntry, reef_id: str, kind: Kind) -> bool:
    """Whether a recipient wants alerts of this kind at this reef, from its minimum on."""
    return kind in recipient.kinds and any(fnmatchcase(reef_id, pattern) for pattern in recipient.reefs)


def is_too_old(recipient: RecipientEntry, alert: Alert) -> bool:
    """Whether the data of an alert were older, when it was raised, than the recipient wants."""
    return 0 < recipient.data_age_limit_hours < alert.data_age_seconds / 3600


def delivery_key(alert_id: str, recipient: str, target: str) -> str:
    """Return the key of the one delivery of an alert for a recipient over a target."""
    return event_id_of(alert_id, f"{recipient}\n{target}")


def tell_at(recipient: RecipientEntry, kind: Kind, severity: int, at: datetime) -> datetime:
    """Return when a recipient gets what is to be told ``at``: with the next digest, after quiet hours, or then."""
    if recipient.digest is not None:
        return recipient.digest.daily.next_after(at)
    quiet = recipient.quiet_hours
    if quiet is None or quiet.breaks(kind, severity):
        return at
    return quiet.span.end_after(at) or at


def _plan(alert: Alert, worst_severity: int, recipient: RecipientEntry, target: str) -> PlannedDelivery:
    raised_at = alert.raised_at
    next_attempt_at, digest_at, break_through = raised_at, None, False
    limit_hours = recipient.data_age_limit_hours
    too_old = is_too_old(recipient, alert)
    if recipient.digest is not None:
        next_attempt_at = digest_at = recipient.digest.daily.next_after(raised_at)
    elif (quiet := recipient.quiet_hours) is not None:
        break_through = quiet.breaks(alert.kind, worst_severity)
        ends_at = None if break_through else quiet.span.end_after(raised_at)
        next_attempt_at = ends_at or raised_at
    return PlannedDelivery(
        idempotency_key=delivery_key(alert.alert_id, recipient.name, target),
        recipient=recipient.name,
        target=target,
        status="expired" if too_old else "pending",
        next_attempt_at=next_attempt_at,
        digest_at=digest_at,
        break_through=break_through,
        note=f"the data were {age(alert.data_age_seconds)} old, the limit is {limit_hours:g} h" if too_old else "",
    )
