"""Reads the ledger, for the commands and pages that show it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from reefmesh.contracts.alerts import Alert
from reefmesh.store.port import Row, Store
from reefmesh_alerts.domain.transition import instant_of, microseconds

PAGE_ROWS: Final = 1000

_SELECT_PAGE: Final = (
    "SELECT reef_id, occurred_us, alert_id, body_json FROM alerts WHERE (reef_id, occurred_us, alert_id) > (?, ?, ?)"
    " ORDER BY reef_id, occurred_us, alert_id LIMIT ?"
)
_SELECT_REEF_PAGE: Final = (
    "SELECT reef_id, occurred_us, alert_id, body_json FROM alerts WHERE reef_id = ? AND (occurred_us, alert_id) > (?, ?)"
    " ORDER BY occurred_us, alert_id LIMIT ?"
)
_SELECT_NEWEST: Final = "SELECT body_json FROM alerts ORDER BY raised_us DESC, occurred_us DESC, alert_id LIMIT ?"
_SELECT_EPISODES: Final = (
    "SELECT reef_id, kind, subject, buoy_id, state, severity, since_us, changed_us, alert_id, summary FROM episodes"
    " WHERE standing = 1 ORDER BY reef_id, kind, subject LIMIT ?"
)
_SELECT_DELIVERIES: Final = (
    "SELECT d.idempotency_key, d.alert_id, d.reef_id, d.subscription, d.channel, d.status, d.attempts, d.created_us,"
    " d.next_attempt_us, d.digest_us, d.settled_us, d.last_error, a.body_json, d.purpose, d.mute_id"
    " FROM deliveries d JOIN alerts a ON a.alert_id = d.alert_id"
)
_CHOSEN: Final = " (? = '' OR a.reef_id = ?) AND (? = '' OR a.kind = ?)"
_SELECT_CHOSEN: Final = (
    "SELECT a.body_json FROM alerts a WHERE a.raised_us >= ? AND"  # noqa: S608 - our own text
    f"{_CHOSEN} ORDER BY a.raised_us DESC, a.occurred_us DESC, a.alert_id LIMIT ?"
)
_SELECT_FAILED: Final = f"{_SELECT_DELIVERIES} WHERE d.status IN ('failed', 'expired') AND d.created_us >= ? AND{_CHOSEN}"
_SELECT_BY_ID: Final = "SELECT body_json FROM alerts WHERE alert_id >= ? AND alert_id < ? ORDER BY alert_id LIMIT 2"
_COUNT_MUTED: Final = "SELECT COUNT(*) FROM deliveries WHERE mute_id = ? AND status = 'muted'"
_SELECT_DEAD: Final = (
    "SELECT d.channel, COUNT(*), SUM(d.attempts), MIN(d.created_us), MAX(d.last_error) FROM deliveries d"
    " WHERE d.status IN ('pending', 'failed') AND d.attempts > 0 AND d.created_us >= ?"
    " AND NOT EXISTS (SELECT 1 FROM deliveries s"
    " WHERE s.status = 'sent' AND s.channel = d.channel AND s.settled_us >= d.created_us)"
    " GROUP BY d.channel ORDER BY d.channel"
)
_NEWEST_FIRST: Final = " ORDER BY d.created_us DESC, d.idempotency_key LIMIT ?"
_COUNT_DELIVERIES: Final = "SELECT channel, status, COUNT(*) FROM deliveries GROUP BY channel, status ORDER BY channel, status"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEpisode:
    """An open episode; ``since`` is event time."""

    reef_id: str
    kind: str
    subject: str
    buoy_id: str | None
    state: str
    severity: int
    since: datetime
    changed_at: datetime
    alert_id: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One alert for one recipient over one target; ``settled_at`` is None while it is pending."""

    idempotency_key: str
    alert_id: str
    reef_id: str
    recipient: str
    target: str
    status: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    digest_at: datetime | None
    settled_at: datetime | None
    last_error: str
    summary: str
    purpose: str
    mute_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChoice:
    """Which alerts to list; an empty ``reef_id`` or ``kind`` is any."""

    reef_id: str = ""
    kind: str = ""
    since: datetime = datetime(1, 1, 1, tzinfo=UTC)

    @property
    def parameters(self) -> tuple[int, str, str, str, str]:
        return microseconds(self.since), self.reef_id, self.reef_id, self.kind, self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadTarget:
    """A target that has taken nothing since ``since``, when the oldest of its ``deliveries`` that failed was due."""

    target: str
    deliveries: int
    attempts: int
    since: datetime
    last_error: str


async def newest_alerts(store: Store, *, limit: int = 50) -> Sequence[Alert]:
    """Return the newest alerts, by the time they were raised, newest first."""
    return [Alert.model_validate_json(body) for (body,) in await store.fetch(_SELECT_NEWEST, (limit,))]


