"""A slot's window and the mailbox, without a broker: what is acknowledged when, and what is handed out first."""

import asyncio
from collections import deque
from collections.abc import Callable

import pytest

from reefmesh.broker.activemq.frames import Frame
from reefmesh.broker.activemq.isolation import Isolation, IsolationLimits
from reefmesh.broker.activemq.lane import Hold
from reefmesh.broker.activemq.ready_queue import ReadyQueue, comes_before
from reefmesh.broker.activemq.subscription import BrokerSubscription, InboundMessage


class Session:
    """Writes down what the broker would be told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._listeners: dict[str, Callable[[Frame], None]] = {}
        self._names = iter(f"s{number}" for number in range(1, 100))

    def new_name(self, prefix: str) -> str:
        assert prefix == "s"
        return next(self._names)

    def tell(self, command: str, headers: tuple[tuple[str, str], ...]) -> None:
        self.told.append(f"{command} {dict(headers)['id']}")

    def subscribe(
        self, name: str, destination: str, headers: tuple[tuple[str, str], ...], on_message: Callable[[Frame], None]
    ) -> "asyncio.Future[None]":
        self.told.append(f"SUBSCRIBE {name} {destination} {dict(headers)['activemq.prefetchSize']}")
        self._listeners[name] = on_message
        return self._done()

    def unsubscribe(self, name: str) -> "asyncio.Future[None]":
        self.told.append(f"UNSUBSCRIBE {name}")
        return self._done()

    def deliver(self, **headers: str) -> None:
        self.deliver_to(next(reversed(self._listeners)), **headers)

    def deliver_to(self, name: str, **headers: str) -> None:
        self._listeners[name](Frame("MESSAGE", {name.replace("_", "-"): value for name, value in headers.items()}, b""))

    @staticmethod
    def _done() -> "asyncio.Future[None]":
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


async def filled(numbers: int) -> tuple[Session, BrokerSubscription, list[InboundMessage]]:
    """Return a slot with so many messages in its window."""
    session, arrived = Session(), list[InboundMessage]()
    slot = BrokerSubscription("queue", arrived.append, prefetch=numbers)
    await slot.subscribe(session)  # type: ignore[arg-type]
    session.told.clear()
    for number in range(1, numbers + 1):
        session.deliver(ack=f"a{number}")
    return session, slot, arrived


def settle(*mails: InboundMessage) -> list[str]:
    """Settle in one transaction, as the group commit does; return what is acknowledged in it."""
    for mail in mails:
        mail.settle()
    ack_ids = [ack_id for mail in mails if (ack_id := mail.take_ack_id()) is not None]
    for mail in mails:
        mail.written()
    return ack_ids


async def test_only_that_before_which_nothing_is_open_is_acknowledged() -> None:
    _, slot, (first, second, third, fourth) = await filled(4)
    assert settle(third) == []
    assert settle(first) == ["a1"]
    assert settle(second) == ["a3"]
    assert settle(fourth) == ["a4"]
    assert slot.is_free


async def test_settled_in_one_transaction_acknowledged_by_the_last() -> None:
    _, _, (first, second, _) = await filled(3)
    assert settle(second, first) == ["a2"]


async def test_slot_to_be_renewed_is_acknowledged_at_once_and_begins_again_right_behind() -> None:
    """Acknowledged bit by bit, the broker would go on filling its window, and it would never be free."""
    session, slot, (first, second) = await filled(2)
    slot.renew_once_free()
    assert settle(first) == []
    assert session.told == []
    assert settle(second) == ["a2"]
    assert session.told == ["UNSUBSCRIBE s1", "SUBSCRIBE s2 queue 2"]
    assert slot.is_free


async def test_free_slot_is_left_at_once() -> None:
    session, slot, (only,) = await filled(1)
    settle(only)
    slot.leave_once_free()
    assert session.told == ["UNSUBSCRIBE s1"]
    assert not slot.is_subscribed


async def test_slot_given_up_acknowledges_what_was_settled_before_what_is_open() -> None:
    session, slot, (first, second, third) = await filled(3)
    slot.leave_once_free()
    assert settle(first) == settle(third) == []
    await slot.leave()
    assert session.told == ["ACK a1", "UNSUBSCRIBE s1"]
    assert not any(mail.is_current for mail in (first, second, third))


async def test_message_of_an_earlier_window_acknowledges_nothing() -> None:
    session, slot, (first, _) = await filled(2)
    await slot.renew()
    session.deliver(ack="b1")
    assert settle(first) == []
    assert not slot.is_free


@pytest.mark.parametrize("given_up", [False, True])
async def test_first_of_its_window_once_all_before_it_are_settled_or_it_is_given_up(given_up: bool) -> None:
    _, slot, (first, second, third) = await filled(3)
    waiting = asyncio.create_task(third.until_first())
    await asyncio.sleep(0)
    settle(second)
    await asyncio.sleep(0)
    assert not waiting.done()
    if given_up:
        await slot.leave()
    else:
        settle(first)
    await asyncio.wait_for(waiting, 1)
    assert third.is_current is not given_up
    await asyncio.wait_for(third.until_first(), 1)


async def test_subscribed_anew_without_being_told_of_the_loss_its_window_is_empty() -> None:
    """A session may be lost while a consumer is still being put on it."""
    session, slot, (first, _) = await filled(2)
    await slot.subscribe(session)  # type: ignore[arg-type]
    assert slot.is_free
    assert first.is_void
    session.deliver(ack="b1")
    assert settle(first) == []


async def test_the_one_number_that_the_broker_takes_for_no_number_is_not_asked_for() -> None:
    session, slot = Session(), BrokerSubscription("queue", lambda mail: None, prefetch=1000)
    await slot.subscribe(session)  # type: ignore[arg-type]
    assert session.told == ["SUBSCRIBE s1 queue 999"]


def sidings_of(
    slot: BrokerSubscription, *lanes: "Lane", on_mail: Callable[[InboundMessage], None] = lambda mail: None
) -> Isolation:
    return Isolation(
        "queue",
        lanes,  # type: ignore[arg-type]
        [slot],
        on_mail=on_mail,
        on_moved=lambda reef_id: None,
        has_idle_lane=lambda: True,
        on_still=lambda: None,
        isolation=IsolationLimits(),
    )


class Lane:
    """With one message in hand, for so many seconds."""

    def __init__(self, mail: InboundMessage, session: Session, seconds: float) -> None:
        self.ticket = Hold(mail, session, asyncio.get_running_loop().time() - seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "due"), [((2.0, 1.5), True), ((2.0, 0.5), False)])
async def test_slot_is_relieved_when_nothing_of_it_was_taken_in_hand_lately(seconds: tuple[float, ...], due: bool) -> None:
    session, slot, mails = await filled(3)
    lanes = [Lane(mail, session, each) for mail, each in zip(mails, seconds, strict=False)]
    sidings = sidings_of(slot, *lanes)
    assert sidings.due() == ([(slot, [lane.ticket for lane in lanes])] if due else [])


@pytest.mark.parametrize(
    ("looks", "left_open", "hot"),
    [
        pytest.param([{"a": 9, "b": 1}, {"a": 8, "b": 8}], 2, True, id="half of all"),
        pytest.param([{"a": 9, "b": 1}, {"a": 8, "b": 9}], 2, False, id="less than half"),
        pytest.param([{"a": 9, "b": 1}, {"a": 7}], 2, False, id="few"),
        pytest.param([{"a": 9, "b": 1}, {"b": 9}], 2, False, id="another"),
        pytest.param([{"a": 9}, {"a": 9}], 2, False, id="alone in its slot"),
        pytest.param([{"b": 1}, {"a": 9}], 2, False, id="at one look"),
        pytest.param([{"a": 9, "b": 1}, {"a": 9}], 1, False, id="slot not half full"),
    ],
)
async def test_reef_is_hot_that_keeps_its_slot_busy_at_two_looks(
    looks: list[dict[str, int]], left_open: int, hot: bool
) -> None:
    session, arrived = Session(), deque[InboundMessage]()
    slot = BrokerSubscription("queue", arrived.append, prefetch=4)
    await slot.subscribe(session)  # type: ignore[arg-type]
    sidings = sidings_of(slot)
    found = []
    for messages in looks:
        for reef_id, count in messages.items():
            for _ in range(count):
                session.deliver(ack="a", reef_id=reef_id)
        while len(arrived) > left_open:
            settle(arrived.popleft())
        found = sidings.hot_again()
    assert found == ([(slot, "a")] if hot else [])


async def test_slot_of_a_hot_reef_is_kept_until_the_consumer_drains() -> None:
    session, arrived = Session(), list[InboundMessage]()
    slot = BrokerSubscription("queue", arrived.append, prefetch=4)
    await slot.subscribe(session)  # type: ignore[arg-type]
    sidings = sidings_of(slot, on_mail=arrived.append)
    await sidings.relieve(slot, "a")
    assert session.told[1:] == ["SUBSCRIBE s2 queue 4", "UNSUBSCRIBE s1", "SUBSCRIBE s3 queue 4"]
    session.deliver_to("s2", ack="a1", reef_id="a")
    assert settle(arrived.pop()) == ["a1"]
    assert len(sidings.slots) == 1
    sidings.leave_once_free()
    assert session.told[-1] == "UNSUBSCRIBE s2"


async def test_hot_reef_moves_only_once_nothing_of_its_slot_is_in_hand() -> None:
    session, slot, (mail, *_) = await filled(2)
    sidings = sidings_of(slot, Lane(mail, session, 0.0))
    moving = asyncio.create_task(sidings.relieve(slot, "a"))
    await asyncio.sleep(0)  # one turn of the loop: it has begun
    assert not slot.hands_out
    assert session.told == []
    settle(mail)
    sidings.notice_let_go()
    await moving
    assert session.told == ["SUBSCRIBE s2 queue 2", "UNSUBSCRIBE s1", "SUBSCRIBE s3 queue 2"]
    assert slot.hands_out


async def mailbox_of(*arriving: dict[str, str]) -> tuple[BrokerSubscription, ReadyQueue, list[InboundMessage]]:
    session, mails, mailbox = Session(), list[InboundMessage](), ReadyQueue()
    slot = BrokerSubscription("queue", mails.append, prefetch=9)
    await slot.subscribe(session)  # type: ignore[arg-type]
    for headers in arriving:
        session.deliver(**headers)
        mailbox.add(mails[-1])
    return slot, mailbox, mails


def taken(mailbox: ReadyQueue) -> list[str]:
    names = []
    while (mail := mailbox.take(())) is not None:
        names.append(mail.frame.headers["event-id"])
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
    _, mailbox, _ = await mailbox_of(*({**each, "reef_id": "a", **AGAIN} for each in arriving))
    assert taken(mailbox) == ["1", "2", "3"]


async def test_order_of_arrival_otherwise() -> None:
    """Other reefs are not looked at, and what comes for the first time comes in order."""
    _, mailbox, _ = await mailbox_of(
        {"event_id": "a2", "reef_id": "a", "seq": "2"},
        {"event_id": "b1", "reef_id": "b", "seq": "1", **AGAIN},
        {"event_id": "a1", "reef_id": "a", "seq": "1"},
    )
    assert taken(mailbox) == ["a2", "b1", "a1"]


async def test_reef_in_hand_and_what_was_taken_back_are_not_handed_out() -> None:
    slot, mailbox, (first, second) = await mailbox_of({"event_id": "a1", "reef_id": "a"}, {"event_id": "b1", "reef_id": "b"})
    assert mailbox.take({"a"}) is second
    slot.hands_out = False
    assert mailbox.take(()) is None
    slot.hands_out = True
    assert mailbox.open_messages == 1
    await slot.leave()
    assert mailbox.open_messages == 0
    assert mailbox.take(()) is None
    assert not first.is_current


async def test_message_taken_too_early_waits_behind_those_before_it() -> None:
    _, mailbox, _ = await mailbox_of(
        *({"event_id": str(number), "reef_id": "a", "seq": str(number)} for number in (3, 1, 2, 4))
    )
    third = mailbox.take(())
    assert third is not None
    assert mailbox.put_behind_earlier(third)
    assert taken(mailbox) == ["1", "2", "3", "4"]
    assert not mailbox.put_behind_earlier(third)


async def test_numbers_that_senders_of_telemetry_give_order_nothing() -> None:
    _, _, (one, other) = await mailbox_of(
        {"event_id": "1", "reef_id": "a", "seq": "1"}, {"event_id": "2", "reef_id": "a", "seq": "2"}
    )
    assert comes_before(one, other)
    assert not comes_before(one, other, by_number=False)


async def test_nothing_is_certain_of_messages_that_say_nothing() -> None:
    _, _, (one, other) = await mailbox_of({"event_id": "1", "reef_id": "a"}, {"event_id": "2", "reef_id": "a", "seq": "x"})
    assert not comes_before(one, other)
    assert not comes_before(other, one)
