"""A reef's cursor: what is missing before a message, and the last message of each producer."""

from datetime import UTC, datetime

import pytest

from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope
from reefmesh.store.cursor import FIRST_SEQ_LIMIT, PRODUCERS_LIMIT, Cursor

START = datetime(2026, 3, 1, tzinfo=UTC)
INBOX = "ingest@reef.telemetry"


@pytest.mark.parametrize(
    ("applied", "seq", "missing"),
    [
        (None, 1, 0),
        (None, 2, 1),
        (None, FIRST_SEQ_LIMIT, FIRST_SEQ_LIMIT - 1),
        (None, FIRST_SEQ_LIMIT + 1, 0),  # a late subscription
        (4, 5, 0),
        (4, 7, 2),
        (4, 3, 0),
        (4, None, 0),
    ],
)
def test_numbers_missing_before_a_message(applied: int | None, seq: int | None, missing: int) -> None:
    cursor = Cursor() if applied is None else Cursor(applied={INBOX: applied})
    assert cursor.missing_before(INBOX, seq) == missing


def telemetry(number: int, *, producer_id: str = "p", follows: str | None = None) -> Envelope:
    headers = {PRODUCER_ID: producer_id} if follows is None else {PRODUCER_ID: producer_id, FOLLOWS: follows}
    return Envelope(event_id=f"a/{number}", reef_id="a", schema_id="x/1", produced_at=START, body=b"", headers=headers)


def test_message_follows_an_unapplied_one_until_that_is_noted() -> None:
    second = telemetry(2, follows="a/1")
    cursor = Cursor(applied={INBOX: 9}, published={"c": 3}, parked={INBOX: 1}, missing={INBOX: (4,)})
    assert cursor.follows_unapplied(INBOX, second)
    after = cursor.note_producer(INBOX, telemetry(1))
    assert not after.follows_unapplied(INBOX, second)
    assert after.follows_unapplied("other", second)
    assert after.note_producer(INBOX, second).follows_unapplied(INBOX, second)
    assert after == Cursor(
        applied=cursor.applied,
        published=cursor.published,
        parked=cursor.parked,
        missing=cursor.missing,
        producers={INBOX: {"p": "a/1"}},
    )


def test_message_without_a_producer_changes_nothing() -> None:
    silent = telemetry(1, producer_id="")
    assert not Cursor().follows_unapplied(INBOX, silent)
    assert Cursor().note_producer(INBOX, silent) == Cursor()
    assert Cursor().note_producer(INBOX, telemetry(1, producer_id="p" * 65)) == Cursor()


def test_producers_beyond_the_limit_are_forgotten_the_longest_silent_first() -> None:
    cursor = Cursor()
    for number in range(PRODUCERS_LIMIT):
        cursor = cursor.note_producer(INBOX, telemetry(1, producer_id=f"p{number}"))
    cursor = cursor.note_producer(INBOX, telemetry(2, producer_id="p0"))
    cursor = cursor.note_producer(INBOX, telemetry(1, producer_id="new"))
    assert set(cursor.producers[INBOX]) == {"p0", "new", *(f"p{number}" for number in range(2, PRODUCERS_LIMIT))}
