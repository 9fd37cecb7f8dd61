"""A reef's cursor: which of its messages were applied, are missing or are parked, and which numbers it has given out.

Message numbers (``seq``) count per reef and channel from 1 without a gap. An *inbox* is the name of the subscription that the
message came from, or of whatever else caused a unit of work.

The steps that every message takes, ``advance`` in order, ``note_producer`` and ``next_seqs``, construct the new cursor field
by field: ``dataclasses.replace`` takes four times as long.
"""

from binascii import b2a_base64
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final

from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope

FIRST_SEQ_LIMIT: Final = 16
"""A late subscription starts mid-sequence. If the first number that it receives is at most this, its predecessors are assumed
to be missing; if it is higher, they are assumed to have been published before the subscription existed."""

PRODUCERS_LIMIT: Final = 16
"""Producers of raw telemetry remembered per reef and inbox; the producer that was silent for longest is forgotten first."""

PRODUCER_ID_LENGTH: Final = 64
"""Characters. A producer with a longer id is not remembered."""

MISSING_LIMIT: Final = 1_000
"""Numbers remembered as missing per reef and inbox; the lowest are forgotten first."""

JUMP_LIMIT: Final = 10_000
"""A number further than this beyond the last applied one is not believed. The longest honest gap of one reef is what a purge or
an expired queue took away; a reef of ten buoys that report every ten minutes makes 10,000 messages in a week."""

NUMBERS_KEPT: Final = 64
"""Numbers per reef and inbox whose event ids are remembered: more than a broker repeats of one reef at a time."""

HASH_BYTES: Final = 3
HASH_LENGTH: Final = 4
"""Characters of an event id's hash, in base 64: one in 16 million other event ids has the same."""

