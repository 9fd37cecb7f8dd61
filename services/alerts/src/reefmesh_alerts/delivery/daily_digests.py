"""Digests of days without an alert: one row a day among the deliveries, for each recipient who wants a digest every day.

The row has no alert. It is taken together with the day's alerts, if there are any, and is delivered, repeated and given up as
they are; its key makes sure that several processes write it once.
"""

from datetime import datetime, timedelta
from typing import Final

from reefmesh.contracts.envelope import event_id_of
from reefmesh.store.port import Store, Write
from reefmesh_alerts.domain.transition import microseconds
from reefmesh_alerts.recipients.entries import RecipientEntry
from reefmesh_alerts.recipients.watching import Recipients

KEPT: Final = timedelta(days=30)
INSERT_DIGEST: Final = (
    "INSERT INTO deliveries (idempotency_key, alert_id, reef_id, subscription, channel, status, attempts, created_us,"
    " next_attempt_us, digest_us, lease_token, leased_until_us, settled_us, last_error, break_through)"
    " VALUES (?, '', '', ?, ?, 'pending', 0, ?, ?, ?, '', 0, NULL, '', 0) ON CONFLICT (idempotency_key) DO NOTHING"
)
DELETE_OLD: Final = "DELETE FROM deliveries WHERE alert_id = '' AND status <> 'pending' AND created_us < ?"


class DailyDigests:
    """Writes the rows ahead of their time, so that a digest whose time passes while no process runs is sent late."""

    def __init__(self, store: Store, recipients: Recipients) -> None:
        self._store = store
        self._recipients = recipients
        self._written: dict[tuple[str, str], int] = {}

    async def plan(self, now: datetime) -> None:
        """Write the row of each next digest, once; delete those that were settled long ago.

        Raises:
            StoreUnavailable: try again later.
        """
        now_us = microseconds(now)
        wanted = {
            (recipient.name, target): microseconds(recipient.digest.daily.next_after(now))
            for recipient in self._recipients.entries
            if recipient.digest is not None and recipient.digest.always
            for target in recipient.targets
        }
        new = {place: digest_us for place, digest_us in wanted.items() if self._written.get(place) != digest_us}
        if new:
            rows = [
                Write(INSERT_DIGEST, (_key(recipient, target, digest_us), recipient, target, now_us, digest_us, digest_us))
                for (recipient, target), digest_us in new.items()
            ]
            await self._store.write([*rows, Write(DELETE_OLD, (microseconds(now - KEPT),))])
        self._written = wanted


def is_wanted(recipient: RecipientEntry, digest_at: datetime) -> bool:
    """Tell whether a digest without an alert is still what the subscriptions file asks for."""
    digest = recipient.digest
    if digest is None or not digest.always:
        return False
    return digest.daily.next_after(digest_at - timedelta(microseconds=1)) == digest_at


def _key(recipient: str, target: str, digest_us: int) -> str:
    return event_id_of(f"digest/{recipient}/{target}", str(digest_us))
