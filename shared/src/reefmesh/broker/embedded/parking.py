"""The parking of one subscription, in the journal."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from reefmesh.broker.embedded.backlog import REPLAYED
from reefmesh.broker.embedded.journal import Journal
from reefmesh.broker.embedded.parking_usage import part_of, usage_of
from reefmesh.broker.embedded.record import COLUMNS, envelope_of, microseconds
from reefmesh.broker.embedded.session import JournalSession
from reefmesh.broker.parking_quota import BODY_BYTES, SAMPLE_BYTES, ParkedAs, ParkingQuota
from reefmesh.broker.port import ParkedMessage
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import UNAUTHENTICATED

_FACTS = COLUMNS.partition(", ")[2]  # all columns of a message but its position
_SAMPLED_FACTS = _FACTS.replace(
    "headers", f"json_set(COALESCE(headers, '{{}}'), '$.\"{BODY_BYTES}\"', CAST(LENGTH(body) AS TEXT))"
).replace(", body", f", SUBSTR(body, 1, {SAMPLE_BYTES})")
_DELETE_OLD: Final = (
    "DELETE FROM parked WHERE id IN "
    "(SELECT id FROM parked WHERE subscription = ? AND reason = ? AND parked_us < ? ORDER BY id LIMIT ?)"
)


def park_action(
    subscription: int,
    position: int,
    *,
    message: Envelope,
    quota: ParkingQuota | None,
    reason: str,
    detail: str,
    attempts: int,
    now_us: int,
) -> Callable[[Journal], ParkedAs]:
    """Return the action that copies a message into the parking, before its settlement deletes it, and says what it kept."""

    def park(journal: Journal) -> ParkedAs:
        keeping = ParkedAs.WHOLE
        if quota is not None and quota.binds(UNAUTHENTICATED, reason):
            keeping = usage_of(journal, subscription, quota).keeping_of(part_of(message, reason))
        if keeping is not ParkedAs.COUNTED:
            is_cut = keeping is ParkedAs.SAMPLE and len(message.body) > SAMPLE_BYTES
            journal.execute(
                f"INSERT INTO parked (subscription, reason, detail, attempts, parked_us, {_FACTS}) "  # noqa: S608 - constants only
                f"SELECT ?, ?, ?, ?, ?, {_SAMPLED_FACTS if is_cut else _FACTS} FROM message WHERE id = ?",
                (subscription, _storable(reason), _storable(detail), attempts, now_us, position),
            )
        return keeping

    return park


class EmbeddedParking:
    """Parked messages keep the order of parking by their rows' ids."""

    def __init__(self, session: JournalSession, subscription: Subscription) -> None:
        self._session = session
        self._subscription = subscription

    async def list(self, *, limit: int = 100, reef_id: str | None = None) -> Sequence[ParkedMessage]:
        def read(journal: Journal) -> Sequence[ParkedMessage]:
            rows = journal.execute(
                f"SELECT reason, detail, attempts, parked_us, id, {_FACTS} FROM parked "  # noqa: S608 - constants only
                "WHERE subscription = ? AND (? IS NULL OR reef_id = ?) ORDER BY id LIMIT ?",
                (journal.subscription_id(self._subscription), reef_id, reef_id, limit),
            )
            return [self._entry(row[:4], row[4:]) for row in rows]

        return await self._session.transact(read)

    async def replay(self, parking_ids: Sequence[str]) -> int:
        def replay(journal: Journal) -> int:
            number = journal.subscription_id(self._subscription)
            if number is None:
                return 0
            replayed = 0
            for parking_id in _numbers(parking_ids):
                row = journal.execute(
                    "DELETE FROM parked WHERE subscription = ? AND id = ? "  # noqa: S608 - constants only
                    f"AND json_extract(headers, '$.\"{BODY_BYTES}\"') IS NULL RETURNING {_FACTS}",
                    (number, parking_id),
                ).fetchone()
                if row is not None:
                    *facts, headers, published_us, body = row
                    marked = json.dumps({**(json.loads(headers) if headers else {}), REPLAYED: "true"}, ensure_ascii=False)
                    journal.add_for(number, (journal.give_position(), *facts, marked, published_us, body))
                    replayed += 1
            return replayed

        return await self._session.transact(replay)

    async def discard(self, parking_ids: Sequence[str]) -> int:
        def discard(journal: Journal) -> int:
            number = journal.subscription_id(self._subscription)
            return sum(
                journal.execute("DELETE FROM parked WHERE subscription = ? AND id = ?", (number, parking_id)).rowcount
                for parking_id in _numbers(parking_ids)
            )

        return await self._session.transact(discard)

    async def remove_old(self, quota: ParkingQuota, *, now: datetime, limit: int) -> Mapping[str, int]:
        def remove(journal: Journal) -> Mapping[str, int]:
            number = journal.subscription_id(self._subscription)
            reasons = journal.execute("SELECT DISTINCT reason FROM parked WHERE subscription = ?", (number,)).fetchall()
            removed: dict[str, int] = {}
            for (reason,) in reasons:
                since = quota.kept_since(UNAUTHENTICATED, reason, now)
                if since is not None and (left := limit - sum(removed.values())) > 0:
                    deleted = journal.execute(_DELETE_OLD, (number, reason, microseconds(since), left)).rowcount
                    removed |= {reason: deleted} if deleted else {}
            return removed

        return await self._session.transact(remove)

    def _entry(self, parking: Sequence[object], record: Sequence[object]) -> ParkedMessage:
        reason, detail, attempts, parked_us = parking
        parked_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(str(parked_us)))
        return ParkedMessage(
            parking_id=str(record[0]),
            subscription=self._subscription,
            message=envelope_of(record),
            reason=str(reason),
            detail=str(detail),
            attempts=int(str(attempts)),
            parked_at=parked_at.isoformat(),
            sender=UNAUTHENTICATED,
        )


def _numbers(parking_ids: Sequence[str]) -> Sequence[int]:
    """The row ids among these names, oldest first; other names are left out."""
    numbers = {int(text) for text in parking_ids if text.isascii() and text.isdecimal() and len(text) < 19}
    return sorted(numbers)


def _storable(text: str) -> str:
    """Return the text without surrogates, which SQLite cannot store; an input that failed may hold some."""
    return text.encode("utf-8", "backslashreplace").decode()
