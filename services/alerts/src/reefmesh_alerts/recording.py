"""Turns transitions into alerts: the messages for ``reef.alerts`` and the ledger's rows, in the unit of work that changes the
state."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from reefmesh.contracts.alerts import Alert, schema_of
from reefmesh.contracts.channels import ALERTS
from reefmesh.contracts.envelope import event_id_of
from reefmesh.service.handler import Output
from reefmesh.store.port import Write
from reefmesh_alerts.domain.alert_text import plain
from reefmesh_alerts.domain.reef_watch import ReefWatch, next_deadline_us
from reefmesh_alerts.domain.transition import Transition, microseconds
from reefmesh_alerts.recipients.entries import RecipientEntry
from reefmesh_alerts.recipients.routing import PlannedDelivery, plan_deliveries
from reefmesh_alerts.texts.headline import summarise

INSERT_ALERT: Final = (
    "INSERT INTO alerts (alert_id, reef_id, kind, subject, change, severity, occurred_us, raised_us, body_json)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (alert_id) DO NOTHING"
)
UPSERT_EPISODE: Final = (
    "INSERT INTO episodes"
    " (reef_id, kind, subject, buoy_id, state, severity, standing, since_us, changed_us, alert_id, summary)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (reef_id, kind, subject) DO UPDATE SET"
    " buoy_id = excluded.buoy_id, state = excluded.state, severity = excluded.severity, standing = excluded.standing,"
    " since_us = CASE WHEN episodes.standing = 1 AND excluded.standing = 1 THEN episodes.since_us ELSE excluded.since_us END,"
    " changed_us = excluded.changed_us, alert_id = excluded.alert_id, summary = excluded.summary"
)
INSERT_DELIVERY: Final = (
    "INSERT INTO deliveries (idempotency_key, alert_id, reef_id, subscription, channel, status, attempts, created_us,"
    " next_attempt_us, digest_us, lease_token, leased_until_us, settled_us, last_error, break_through)"
    " VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, '', 0, ?, ?, ?) ON CONFLICT (idempotency_key) DO NOTHING"
)
UPSERT_DEADLINE: Final = (
    "INSERT INTO deadlines (reef_id, next_deadline_us) VALUES (?, ?)"
    " ON CONFLICT (reef_id) DO UPDATE SET next_deadline_us = excluded.next_deadline_us"
)
DELETE_DEADLINE: Final = "DELETE FROM deadlines WHERE reef_id = ?"


def record(
    reef_id: str,
    watch: ReefWatch,
    transitions: Sequence[Transition],
    *,
    raised_at: datetime,
    recipients: Sequence[RecipientEntry],
) -> tuple[ReefWatch, list[Write], list[Output]]:
    """Return the reef with its alerts counted, the rows to write and the messages to publish."""
    if not transitions:
        return watch, [], []
    told = dict(watch.told)
    writes: list[Write] = []
    outputs: list[Output] = []
    for transition in transitions:
        number = told[transition.episode] = told.get(transition.episode, 0) + 1
        alert = make_alert(reef_id, watch.reef_name, transition, number=number, raised_at=raised_at)
        body = alert.__pydantic_serializer__.to_json(alert)
        writes.append(_alert_row(alert, body))
        writes.append(_episode_row(alert, transition))
        planned = plan_deliveries(alert, transition.worst_severity, recipients)
        writes.extend(_delivery_row(alert, delivery) for delivery in planned)
        outputs.append(Output(channel=ALERTS, step=alert.alert_id, schema_id=schema_of(alert.kind), body=body))
    return replace(watch, told=told), writes, outputs


def make_alert(reef_id: str, reef_name: str, transition: Transition, *, number: int, raised_at: datetime) -> Alert:
    """Return a transition as an alert.

    Its id is made of the transition and of ``number``, which counts the alerts of this kind and subject at this reef. It does
    not depend on the message, so a redelivery, or a replay into an empty database, makes the same id.
    """
    step = f"{number}/{transition.change}/{transition.to_state}/{transition.occurred_at.isoformat()}"
    alert = Alert.model_construct(
        alert_id=event_id_of(f"alert/{reef_id}/{transition.episode}", step),
        reef_id=reef_id,
        reef_name=plain(reef_name),
        kind=transition.kind,
        subject=plain(transition.subject),
        buoy_id=transition.buoy_id,
        change=transition.change,
        from_state=transition.from_state,
        to_state=transition.to_state,
        severity=transition.severity,
        occurred_at=transition.occurred_at,
        raised_at=raised_at,
        data_age_seconds=max(0.0, (raised_at - transition.evidence_at).total_seconds()),
        summary="",
        evidence=dict(transition.evidence),
    )
    return alert.model_copy(update={"summary": summarise(alert)})


def keep_deadline(reef_id: str, watch: ReefWatch) -> tuple[ReefWatch, list[Write]]:
    """Write the reef's next deadline if it is earlier than the one in its row.

    A deadline that is too early does no harm: the ticker finds nothing due and moves it. Every report moves the deadline of a
    buoy's silence by one interval; this way that costs one row in three reports instead of one in each.
    """
    next_us, kept_us = next_deadline_us(watch), watch.looked_for_us
    if next_us is None or (kept_us is not None and kept_us <= next_us):
        return watch, []
    return move_deadline(reef_id, watch)


def move_deadline(reef_id: str, watch: ReefWatch) -> tuple[ReefWatch, list[Write]]:
    """Write the reef's next deadline, whatever its row says."""
    next_us = next_deadline_us(watch)
    watch = replace(watch, looked_for_us=next_us)
    if next_us is None:
        return watch, [Write(DELETE_DEADLINE, (reef_id,))]
    return watch, [Write(UPSERT_DEADLINE, (reef_id, next_us))]


def _alert_row(alert: Alert, body: bytes) -> Write:
    return Write(
        INSERT_ALERT,
        (
            alert.alert_id,
            alert.reef_id,
            alert.kind,
            alert.subject,
            alert.change,
            alert.severity,
            microseconds(alert.occurred_at),
            microseconds(alert.raised_at),
            body.decode(),
        ),
    )


def _episode_row(alert: Alert, transition: Transition) -> Write:
    occurred_us = microseconds(alert.occurred_at)
    return Write(
        UPSERT_EPISODE,
        (
            alert.reef_id,
            alert.kind,
            alert.subject,
            alert.buoy_id,
            alert.to_state,
            alert.severity,
            int(transition.stands),
            occurred_us,
            occurred_us,
            alert.alert_id,
            alert.summary,
        ),
    )


def _delivery_row(alert: Alert, delivery: PlannedDelivery) -> Write:
    raised_us = microseconds(alert.raised_at)
    return Write(
        INSERT_DELIVERY,
        (
            delivery.idempotency_key,
            alert.alert_id,
            alert.reef_id,
            delivery.recipient,  # column: subscription
            delivery.target,  # column: channel
            delivery.status,
            raised_us,
            microseconds(delivery.next_attempt_at),
            0 if delivery.digest_at is None else microseconds(delivery.digest_at),
            None if delivery.status == "pending" else raised_us,
            delivery.note,
            int(delivery.break_through),
        ),
    )
