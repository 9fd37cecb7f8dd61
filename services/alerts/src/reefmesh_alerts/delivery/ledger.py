"""The rows of the deliveries: which are due, which process holds them, how they ended. Safe for several processes at once.

To hold rows, a process writes a new token and an end of the lease into those that nobody holds; the rows that carry its
token afterwards are its own. When a holder dies, others take its rows after the end of the lease.

In the table, the column ``channel`` holds the target's name and ``subscription`` the recipient's: the table is older than
these words, and a column keeps its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from reefmesh.contracts.alerts import Alert
from reefmesh.store.port import Row, Store, Write
from reefmesh_alerts.delivery.purpose import Purpose
from reefmesh_alerts.domain.transition import instant_of, microseconds
from reefmesh_alerts.muting.mute import Mute

Outcome = Literal["sent", "failed", "expired"]

SELECT_FIRST_DUE: Final = (
    "SELECT subscription, digest_us, purpose FROM deliveries"
    " WHERE status = 'pending' AND channel = ? AND next_attempt_us <= ? AND leased_until_us <= ?"
    " ORDER BY next_attempt_us, created_us, idempotency_key LIMIT 1"
)
TAKE_SINGLE: Final = (
    "UPDATE deliveries SET lease_token = ?, leased_until_us = ? WHERE status = 'pending' AND leased_until_us <= ?"
    " AND idempotency_key IN (SELECT idempotency_key FROM deliveries"
    " WHERE status = 'pending' AND channel = ? AND next_attempt_us <= ? AND leased_until_us <= ? AND digest_us = 0"
    " ORDER BY next_attempt_us, created_us, idempotency_key LIMIT ?)"
)
TAKE_DIGEST: Final = (
    "UPDATE deliveries SET lease_token = ?, leased_until_us = ? WHERE status = 'pending' AND leased_until_us <= ?"
    " AND idempotency_key IN (SELECT idempotency_key FROM deliveries"
    " WHERE status = 'pending' AND channel = ? AND next_attempt_us <= ? AND leased_until_us <= ?"
    " AND subscription = ? AND digest_us = ? AND purpose = ?"
    " ORDER BY next_attempt_us, created_us, idempotency_key LIMIT ?)"
)
SELECT_TAKEN: Final = (
    "SELECT d.idempotency_key, d.subscription, d.attempts, d.created_us, d.digest_us, d.break_through, a.body_json"
    " FROM deliveries d LEFT JOIN alerts a ON a.alert_id = d.alert_id WHERE d.lease_token = ?"
    " ORDER BY a.occurred_us, d.created_us, d.idempotency_key"
)
SETTLE: Final = (
    "UPDATE deliveries SET status = ?, attempts = attempts + ?, settled_us = ?, last_error = ?, lease_token = '',"
    " leased_until_us = 0 WHERE idempotency_key = ? AND lease_token = ?"
)
POSTPONE: Final = (
    "UPDATE deliveries SET next_attempt_us = ?, attempts = attempts + ?, last_error = ?, lease_token = '',"
    " leased_until_us = 0 WHERE idempotency_key = ? AND lease_token = ?"
)
MUTE: Final = (
    "UPDATE deliveries SET status = 'muted', mute_id = ?, settled_us = ?, last_error = ?, lease_token = '', leased_until_us = 0"
    " WHERE idempotency_key = ? AND status = 'pending' AND lease_token = ?"
)
COUNT_EXPIRED: Final = (
    "SELECT channel, COUNT(*) FROM deliveries WHERE status = 'pending' AND created_us <= ? AND leased_until_us <= ?"
    " GROUP BY channel"
)
EXPIRE: Final = (
    "UPDATE deliveries SET status = 'expired', settled_us = ?, last_error = ?"
    " WHERE status = 'pending' AND channel = ? AND created_us <= ? AND leased_until_us <= ?"
)
COUNT_OVERDUE: Final = (
    "SELECT channel, COUNT(*) FROM deliveries WHERE status = 'pending' AND (next_attempt_us <= ?"
    " OR (attempts > 0 AND CASE WHEN digest_us > 0 THEN digest_us ELSE created_us END <= ?)) GROUP BY channel"
)
SELECT_LAST_SENT: Final = (
    "SELECT settled_us FROM deliveries WHERE status = 'sent' AND channel = ? ORDER BY settled_us DESC LIMIT 1"
)
DIGEST_ALERTS_LIMIT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenDelivery:
    """A row that this process holds. ``attempts`` counts those made before. ``alert`` is None for the row of a daily digest,
    which is sent without any alert too."""

    idempotency_key: str
    recipient: str
    attempts: int
    created_us: int
    break_through: bool
    alert: Alert | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Rows under one token: all those of one message (``digest_us`` is its instant), which have one ``purpose``, or single
    deliveries (``digest_us`` 0), each sent alone."""

    token: str
    digest_us: int
    purpose: Purpose
    deliveries: Sequence[TakenDelivery]


