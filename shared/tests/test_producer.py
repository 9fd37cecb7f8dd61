"""What a sender says beside its messages: which one of a reef each follows."""

from datetime import UTC, datetime

from reefmesh.broker.producer import Producer
from reefmesh.contracts.envelope import FOLLOWS, PRODUCER_ID, Envelope


def message(reef_id: str, number: int) -> Envelope:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Envelope(event_id=f"{reef_id}/{number}", reef_id=reef_id, schema_id="x/1", produced_at=at, body=b"")


def links(linked: list[Envelope]) -> list[tuple[str, str | None]]:
    return [(each.event_id, each.headers.get(FOLLOWS)) for each in linked]


def test_message_follows_the_one_before_it_in_its_reef() -> None:
    own = Producer()
    batch = own.link([message("a", 1), message("b", 1), message("a", 2)])
    own.confirmed(batch)
    assert links(batch) == [("a/1", None), ("b/1", None), ("a/2", "a/1")]
    assert links(own.link([message("a", 3), message("b", 2)])) == [("a/3", "a/2"), ("b/2", "b/1")]
    assert {own.id} == {each.headers[PRODUCER_ID] for each in batch}
    assert own.id != Producer().id


def test_nothing_follows_what_was_not_confirmed() -> None:
    own = Producer()
    own.confirmed(own.link([message("a", 1)]))
    own.link([message("a", 2)])
    assert links(own.link([message("a", 3)])) == [("a/3", "a/1")]


def test_reefs_beyond_the_limit_are_forgotten_the_oldest_first() -> None:
    own = Producer(reefs_limit=2)
    for reef_id in ("a", "b", "a", "c"):
        own.confirmed(own.link([message(reef_id, 1)]))
    assert links(own.link([message(reef_id, 2) for reef_id in "abc"])) == [("a/2", "a/1"), ("b/2", None), ("c/2", "c/1")]
