"""Who joined and who left, as advisories tell it; and which messages may have been delivered before."""

import json

import pytest

from reefmesh.broker.activemq.handover import FORGET_SECONDS, Membership, MembershipChange
from reefmesh.broker.activemq.redelivery import is_redelivered

OWN, OTHER, THIRD = "ID:b-1-1700000000000-3:1", "ID:b-1-1700000000000-3:2", "ID:b-1-1700000000000-3:3"


def identity(connection: str, number: int) -> dict[str, object]:
    return {"connectionId": connection, "sessionId": -1, "value": number}


class Queue:
    """Makes the advisories of a queue."""

    def __init__(self) -> None:
        self.membership = Membership(OWN)
        self.now_seconds = 0.0
        self._consumers = 0

    def subscribed(self, connection: str, number: int, *, browser: bool = False) -> MembershipChange:
        self._consumers += 1
        return self._hear({"ConsumerInfo": {"consumerId": identity(connection, number), "browser": browser}})

    def unsubscribed(self, connection: str, number: int) -> MembershipChange:
        self._consumers -= 1
        return self._hear({"RemoveInfo": {"objectId": identity(connection, number)}})

    def _hear(self, facts: dict[str, object]) -> MembershipChange:
        headers = {"consumerCount": str(self._consumers)}
        return self.membership.update(headers, json.dumps(facts).encode(), now_seconds=self.now_seconds)


def test_our_own_subscriptions_are_no_new_member() -> None:
    queue = Queue()
    assert not any(queue.subscribed(OWN, number).joined for number in range(3))
    assert queue.membership.others == 0


def test_other_member_joins_once_however_many_subscriptions_it_has() -> None:
    """One joins: one hand-over, not one for each of its lanes."""
    queue = Queue()
    assert [True, False, False] == [queue.subscribed(OTHER, number).joined for number in range(3)]
    assert queue.membership.others == 1


def test_member_that_renews_its_subscriptions_neither_leaves_nor_joins() -> None:
    """Handing over must not look like joining, or members would hand over to each other for ever."""
    queue = Queue()
    queue.subscribed(OTHER, 1)
    queue.unsubscribed(OTHER, 1)
    queue.now_seconds = FORGET_SECONDS / 2
    assert not queue.subscribed(OTHER, 2).joined


def test_member_leaves_with_its_last_subscription_and_is_forgotten() -> None:
    queue = Queue()
    for number in (1, 2):
        queue.subscribed(OTHER, number)
    queue.subscribed(THIRD, 1)
    assert [False, True] == [queue.unsubscribed(OTHER, number).left for number in (1, 2)]
    assert queue.membership.others == 1
    queue.now_seconds = FORGET_SECONDS * 2
    assert queue.subscribed(OTHER, 3).joined


def test_who_browses_takes_no_reefs() -> None:
    assert not Queue().subscribed(OTHER, 1, browser=True).joined


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"7", b'{"ConsumerInfo": {"consumerId": null}}'])
def test_advisory_that_cannot_be_read_is_judged_by_the_count(body: bytes) -> None:
    """A broker without JSON advisories still tells how many consumers there are."""
    membership = Membership(OWN)
    membership.update({"consumerCount": "1"}, body, now_seconds=0.0)
    if not body.startswith(b"{"):
        assert membership.update({"consumerCount": "2"}, body, now_seconds=0.0).joined
        assert membership.update({"consumerCount": "1"}, body, now_seconds=0.0).left
    assert not membership.update({"consumerCount": "many"}, body, now_seconds=0.0).left


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"message-id": "ID:b-1-1700000000000-3:9:-1:1:1"}, False),
        ({"message-id": "ID:b-1-1700000000000-3:9:-1:1:1", "redelivered": "true"}, True),
        ({"message-id": "ID:b-1-1699999999999-3:9:-1:1:1"}, True),
        ({"message-id": "ID:other-host-1-1700000000000-3:9:-1:1:1"}, True),
        ({"message-id": "something else"}, False),
        ({}, False),
    ],
)
def test_message_of_an_earlier_run_of_the_broker_may_have_been_delivered(headers: dict[str, str], expected: bool) -> None:
    """A broker forgets over a restart what it delivered; the message's own name tells."""
    assert expected == is_redelivered(headers, OWN)
