"""Pure steps on a reef's cursor: what was applied, what is missing, what was published.

The steps that every message takes, ``advance`` in order, ``hear`` and ``next_seqs``, build the cursor themselves: ``replace``
takes four times as long.
"""

from dataclasses import replace
from typing import Final

from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope
from reefmesh.store.port import Cursor

BEGINNING: Final = 16
"""Numbers begin at 1; but a subscription that was made later begins in the middle. A first message numbered up to this is taken
for one before which others are missing."""

PRODUCERS_LIMIT: Final = 16
"""Producers of raw telemetry remembered per reef and subscription; the one not heard for longest is forgotten first."""

PRODUCER_ID_LENGTH: Final = 64
"""Characters; a producer with a longer id is not remembered."""

MISSING_LIMIT: Final = 1_000
"""Sequence numbers remembered as missing per reef and subscription; the oldest are forgotten first."""


def is_applied(cursor: Cursor, inbox: str, seq: int | None) -> bool:
    """Tell whether this number was applied already; a message without a number never says so (the inbox knows)."""
    return seq is not None and seq <= cursor.applied.get(inbox, 0) and seq not in cursor.missing.get(inbox, ())


def missing_before(cursor: Cursor, inbox: str, seq: int | None) -> int:
    """Return how many numbers before ``seq`` were neither applied nor set aside."""
    if seq is None:
        return 0
    applied = cursor.applied.get(inbox)
    if applied is None:
        return seq - 1 if seq <= BEGINNING else 0
    return max(0, seq - applied - 1)


def follows_unheard(cursor: Cursor, inbox: str, message: Envelope) -> bool:
    """Tell whether it is not known here that the message which this one follows was applied; the inbox may know it."""
    follows = message.headers.get(FOLLOWS)
    return follows is not None and cursor.producers.get(inbox, {}).get(message.headers.get(PRODUCER_ID, "")) != follows


def is_late(cursor: Cursor, inbox: str, seq: int | None) -> bool:
    """Tell whether a later number was applied before this one."""
    return seq is not None and seq <= cursor.applied.get(inbox, 0)


def advance(cursor: Cursor, inbox: str, seq: int | None) -> Cursor:
    """Return the cursor after ``seq`` was applied; numbers skipped over are remembered as missing."""
    if seq is None:
        return cursor
    applied = cursor.applied.get(inbox, 0)
    missing = cursor.missing.get(inbox, ())
    if seq == applied + 1:
        return Cursor(
            applied={**cursor.applied, inbox: seq},
            missing=cursor.missing,
            published=cursor.published,
            parked=cursor.parked,
            producers=cursor.producers,
        )
    if seq > applied:
        skipped = tuple(range(max(applied + 1, seq - MISSING_LIMIT), seq))
        missing = (*missing, *skipped)[-MISSING_LIMIT:]
        return replace(cursor, applied={**cursor.applied, inbox: seq}, missing={**cursor.missing, inbox: missing})
    left = tuple(number for number in missing if number != seq)
    return replace(cursor, missing={**cursor.missing, inbox: left})


def hear(cursor: Cursor, inbox: str, message: Envelope) -> Cursor:
    """Return the cursor after a producer's message was applied or set aside."""
    producer_id = message.headers.get(PRODUCER_ID, "")
    if not 0 < len(producer_id) <= PRODUCER_ID_LENGTH:
        return cursor
    heard = dict(cursor.producers.get(inbox, {}))
    heard.pop(producer_id, None)
    heard[producer_id] = message.event_id  # put last: heard last
    if len(heard) > PRODUCERS_LIMIT:
        del heard[next(iter(heard))]
    return Cursor(
        applied=cursor.applied,
        missing=cursor.missing,
        published=cursor.published,
        parked=cursor.parked,
        producers={**cursor.producers, inbox: heard},
    )


def set_aside(cursor: Cursor, inbox: str, seq: int | None) -> Cursor:
    """Return the cursor after ``seq`` was parked: passed over, remembered as missing, counted as parked."""
    parked = {**cursor.parked, inbox: cursor.parked.get(inbox, 0) + 1}
    if seq is None or is_missing(cursor, inbox, seq):
        return replace(cursor, parked=parked)
    passed = advance(cursor, inbox, seq)
    missing = (*passed.missing.get(inbox, ()), seq)[-MISSING_LIMIT:]
    return replace(passed, missing={**passed.missing, inbox: missing}, parked=parked)


def take_back(cursor: Cursor, inbox: str) -> Cursor:
    """Return the cursor after one message came back from parking."""
    left = cursor.parked.get(inbox, 0) - 1
    parked = {name: count for name, count in cursor.parked.items() if name != inbox}
    return replace(cursor, parked={**parked, inbox: left} if left > 0 else parked)


def is_missing(cursor: Cursor, inbox: str, seq: int) -> bool:
    return seq in cursor.missing.get(inbox, ())


def next_seqs(cursor: Cursor, channel: str, count: int) -> tuple[Cursor, range]:
    """Return ``count`` new sequence numbers of ``channel`` and the cursor that remembers them."""
    last = cursor.published.get(channel, 0)
    numbers = range(last + 1, last + 1 + count)
    published = {**cursor.published, channel: last + count}
    after = Cursor(
        applied=cursor.applied,
        missing=cursor.missing,
        published=published,
        parked=cursor.parked,
        producers=cursor.producers,
    )
    return after, numbers
