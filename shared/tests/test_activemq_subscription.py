"""A subscription's window, without a broker: what is acknowledged when, and what follows directly."""

import asyncio

import pytest

from reefmesh.broker.activemq.subscription import BrokerSubscription
from reefmesh_components.spying_session import SpyingSession, filled_subscription, settle


async def test_only_that_before_which_nothing_is_open_is_acknowledged() -> None:
    _, subscription, (first, second, third, fourth) = await filled_subscription(4)
    assert settle(third) == []
    assert settle(first) == ["a1"]
    assert settle(second) == ["a3"]
    assert settle(fourth) == ["a4"]
    assert subscription.unacknowledged_messages == 0


async def test_settled_in_one_transaction_acknowledged_by_the_last() -> None:
    _, _, (first, second, _) = await filled_subscription(3)
    assert settle(second, first) == ["a2"]


async def test_subscription_to_be_renewed_is_acknowledged_at_once_and_begins_again_right_behind() -> None:
    """Acknowledged bit by bit, the broker would go on filling its window, and it would never be free."""
    session, subscription, (first, second) = await filled_subscription(2)
    subscription.renew_once_settled()
    assert settle(first) == []
    assert session.commands == []
    assert settle(second) == ["a2"]
    assert session.commands == ["UNSUBSCRIBE s1", "SUBSCRIBE s2 queue 2"]
    assert subscription.unacknowledged_messages == 0


async def test_empty_subscription_is_left_at_once() -> None:
    session, subscription, (only,) = await filled_subscription(1)
    settle(only)
    subscription.leave_once_settled()
    assert session.commands == ["UNSUBSCRIBE s1"]
    assert not subscription.is_subscribed


async def test_subscription_given_up_acknowledges_what_was_settled_before_what_is_open() -> None:
    session, subscription, (first, second, third) = await filled_subscription(3)
    subscription.leave_once_settled()
    assert settle(first) == settle(third) == []
    await subscription.leave()
    assert session.commands == ["ACK a1", "UNSUBSCRIBE s1"]
    assert not any(message.is_open for message in (first, second, third))


async def test_message_of_an_earlier_window_acknowledges_nothing() -> None:
    session, subscription, (first, _) = await filled_subscription(2)
    await subscription.renew()
    session.deliver(ack="b1")
    assert settle(first) == []
    assert subscription.unacknowledged_messages == 1


@pytest.mark.parametrize("given_up", [False, True])
async def test_first_of_its_window_once_all_before_it_are_settled_or_it_is_given_up(given_up: bool) -> None:
    _, subscription, (first, second, third) = await filled_subscription(3)
    waiting = asyncio.create_task(third.until_first())
    await asyncio.sleep(0)
    settle(second)
    await asyncio.sleep(0)
    assert not waiting.done()
    if given_up:
        await subscription.leave()
    else:
        settle(first)
    await asyncio.wait_for(waiting, 60)
    assert third.is_open is not given_up
    await asyncio.wait_for(third.until_first(), 60)


async def test_subscribed_anew_without_being_told_of_the_loss_its_window_is_empty() -> None:
    """A session may be lost while a consumer is still being put on it."""
    session, subscription, (first, _) = await filled_subscription(2)
    await subscription.subscribe(session.as_session())
    assert subscription.unacknowledged_messages == 0
    assert first.is_void
    session.deliver(ack="b1")
    assert settle(first) == []


async def test_the_one_number_that_the_broker_takes_for_no_number_is_not_asked_for() -> None:
    session, subscription = SpyingSession(), BrokerSubscription("queue", lambda message: None, prefetch=1000)
    await subscription.subscribe(session.as_session())
    assert session.commands == ["SUBSCRIBE s1 queue 999"]
