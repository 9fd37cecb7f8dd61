"""A reef's cursor: what is missing before a message, and the last message of each producer."""

from datetime import UTC, datetime

import pytest

from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope
from reefmesh.store.cursor import FIRST_SEQ_LIMIT, JUMP_LIMIT, MISSING_LIMIT, NUMBERS_KEPT, PRODUCERS_LIMIT, Cursor
from reefmesh.store.mesh_rows import cursor_from_json, cursor_to_json

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


def applied(*numbers: int, cursor: Cursor | None = None) -> Cursor:
    cursor = cursor or Cursor()
    for seq in numbers:
        cursor = cursor.advance(INBOX, seq, f"e{seq}")
    return cursor


def test_parked_message_far_ahead_leaves_its_own_hole_and_moves_nothing() -> None:
    """A forged number that nobody can read must not make duplicates of the honest ones before it."""
    cursor = applied(1, 2).park(INBOX, 9_000, "far")
    assert ({INBOX: 2}, {INBOX: (9_000,)}, {INBOX: 1}) == (cursor.applied, cursor.missing, cursor.parked)
    assert applied(3, 4, cursor=cursor).applied == {INBOX: 4}
    assert not cursor.is_applied(INBOX, 9_000)


def test_hole_of_a_parked_message_is_stepped_over_by_the_next_one() -> None:
    cursor = applied(1).park(INBOX, 3, "e3").park(INBOX, 4, "e4")
    assert 1 == cursor.missing_before(INBOX, 5)
    cursor = applied(2, cursor=cursor)
    assert (0, 0) == (cursor.missing_before(INBOX, 5), cursor.missing_before(INBOX, 3))
    cursor = applied(5, cursor=cursor)
    assert ({INBOX: 5}, {INBOX: (3, 4)}) == (cursor.applied, cursor.missing)
    assert {INBOX: ()} == applied(4, 3, cursor=cursor).missing


def test_parked_message_that_is_replayed_when_its_turn_comes_is_missing_no_more() -> None:
    cursor = applied(2, cursor=applied(1).park(INBOX, 3, "e3"))
    assert ({INBOX: 3}, {INBOX: ()}) == ((cursor := applied(3, cursor=cursor)).applied, cursor.missing)


@pytest.mark.parametrize(("seq", "moved"), [(1, {INBOX: 1}), (5, {}), (1_000_000, {})])
def test_parked_first_message_places_the_cursor_only_at_the_beginning(seq: int, moved: dict[str, int]) -> None:
    cursor = Cursor().park(INBOX, seq, "e")
    assert (moved, {INBOX: (seq,)}) == (cursor.applied, cursor.missing)


def test_number_beyond_the_bound_is_a_jump_once_there_is_a_cursor() -> None:
    assert not Cursor().is_jump(INBOX, 1_000_000)  # a service that joins late takes the first number it gets
    late = applied(1_000_000)
    assert not late.is_jump(INBOX, 1_000_000 + JUMP_LIMIT)
    assert late.is_jump(INBOX, 1_000_000 + JUMP_LIMIT + 1)
    assert not late.is_jump(INBOX, None)


def test_newest_numbers_are_known_with_their_events_and_older_ones_are_not() -> None:
    cursor = applied(*range(1, NUMBERS_KEPT + 3))
    newest = NUMBERS_KEPT + 2
    assert cursor.is_event_of(INBOX, newest, f"e{newest}")
    assert cursor.is_event_of(INBOX, newest, "another") is False
    assert cursor.is_event_of(INBOX, 3, "e3")
    assert cursor.is_event_of(INBOX, 2, "e2") is None


def test_number_that_comes_late_is_known_with_its_event_and_a_gap_is_not() -> None:
    cursor = applied(1, 2, 5)
    assert [True, True, None, None, True] == [cursor.is_event_of(INBOX, seq, f"e{seq}") for seq in range(1, 6)]
    cursor = applied(4, cursor=cursor)
    assert [True, True, None, True, True] == [cursor.is_event_of(INBOX, seq, f"e{seq}") for seq in range(1, 6)]
    assert cursor.is_event_of(INBOX, 4, "e5") is False
    far = applied(500, cursor=cursor)
    assert (None, True) == (far.is_event_of(INBOX, 499, "e499"), far.is_event_of(INBOX, 500, "e500"))


def test_cursor_is_the_same_after_its_row_and_rows_of_the_version_before_are_read() -> None:
    cursor = applied(1, 2, 5).park(INBOX, 9, "e9")
    assert cursor == cursor_from_json(cursor_to_json(cursor))
    old = cursor_from_json(f'{{"applied": {{"{INBOX}": 7}}, "missing": {{"{INBOX}": [9, 3]}}}}')
    assert ({INBOX: 7}, {INBOX: (3, 9)}, None) == (old.applied, old.missing, old.is_event_of(INBOX, 7, "e7"))
    assert applied(8, cursor=old).is_event_of(INBOX, 8, "e8")


def test_row_of_a_reef_stays_small() -> None:
    """Law 11: at most 300 bytes for the numbers of an inbox, and 8 kB when all that can be missing is."""
    assert len(cursor_to_json(applied(*range(1, 200)))) < 300 + 2 * len(INBOX)
    assert len(cursor_to_json(applied(1, MISSING_LIMIT * 9))) < 8_000