class Ledger:
    """Works on the table ``deliveries`` of the service's store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, target: str, *, token: str, now: datetime, lease: timedelta, limit: int) -> Taken | None:
        """Take the deliveries that have been due longest: up to ``limit`` single ones, or one digest.

        Returns None when nothing is due or another process was faster.
        """
        now_us = microseconds(now)
        first = await self._store.fetch(SELECT_FIRST_DUE, (target, now_us, now_us))
        if not first:
            return None
        ((recipient, digest_us, purpose),) = first
        until_us = microseconds(now + lease)
        due = (token, until_us, now_us, target, now_us, now_us)
        if digest_us:
            await self._store.write([Write(TAKE_DIGEST, (*due, recipient, digest_us, purpose, DIGEST_ALERTS_LIMIT))])
        else:
            await self._store.write([Write(TAKE_SINGLE, (*due, limit))])
        rows = await self._store.fetch(SELECT_TAKEN, (token,))
        if not rows:
            return None
        return Taken(token=token, digest_us=digest_us, purpose=purpose, deliveries=[_taken(row) for row in rows])

    async def settle(
        self,
        taken: Taken,
        deliveries: Sequence[TakenDelivery],
        outcome: Outcome,
        *,
        at: datetime,
        attempted: bool,
        note: str = "",
    ) -> None:
        """Write the outcome of the deliveries that this process still holds."""
        at_us = microseconds(at)
        await self._store.write(
            [Write(SETTLE, (outcome, int(attempted), at_us, note, each.idempotency_key, taken.token)) for each in deliveries]
        )

    async def postpone(
        self, taken: Taken, deliveries: Sequence[TakenDelivery], *, until: datetime, attempted: bool, note: str = ""
    ) -> None:
        """Give back the deliveries that this process still holds, due again at ``until``."""
        until_us = microseconds(until)
        await self._store.write(
            [Write(POSTPONE, (until_us, int(attempted), note, each.idempotency_key, taken.token)) for each in deliveries]
        )

    async def mute(self, token: str, muted: Sequence[tuple[str, Mute]], *, at: datetime) -> None:
        """Write that mutes hold these deliveries (by their keys) back; only those that are still held under this token."""
        at_us = microseconds(at)
        await self._store.write(
            [Write(MUTE, (mute.mute_id, at_us, f"muted by {mute.made_by}: {mute.reason}", key, token)) for key, mute in muted]
        )

    async def last_sent_at(self, target: str) -> datetime | None:
        """Return when a target last accepted something, from any process; None if it never did."""
        rows = await self._store.fetch(SELECT_LAST_SENT, (target,))
        return instant_of(rows[0][0]) if rows else None

    async def expire(self, *, created_before: datetime, now: datetime, note: str, but: Sequence[str] = ()) -> dict[str, int]:
        """Expire the deliveries that nobody holds and that were created earlier; ``but`` names targets to leave alone.

        Returns target -> how many expired.
        """
        before_us, now_us = microseconds(created_before), microseconds(now)
        counted = await self._store.fetch(COUNT_EXPIRED, (before_us, now_us))
        expired = {target: count for target, count in counted if target not in but}
        if expired:
            await self._store.write([Write(EXPIRE, (now_us, note, target, before_us, now_us)) for target in expired])
        return expired

    async def count_overdue(self, *, due_before: datetime) -> dict[str, int]:
        """Return target -> how many pending deliveries were due earlier."""
        before_us = microseconds(due_before)
        rows = await self._store.fetch(COUNT_OVERDUE, (before_us, before_us))
        return {str(target): int(count) for target, count in rows}


def _taken(row: Row) -> TakenDelivery:
    key, recipient, attempts, created_us, _, break_through, body_json = row
    return TakenDelivery(
        idempotency_key=key,
        recipient=recipient,
        attempts=attempts,
        created_us=created_us,
        break_through=bool(break_through),
        alert=None if body_json is None else Alert.model_validate_json(body_json),
    )
