"""What is in force is told once to a recipient who is new in the file, or new to a reef, a kind, a severity or a target.

Everything that a recipient was told, or was not told for the age of its data, is a row of the ledger. So an open episode whose
newest alert has no row for a recipient whose rule it matches is what this recipient does not know. The row that tells it has
the key that the alert's own delivery would have: neither a restart, nor another process, nor a touched file makes a second one.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import structlog

from reefmesh.clock import Clock
from reefmesh.contracts.alerts import Alert
from reefmesh.errors import TransientError
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store, Write
from reefmesh_alerts.domain.transition import microseconds
from reefmesh_alerts.recipients.entries import RecipientEntry
from reefmesh_alerts.recipients.routing import delivery_key, is_too_old, matches, tell_at
from reefmesh_alerts.recipients.watching import Recipients

log = structlog.get_logger()

POLL_SECONDS: Final = 1.0
EPISODES_AT_ONCE: Final = 200

_SELECT_OPEN: Final = (
    "SELECT e.reef_id, e.kind, e.subject, a.body_json FROM episodes e JOIN alerts a ON a.alert_id = e.alert_id"
    " WHERE e.standing = 1 AND (e.reef_id, e.kind, e.subject) > (?, ?, ?) ORDER BY e.reef_id, e.kind, e.subject LIMIT ?"
)
_SELECT_KNOWN: Final = (
    "SELECT d.idempotency_key FROM deliveries d JOIN episodes e ON e.alert_id = d.alert_id"
    " WHERE e.standing = 1 AND (e.reef_id, e.kind, e.subject) > (?, ?, ?) AND (e.reef_id, e.kind, e.subject) <= (?, ?, ?)"
)
_INSERT: Final = (
    "INSERT INTO deliveries (idempotency_key, alert_id, reef_id, subscription, channel, status, attempts, created_us,"
    " next_attempt_us, digest_us, lease_token, leased_until_us, settled_us, last_error, break_through, purpose)"
    " VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, '', 0, ?, ?, 0, 'in_force') ON CONFLICT (idempotency_key) DO NOTHING"
)


class InForce:
    """Compares the recipients with the ledger, at the start and after every change of the file."""

    def __init__(self, *, store: Store, clock: Clock, recipients: Recipients) -> None:
        self._store = store
        self._clock = clock
        self._recipients = recipients

    async def run(self, stop: asyncio.Event) -> None:
        """Compare until ``stop``."""
        compared: Sequence[RecipientEntry] | None = None
        while not stop.is_set():
            entries = self._recipients.entries
            if entries is not compared:
                try:
                    await self.tell(entries)
                    compared = entries
                except TransientError as error:
                    log.warning("what is in force waits to be told", reason=str(error))
            await is_set_within(stop, POLL_SECONDS)

    async def tell(self, recipients: Sequence[RecipientEntry]) -> int:
        """Plan a delivery of every open episode that a recipient does not know; return how many.

        Raises:
            StoreUnavailable: some may not be planned.
        """
        now = self._clock.now()
        planned, after = 0, ("", "", "")
        while rows := await self._store.fetch(_SELECT_OPEN, (*after, EPISODES_AT_ONCE)):
            last = (rows[-1][0], rows[-1][1], rows[-1][2])
            known = {key for (key,) in await self._store.fetch(_SELECT_KNOWN, (*after, *last))}
            alerts = [Alert.model_validate_json(body_json) for _, _, _, body_json in rows]
            writes = [write for alert in alerts for write in _unknown(alert, recipients, known, now)]
            await self._store.write(writes)
            planned, after = planned + len(writes), last
        if planned:
            log.info("what is in force is told to new recipients", deliveries=planned)
        return planned


def _unknown(alert: Alert, recipients: Sequence[RecipientEntry], known: set[str], now: datetime) -> Iterator[Write]:
    for recipient in recipients:
        if not matches(recipient, alert, alert.severity):
            continue
        at_us = microseconds(tell_at(recipient, alert.kind, alert.severity, now))
        status, settled_us, note = "pending", None, ""
        if is_too_old(recipient, alert):
            status, settled_us, note = "expired", microseconds(now), "its data were older than the recipient wants"
        for target in recipient.targets:
            key = delivery_key(alert.alert_id, recipient.name, target)
            if key not in known:
                who = (key, alert.alert_id, alert.reef_id, recipient.name, target)
                yield Write(_INSERT, (*who, status, microseconds(now), at_us, at_us, settled_us, note))
