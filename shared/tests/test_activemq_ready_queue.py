"""The ready queue: which message is handed out first."""

import pytest

from reefmesh.broker.activemq.inbound_message import InboundMessage
from reefmesh.broker.activemq.ready_queue import ReadyQueue
from reefmesh.broker.activemq.subscription import BrokerSubscription
from reefmesh_components.spying_session import SpyingSession


async def queue_of(*arriving: dict[str, str]) -> tuple[BrokerSubscription, ReadyQueue, list[InboundMessage]]:
    session, arrived, queue = SpyingSession(), list[InboundMessage](), ReadyQueue()
    subscription = BrokerSubscription("queue", arrived.append, prefetch=9)
    await subscription.subscribe(session.as_session())
    for headers in arriving:
        session.deliver(**headers)
        queue.add(arrived[-1])
    return subscription, queue, arrived


def taken(queue: ReadyQueue) -> list[str]:
    names = []
    while (message := queue.take(())) is not None:
        names.append(message.frame.headers["event-id"])
    return names


AGAIN = {"redelivered": "true"}


@pytest.mark.parametrize(
    "arriving",
    [
        pytest.param([{"event_id": "3", "seq": "3"}, {"event_id": "1", "seq": "1"}, {"event_id": "2", "seq": "2"}], id="seq"),
        pytest.param(
            [
                {"event_id": "3", "message_id": "ID:c-1:1:-1:1:30"},
                {"event_id": "1", "message_id": "ID:c-1:1:-1:1:9"},
                {"event_id": "2", "message_id": "ID:c-1:1:-1:1:10"},
            ],
            id="connection",
        ),
        pytest.param(
            [{"event_id": "3", "follows": "2"}, {"event_id": "2", "follows": "1"}, {"event_id": "1", "follows": "0"}], id="link"
        ),
    ],
)
async def test_what_comes_again_is_put_before_what_it_belongs_before(arriving: list[dict[str, str]]) -> None:
    _, queue, _ = await queue_of(*({**each, "reef_id": "a", **AGAIN} for each in arriving))
    assert taken(queue) == ["1", "2", "3"]


async def test_order_of_arrival_otherwise() -> None:
    """Other reefs are not looked at, and what comes for the first time comes in order."""
    _, queue, _ = await queue_of(
        {"event_id": "a2", "reef_id": "a", "seq": "2"},
        {"event_id": "b1", "reef_id": "b", "seq": "1", **AGAIN},
        {"event_id": "a1", "reef_id": "a", "seq": "1"},
    )
    assert taken(queue) == ["a2", "b1", "a1"]


async def test_reef_in_hand_and_what_was_taken_back_are_not_handed_out() -> None:
    subscription, queue, (first, second) = await queue_of(
        {"event_id": "a1", "reef_id": "a"}, {"event_id": "b1", "reef_id": "b"}
    )
    assert queue.take({"a"}) is second
    queue.pause(subscription)
    assert queue.take(()) is None
    queue.resume(subscription)
    assert len(queue.open_messages) == 1
    await subscription.leave()
    assert len(queue.open_messages) == 0
    assert queue.take(()) is None
    assert not first.is_open


async def test_message_taken_too_early_waits_behind_those_before_it() -> None:
    _, queue, _ = await queue_of(*({"event_id": str(number), "reef_id": "a", "seq": str(number)} for number in (3, 1, 2, 4)))
    third = queue.take(())
    assert third is not None
    assert queue.put_behind_earlier(third)
    assert taken(queue) == ["1", "2", "3", "4"]
    assert not queue.put_behind_earlier(third)


async def test_numbers_that_senders_of_telemetry_give_order_nothing() -> None:
    _, _, (one, other) = await queue_of(
        {"event_id": "1", "reef_id": "a", "seq": "1"}, {"event_id": "2", "reef_id": "a", "seq": "2"}
    )
    assert one.comes_before(other, by_number=True)
    assert not one.comes_before(other, by_number=False)


async def test_nothing_is_certain_of_messages_that_say_nothing() -> None:
    _, _, (one, other) = await queue_of({"event_id": "1", "reef_id": "a"}, {"event_id": "2", "reef_id": "a", "seq": "x"})
    assert not one.comes_before(other, by_number=True)
    assert not other.comes_before(one, by_number=True)
