"""Who joined and who left, as advisories tell it; when reefs are handed over; which messages may have been delivered before."""

import asyncio
import json
from random import Random
from typing import cast

import pytest

from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.handover import HandOver
from reefmesh.broker.activemq.membership import (
    FORGET_SECONDS,
    MEMBERS_LIMIT,
    SUBSCRIPTIONS_LIMIT,
    Membership,
    MembershipChange,
)
from reefmesh.broker.activemq.redelivery import is_redelivered
from reefmesh.broker.activemq.subscription import BrokerSubscription
from reefmesh.broker.port import BrokerEvent
from reefmesh.contracts.channels import SCORING
from reefmesh_components.spying_session import SpyingSession

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


def joining(connection: object, *, value: object = 1) -> bytes:
    return json.dumps({"ConsumerInfo": {"consumerId": {"connectionId": connection, "sessionId": 1, "value": value}}}).encode()


@pytest.mark.parametrize(
    ("count", "body"),
    [
        ("1", b'{"ConsumerInfo": 5}'),
        ("1", b'{"RemoveInfo": [1]}'),
        ("1", b'{"ConsumerInfo": {"consumerId": "me"}}'),
        ("1", b"[" * 60_000),
        ("1", b'{"a":' * 10_000),
        ("1", b'{"a": "' + b"x" * 100_000 + b'"}'),
        ("9" * 5_000, joining(OTHER)),
        ("1", b'{"ConsumerInfo": {"consumerId": {"connectionId": "c", "sessionId": 1, "value": ' + b"9" * 5_000 + b"}}}"),
        ("1", joining(["c"])),
        ("1", joining("c" * 1_000)),
        ("1", joining("")),
        ("1", joining(OTHER, value=[1])),
        ("1", b"no json"),
    ],
)
def test_advisory_that_cannot_be_true_is_ignored_and_counted(count: str, body: bytes) -> None:
    """Law 13: whoever may write advisories may write anything; an exception here would cost the connection."""
    membership = Membership(OWN)
    membership.update({"consumerCount": "1"}, joining(THIRD), now_seconds=0.0)
    change = membership.update({"consumerCount": count}, body, now_seconds=0.0)
    assert MembershipChange(consumers=1, is_ignored=True) == change
    assert membership.others == 1


def test_table_of_members_is_bounded_and_a_real_member_beyond_it_still_joins() -> None:
    membership = Membership(OWN)
    changes = [membership.update({}, joining(f"forged-{number}"), now_seconds=0.0) for number in range(MEMBERS_LIMIT * 2)]
    assert [number >= MEMBERS_LIMIT for number in range(MEMBERS_LIMIT * 2)] == [change.is_ignored for change in changes]
    assert all(change.joined for change in changes)
    assert membership.others == MEMBERS_LIMIT
    for number in range(SUBSCRIPTIONS_LIMIT + 1):
        change = membership.update({}, joining("forged-0", value=number), now_seconds=0.0)
    assert change.is_ignored


class Unhurried(Random):
    """No jitter."""

    def random(self) -> float:
        return 0.0


class SharedSubscription:
    def __init__(self) -> None:
        self.renewals = 0

    def renew_once_settled(self) -> None:
        self.renewals += 1


class Bench:
    """A hand-over of two shared subscriptions, and the events that it reports."""

    def __init__(self, pause_seconds: float) -> None:
        self.shared = [SharedSubscription(), SharedSubscription()]
        self.events: list[str] = []
        self.released = asyncio.Event()
        self.session = SpyingSession()
        self.hand_over = HandOver(
            SCORING,
            cast(list[BrokerSubscription], self.shared),
            on_event=self._note,
            random=Unhurried(),
            pause_seconds=[pause_seconds],
        )
        self.hand_over.subscribe(self.session.as_session())

    def join(self, connection: str) -> None:
        self.session.hand_on(Frame("MESSAGE", {"consumerCount": "2"}, joining(connection)))

    def _note(self, event: BrokerEvent) -> None:
        self.events.append(event.name)
        if event.name == "groups_released":
            self.released.set()

    async def until_released(self) -> None:
        await asyncio.wait_for(self.released.wait(), 60)
        self.released.clear()


async def test_flood_of_joins_moves_reefs_once_and_is_one_event() -> None:
    """A hand-over that has begun is carried through; the next one waits."""
    bench = Bench(pause_seconds=600.0)
    for number in range(200):
        bench.join(f"forged-{number}")
        await asyncio.sleep(0)  # one turn of the loop: the hand-over goes on
    await bench.until_released()
    for number in range(200, 400):
        bench.join(f"forged-{number}")
        await asyncio.sleep(0)  # likewise
    await bench.hand_over.stop()
    assert [1, 1] == [shared.renewals for shared in bench.shared]
    assert ["consumers_changed", "groups_released"] == bench.events


async def test_member_that_joins_after_a_hand_over_gets_one_after_the_pause() -> None:
    bench = Bench(pause_seconds=0.01)
    bench.join(OTHER)
    await bench.until_released()
    bench.join(THIRD)
    await bench.until_released()
    await bench.hand_over.stop()
    assert [2, 2] == [shared.renewals for shared in bench.shared]


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