async def list_alerts(store: Store, choice: AlertChoice, *, limit: int = 50) -> Sequence[Alert]:
    """Return the alerts of a choice, by the time they were raised, newest first."""
    rows = await store.fetch(_SELECT_CHOSEN, (*choice.parameters, limit))
    return [Alert.model_validate_json(body) for (body,) in rows]


async def alerts_named(store: Store, beginning: str) -> Sequence[Alert]:
    """Return the alert of this id, or whose id begins like this; two if there are more than one."""
    rows = await store.fetch(_SELECT_BY_ID, (beginning, f"{beginning}~"))
    return [Alert.model_validate_json(body) for (body,) in rows]


async def failed_deliveries(store: Store, choice: AlertChoice, *, limit: int = 50) -> Sequence[DeliveryRow]:
    """Return the deliveries that failed or expired, newest first."""
    return [_delivery(row) for row in await store.fetch(_SELECT_FAILED + _NEWEST_FIRST, (*choice.parameters, limit))]


async def count_muted(store: Store, mute_id: str) -> int:
    """Return how many deliveries a mute holds back."""
    return int((await store.fetch(_COUNT_MUTED, (mute_id,)))[0][0])


async def dead_targets(store: Store, *, since: datetime, attempts: int) -> Sequence[DeadTarget]:
    """Return the targets that have failed so many attempts or more at deliveries made ``since`` then, and have taken nothing
    after the oldest of these was made."""
    rows = await store.fetch(_SELECT_DEAD, (microseconds(since),))
    return [
        DeadTarget(target=target, deliveries=count, attempts=tried, since=instant_of(since_us), last_error=error)
        for target, count, tried, since_us, error in rows
        if tried >= attempts
    ]


async def export_alerts(store: Store, *, reef_id: str | None = None) -> AsyncIterator[Alert]:
    """Yield the whole ledger, or one reef's, in its one order: reef, event time, id."""
    async for body in export_alerts_json(store, reef_id=reef_id):
        yield Alert.model_validate_json(body)


async def export_alerts_json(store: Store, *, reef_id: str | None = None) -> AsyncIterator[str]:
    """As ``export_alerts``, each alert as the JSON object that was published, on one line: ``alerts.jsonl``."""
    last_reef, last_us, last_id = reef_id or "", -(2**62), ""
    while True:
        if reef_id is None:
            rows = await store.fetch(_SELECT_PAGE, (last_reef, last_us, last_id, PAGE_ROWS))
        else:
            rows = await store.fetch(_SELECT_REEF_PAGE, (reef_id, last_us, last_id, PAGE_ROWS))
        for last_reef, last_us, last_id, body in rows:  # noqa: B007 - the last row's key is where the next page begins
            yield body
        if len(rows) < PAGE_ROWS:
            return


async def open_episodes(store: Store, *, limit: int = 10_000) -> Sequence[OpenEpisode]:
    """Return the open episodes, by reef, kind and subject."""
    return [
        OpenEpisode(
            reef_id=reef_id,
            kind=kind,
            subject=subject,
            buoy_id=buoy_id,
            state=state,
            severity=severity,
            since=instant_of(since_us),
            changed_at=instant_of(changed_us),
            alert_id=alert_id,
            summary=summary,
        )
        for reef_id, kind, subject, buoy_id, state, severity, since_us, changed_us, alert_id, summary in await store.fetch(
            _SELECT_EPISODES, (limit,)
        )
    ]


async def list_deliveries(
    store: Store, *, status: str | None = None, alert_id: str | None = None, limit: int = 100
) -> Sequence[DeliveryRow]:
    """Return deliveries, newest first: all, those of one status, or those of one alert."""
    if alert_id is not None:
        rows = await store.fetch(_SELECT_DELIVERIES + " WHERE d.alert_id = ?" + _NEWEST_FIRST, (alert_id, limit))
    elif status is not None:
        rows = await store.fetch(_SELECT_DELIVERIES + " WHERE d.status = ?" + _NEWEST_FIRST, (status, limit))
    else:
        rows = await store.fetch(_SELECT_DELIVERIES + _NEWEST_FIRST, (limit,))
    return [_delivery(row) for row in rows]


async def count_deliveries(store: Store) -> dict[str, dict[str, int]]:
    """Return target -> status -> how many."""
    counted: dict[str, dict[str, int]] = {}
    for target, status, count in await store.fetch(_COUNT_DELIVERIES):
        counted.setdefault(target, {})[status] = count
    return counted


def _delivery(row: Row) -> DeliveryRow:
    return DeliveryRow(
        idempotency_key=row[0],
        alert_id=row[1],
        reef_id=row[2],
        recipient=row[3],
        target=row[4],
        status=row[5],
        attempts=row[6],
        created_at=instant_of(row[7]),
        next_attempt_at=instant_of(row[8]),
        digest_at=instant_of(row[9]) if row[9] else None,
        settled_at=None if row[10] is None else instant_of(row[10]),
        last_error=row[11],
        summary=Alert.model_validate_json(row[12]).summary,
        purpose=row[13],
        mute_id=row[14],
    )