_UNKNOWN: Final = "." * HASH_LENGTH
_HASHES_LENGTH: Final = NUMBERS_KEPT * HASH_LENGTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Kept in the reef's row and written together with its state; a step returns a new cursor.

    ``applied``: inbox -> highest number applied, or parked with nothing missing before it. ``missing``: inbox -> numbers that
    were not applied, ascending: lower ones (parked, or a gap), and higher ones that were parked ahead of missing ones.
    ``published``: channel -> last number given out. ``parked``: inbox -> how many of this reef's messages are parked; under the
    policy ``park`` later messages of the reef are parked too until this is back to 0. ``producers``: inbox -> producer id ->
    event id of the producer's message that was applied last, the most recent producer last. ``hashes``: inbox -> the hashes of
    the event ids of the newest numbers up to ``applied``, ``HASH_LENGTH`` characters each, the newest last.
    """

    applied: dict[str, int] = field(default_factory=dict)
    missing: dict[str, tuple[int, ...]] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    parked: dict[str, int] = field(default_factory=dict)
    producers: dict[str, dict[str, str]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)

    def is_applied(self, inbox: str, seq: int | None) -> bool:
        """Return whether the message with this number was applied; False without a number (then the inbox table knows)."""
        return seq is not None and seq <= self.applied.get(inbox, 0) and seq not in self.missing.get(inbox, ())

    def is_missing(self, inbox: str, seq: int) -> bool:
        return seq in self.missing.get(inbox, ())

    def is_late(self, inbox: str, seq: int | None) -> bool:
        """Return whether a higher number was applied before this one."""
        return seq is not None and seq <= self.applied.get(inbox, 0)

    def is_jump(self, inbox: str, seq: int | None) -> bool:
        """Return whether the number is too far beyond the last applied one; an inbox without one takes any number."""
        applied = self.applied.get(inbox)
        return seq is not None and applied is not None and seq - applied > JUMP_LIMIT

    def is_event_of(self, inbox: str, seq: int, event_id: str) -> bool | None:
        """Return whether an applied number belonged to this event; None: its event is not remembered."""
        hashes = self.hashes.get(inbox, "")
        start = len(hashes) - HASH_LENGTH * (self.applied.get(inbox, 0) - seq + 1)
        if start < 0 or (known := hashes[start : start + HASH_LENGTH]) == _UNKNOWN:
            return None
        return known == _hash_of(event_id)

    def missing_before(self, inbox: str, seq: int | None) -> int:
        """Return how many numbers below ``seq`` were neither applied nor skipped nor parked before."""
        if seq is None:
            return 0
        applied = self.applied.get(inbox)
        if applied is None:
            if seq > FIRST_SEQ_LIMIT:
                return 0
            applied = 0
        if seq <= applied + 1:
            return 0
        return seq - applied - 1 - sum(applied < number < seq for number in self.missing.get(inbox, ()))

    def follows_unapplied(self, inbox: str, message: Envelope) -> bool:
        """Return whether the message names a predecessor that is not the last applied message of its producer.

        The predecessor may have been applied all the same, earlier: the inbox table knows.
        """
        follows = message.headers.get(FOLLOWS)
        return follows is not None and self.producers.get(inbox, {}).get(message.headers.get(PRODUCER_ID, "")) != follows

    def has_parked(self, inbox: str) -> bool:
        return self.parked.get(inbox, 0) > 0

    def advance(self, inbox: str, seq: int | None, event_id: str) -> "Cursor":
        """Return the cursor after ``seq`` was applied; the numbers that it skips become missing."""
        if seq is None:
            return self
        applied = self.applied.get(inbox, 0)
        missing = self.missing.get(inbox, ())
        hashes = self.hashes.get(inbox, "")
        if seq == applied + 1 and (not missing or missing[-1] < seq):
            return Cursor(
                applied={**self.applied, inbox: seq},
                missing=self.missing,
                published=self.published,
                parked=self.parked,
                producers=self.producers,
                hashes={**self.hashes, inbox: (hashes + _hash_of(event_id))[-_HASHES_LENGTH:]},
            )
        if seq > applied:
            skipped = range(max(applied + 1, seq - MISSING_LIMIT), seq)
            left = sorted({*missing, *skipped} - {seq})[-MISSING_LIMIT:]
            hashes += _UNKNOWN * min(seq - applied - 1, NUMBERS_KEPT) + _hash_of(event_id)
            return replace(
                self,
                applied={**self.applied, inbox: seq},
                missing={**self.missing, inbox: tuple(left)},
                hashes={**self.hashes, inbox: hashes[-_HASHES_LENGTH:]},
            )
        start = len(hashes) - HASH_LENGTH * (applied - seq + 1)
        if start >= 0:
            hashes = hashes[:start] + _hash_of(event_id) + hashes[start + HASH_LENGTH :]
        return replace(
            self,
            missing={**self.missing, inbox: tuple(number for number in missing if number != seq)},
            hashes={**self.hashes, inbox: hashes},
        )

    def note_producer(self, inbox: str, message: Envelope) -> "Cursor":
        """Return the cursor with this message as the last one of its producer that was applied or parked."""
        producer_id = message.headers.get(PRODUCER_ID, "")
        if not 0 < len(producer_id) <= PRODUCER_ID_LENGTH:
            return self
        last = dict(self.producers.get(inbox, {}))
        last.pop(producer_id, None)
        last[producer_id] = message.event_id  # inserted last: the most recent
        if len(last) > PRODUCERS_LIMIT:
            del last[next(iter(last))]
        return Cursor(
            applied=self.applied,
            missing=self.missing,
            published=self.published,
            parked=self.parked,
            producers={**self.producers, inbox: last},
            hashes=self.hashes,
        )

    def park(self, inbox: str, seq: int | None, event_id: str) -> "Cursor":
        """Return the cursor after ``seq`` was parked: remembered as missing, counted as parked.

        Only a number before which nothing is missing is skipped. One further ahead leaves its own hole and moves nothing, so a
        message that nobody can read makes no duplicates of those that come before it.
        """
        parked = {**self.parked, inbox: self.parked.get(inbox, 0) + 1}
        if seq is None or self.is_missing(inbox, seq):
            return replace(self, parked=parked)
        is_placed = inbox in self.applied or seq <= FIRST_SEQ_LIMIT
        is_next = is_placed and not self.is_late(inbox, seq) and not self.missing_before(inbox, seq)
        after = self.advance(inbox, seq, event_id) if is_next else self
        missing = tuple(sorted((*after.missing.get(inbox, ()), seq)))[-MISSING_LIMIT:]
        return replace(after, missing={**after.missing, inbox: missing}, parked=parked)

    def unpark(self, inbox: str) -> "Cursor":
        """Return the cursor after one message was replayed from the parking and applied."""
        left = self.parked.get(inbox, 0) - 1
        parked = {name: count for name, count in self.parked.items() if name != inbox}
        return replace(self, parked={**parked, inbox: left} if left > 0 else parked)

    def next_seqs(self, channel: str, count: int) -> "tuple[Cursor, range]":
        """Return the cursor after ``count`` numbers of ``channel`` were given out, and those numbers."""
        last = self.published.get(channel, 0)
        numbers = range(last + 1, last + 1 + count)
        after = Cursor(
            applied=self.applied,
            missing=self.missing,
            published={**self.published, channel: last + count},
            parked=self.parked,
            producers=self.producers,
            hashes=self.hashes,
        )
        return after, numbers


def _hash_of(event_id: str) -> str:
    return b2a_base64(blake2b(event_id.encode(), digest_size=HASH_BYTES).digest(), newline=False).decode()
