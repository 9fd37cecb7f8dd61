"""A run goes on until everything was applied, and waits for nothing that an operator purged."""

from reefmesh.contracts.channels import READINGS, SCORING
from reefmesh.store.cursor import Cursor
from reefmesh_faults.settling import behind

INBOX = str(SCORING)
PUBLISHED = {"a": Cursor(published={READINGS.name: 5})}


def applied(last: int, *missing: int) -> dict[str, Cursor]:
    return {"a": Cursor(applied={INBOX: last}, missing={INBOX: missing})}


def test_run_is_over_when_all_but_what_was_purged_is_applied() -> None:
    assert [] == behind(PUBLISHED, applied(5), SCORING, {})
    assert [] == behind(PUBLISHED, applied(5, 2), SCORING, {"a": {2}})
    assert [] == behind(PUBLISHED, applied(3), SCORING, {"a": {4, 5}})
    assert [] == behind(PUBLISHED, {}, SCORING, {"a": {1, 2, 3, 4, 5}})


def test_run_waits_for_what_was_not_purged() -> None:
    assert [f"{INBOX} applied 5 of 5 of a, without [2]"] == behind(PUBLISHED, applied(5, 2), SCORING, {"b": {2}})
    assert [f"{INBOX} applied 3 of 5 of a, without [5]"] == behind(PUBLISHED, applied(3), SCORING, {"a": {4}})
