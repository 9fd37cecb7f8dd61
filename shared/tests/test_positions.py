"""A reef's cursor: what is missing before a message, and who was heard."""

from datetime import UTC, datetime

import pytest

from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope
from reefmesh.service import positions
from reefmesh.store.port import Cursor

START = datetime(2026, 3, 1, tzinfo=UTC)
INBOX = "ingest@reef.telemetry"


@pytest.mark.parametrize(
    ("applied", "seq", "missing"),
    [
        (None, 1, 0),
        (None, 2, 1),
        (None, positions.BEGINNING, positions.BEGINNING - 1),
        (None, positions.BEGINNING + 1, 0),  # a subscription that was made later
        (4, 5, 0),
        (4, 7, 2),
        (4, 3, 0),
        (4, None, 0),
    ],
)
def test_numbers_missing_before_a_message(applied: int | None, seq: int | None, missing: int) -> None:
    cursor = Cursor() if applied is None else Cursor(applied={INBOX: applied})
    assert positions.missing_before(cursor, INBOX, seq) == missing


def telemetry(number: int, *, producer_id: str = "p", follows: str | None = None) -> Envelope:
    headers = {PRODUCER_ID: producer_id} if follows is None else {PRODUCER_ID: producer_id, FOLLOWS: follows}
    return Envelope(event_id=f"a/{number}", reef_id="a", schema_id="x/1", produced_at=START, body=b"", headers=headers)


def test_message_is_unheard_of_until_the_one_it_follows_went_by() -> None:
    second = telemetry(2, follows="a/1")
    cursor = Cursor(applied={INBOX: 9}, published={"c": 3}, parked={INBOX: 1}, missing={INBOX: (4,)})
    assert positions.follows_unheard(cursor, INBOX, second)
    after = positions.hear(cursor, INBOX, telemetry(1))
    assert not positions.follows_unheard(after, INBOX, second)
    assert positions.follows_unheard(after, "other", second)
    assert positions.follows_unheard(positions.hear(after, INBOX, second), INBOX, second)
    assert after == Cursor(
        applied=cursor.applied,
        published=cursor.published,
        parked=cursor.parked,
        missing=cursor.missing,
        producers={INBOX: {"p": "a/1"}},
    )


def test_who_says_nothing_changes_nothing() -> None:
    silent = telemetry(1, producer_id="")
    assert not positions.follows_unheard(Cursor(), INBOX, silent)
    assert positions.hear(Cursor(), INBOX, silent) == Cursor()
    assert positions.hear(Cursor(), INBOX, telemetry(1, producer_id="p" * 65)) == Cursor()


def test_producers_beyond_the_limit_are_forgotten_the_one_not_heard_for_longest_first() -> None:
    cursor = Cursor()
    for number in range(positions.PRODUCERS_LIMIT):
        cursor = positions.hear(cursor, INBOX, telemetry(1, producer_id=f"p{number}"))
    cursor = positions.hear(cursor, INBOX, telemetry(2, producer_id="p0"))
    cursor = positions.hear(cursor, INBOX, telemetry(1, producer_id="new"))
    assert set(cursor.producers[INBOX]) == {"p0", "new", *(f"p{number}" for number in range(2, positions.PRODUCERS_LIMIT))}
