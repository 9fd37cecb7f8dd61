"""Which reefs are stuck or hot, and what is written when one is isolated, without a broker."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Final

import pytest

from reefmesh.broker.activemq.inbound_message import InboundMessage
from reefmesh.broker.activemq.isolation import Isolation
from reefmesh.broker.activemq.isolation_watch import HotReefs, IsolationLimits, ReefToIsolate, StuckReefs
from reefmesh.broker.activemq.ready_queue import ReadyQueue
from reefmesh.broker.activemq.subscription import BrokerSubscription
from reefmesh.broker.hold import Hold, HoldPhase
from reefmesh_components.spying_session import SpyingSession, settle

LIMITS: Final = IsolationLimits()
WIDTH: Final = 4


class Bench:
    """One shared subscription of a consumer, or two, and what its parts did."""

    def __init__(self, *, patience_seconds: float = LIMITS.patience_seconds, dedicated_limit: int = 2) -> None:
        self.session = SpyingSession()
        self.arrived: list[InboundMessage] = []
        self.in_hand: dict[str, Hold[InboundMessage]] = {}
        self.isolated: list[str] = []
        self.ready = ReadyQueue()
        self.shared = BrokerSubscription("queue", self._arrive, prefetch=WIDTH)
        self.other = BrokerSubscription("queue", self._arrive, prefetch=WIDTH)
        self.isolation = Isolation(
            "queue",
            self.in_hand,
            self.ready,
            patience_seconds=patience_seconds,
            dedicated_limit=dedicated_limit,
            on_message=self._arrive,
            on_isolated=self.isolated.append,
            on_resumed=lambda: None,
        )

    @classmethod
    async def subscribed(cls, *, patience_seconds: float = LIMITS.patience_seconds) -> "Bench":
        bench = cls(patience_seconds=patience_seconds)
        await bench.shared.subscribe(bench.session.as_session())
        bench.session.commands.clear()
        return bench

    @classmethod
    async def with_two(cls, *, patience_seconds: float = LIMITS.patience_seconds, dedicated_limit: int = 8) -> "Bench":
        """``shared`` is s1, ``other`` is s2."""
        bench = cls(patience_seconds=patience_seconds, dedicated_limit=dedicated_limit)
        for each in (bench.shared, bench.other):
            await each.subscribe(bench.session.as_session())
        bench.session.commands.clear()
        return bench

    def hold(self, reef_id: str, *, for_seconds: float = 0.0) -> Hold[InboundMessage]:
        """Deliver a message of this reef through the shared subscription, and take it in hand."""
        self.session.deliver(ack=f"ack-{reef_id}", reef_id=reef_id, message_id=f"id-{reef_id}")
        self.in_hand[reef_id] = Hold(self.arrived[-1], asyncio.get_running_loop().time() - for_seconds)
        return self.in_hand[reef_id]

    def let_go(self, reef_id: str) -> None:
        settle(self.in_hand.pop(reef_id).message)
        self.isolation.notice_let_go()

    def _arrive(self, message: InboundMessage) -> None:
        self.arrived.append(message)
        hold = self.in_hand.get(message.reef_id)
        if hold is None or not hold.take_over(message):
            self.ready.add(message)


@pytest.mark.parametrize(("seconds", "is_found"), [((2.0, 1.5), True), ((2.0, 0.5), False)])
async def test_reef_is_stuck_when_nothing_of_its_subscription_was_taken_in_hand_lately(
    seconds: tuple[float, float], is_found: bool
) -> None:
    bench = await Bench.subscribed()
    for reef_id, each in zip("ab", seconds, strict=True):
        bench.hold(reef_id, for_seconds=each)
    found = StuckReefs(lambda: [bench.shared], bench.in_hand, LIMITS).find(asyncio.get_running_loop().time())
    assert ([ReefToIsolate(source=bench.shared, reef_id="a")] if is_found else []) == found


@pytest.mark.parametrize(
    ("looks", "left_open", "is_hot"),
    [
        pytest.param([{"a": 9, "b": 1}, {"a": 8, "b": 8}], 2, True, id="half of all"),
        pytest.param([{"a": 9, "b": 1}, {"a": 8, "b": 9}], 2, False, id="less than half"),
        pytest.param([{"a": 9, "b": 1}, {"a": 7}], 2, False, id="few"),
        pytest.param([{"a": 9, "b": 1}, {"b": 9}], 2, False, id="another"),
        pytest.param([{"a": 9}, {"a": 9}], 2, False, id="alone in its subscription"),
        pytest.param([{"b": 1}, {"a": 9}], 2, False, id="at one look"),
        pytest.param([{"a": 9, "b": 1}, {"a": 9}], 1, False, id="subscription not half full"),
    ],
)
async def test_reef_is_hot_that_keeps_its_subscription_busy_at_two_looks(
    looks: list[Mapping[str, int]], left_open: int, is_hot: bool
) -> None:
    session, arrived = SpyingSession(), deque[InboundMessage]()
    shared = BrokerSubscription("queue", arrived.append, prefetch=WIDTH)
    await shared.subscribe(session.as_session())
    hot_reefs, found = HotReefs([shared], LIMITS), None
    for messages in looks:
        for reef_id, count in messages.items():
            for _ in range(count):
                session.deliver(ack="a", reef_id=reef_id)
        while len(arrived) > left_open:
            settle(arrived.popleft())
        found = hot_reefs.find()
    assert ([ReefToIsolate(source=shared, reef_id="a")] if is_hot else []) == found


async def test_isolated_reef_keeps_its_subscription_until_the_consumer_drains() -> None:
    bench = await Bench.subscribed()
    await bench.isolation.isolate(bench.shared, "a")
    assert ["SUBSCRIBE s2 queue 4", "UNSUBSCRIBE s1", "SUBSCRIBE s3 queue 4"] == bench.session.commands
    bench.session.deliver_to("s2", ack="a1", reef_id="a")
    assert ["a1"] == settle(bench.arrived.pop())
    assert ["a"] == list(bench.isolation.dedicated) == bench.isolated
    bench.isolation.end()
    assert "UNSUBSCRIBE s2" == bench.session.commands[-1]


async def test_dedicated_subscription_ends_when_it_was_empty_at_two_looks() -> None:
    bench = await Bench.subscribed()
    await bench.isolation.isolate(bench.shared, "a")
    bench.session.deliver_to("s2", ack="a1", reef_id="a")
    settle(bench.arrived.pop())
    for expected in (["a"], ["a"], []):
        bench.isolation.end_unused()
        assert expected == list(bench.isolation.dedicated)
    assert "UNSUBSCRIBE s2" == bench.session.commands[-1]


async def test_reef_is_isolated_once_messages_that_were_just_taken_in_hand_are_settled() -> None:
    bench = await Bench.subscribed()
    bench.hold("b")
    isolating = asyncio.create_task(bench.isolation.isolate(bench.shared, "a"))
    await asyncio.sleep(0)  # one turn of the loop: it has begun
    bench.session.deliver(ack="ack-c", reef_id="c")
    assert bench.ready.take(()) is None, "nothing is handed out meanwhile"
    assert [] == bench.session.commands
    bench.let_go("b")
    await isolating
    assert ["SUBSCRIBE s2 queue 4", "UNSUBSCRIBE s1", "SUBSCRIBE s3 queue 4"] == bench.session.commands
    bench.session.deliver_to("s3", ack="ack-c", reef_id="c")
    assert bench.ready.take(()) is bench.arrived[-1]


async def test_stuck_messages_are_carried_over_each_to_its_own_dedicated_subscription() -> None:
    bench = await Bench.subscribed()
    holds = {reef_id: bench.hold(reef_id, for_seconds=2.0) for reef_id in "ab"}
    await bench.isolation.isolate(bench.shared, "a")
    assert ["a", "b"] == bench.isolated
    for reef_id, name in (("a", "s2"), ("b", "s3")):
        assert holds[reef_id].phase is HoldPhase.CARRYING_OVER
        bench.session.deliver_to(name, ack=f"again-{reef_id}", reef_id=reef_id, message_id=f"id-{reef_id}")
        assert holds[reef_id].phase is HoldPhase.CARRIED_OVER
        assert holds[reef_id].message.source is bench.isolation.dedicated[reef_id]
        assert [f"again-{reef_id}"] == settle(holds[reef_id].message)


async def test_dedicated_subscription_is_not_left_before_the_message_carried_over_has_come() -> None:
    """A clean stop in between must not send the message elsewhere: its handler is about to settle it."""
    bench = await Bench.subscribed()
    hold = bench.hold("a", for_seconds=2.0)
    await bench.isolation.isolate(bench.shared, "a")
    bench.isolation.end()
    assert "UNSUBSCRIBE s2" not in bench.session.commands
    bench.session.deliver_to("s2", ack="again", reef_id="a", message_id="id-a")
    await hold.begin_settling()
    assert ["again"] == settle(hold.message)
    assert "UNSUBSCRIBE s2" == bench.session.commands[-1]


async def test_isolation_that_is_given_up_keeps_what_came_through_the_dedicated_subscription_until_it_is_settled() -> None:
    """Law 6: returned to the broker, it would come a second time while its lane settles it."""
    bench = await Bench.subscribed(patience_seconds=0.01)
    stuck = bench.hold("b", for_seconds=1.0)

    def meanwhile(name: str) -> None:
        if name == "s2":
            bench.session.deliver_to("s2", ack="a1", reef_id="a")
            stuck.phase = HoldPhase.SETTLING

    bench.session.on_subscribe = meanwhile
    await bench.isolation.isolate(bench.shared, "a")
    assert [] == bench.isolated
    assert ["UNSUBSCRIBE s3"] == [command for command in bench.session.commands if "UNSUBSCRIBE" in command]
    assert ["a1"] == settle(bench.arrived.pop())
    assert "UNSUBSCRIBE s2" == bench.session.commands[-1]


async def test_settlement_that_waits_for_a_message_carried_over_ends_when_the_session_is_lost() -> None:
    bench = await Bench.subscribed()
    hold = bench.hold("a", for_seconds=2.0)
    await bench.isolation.isolate(bench.shared, "a")
    settling = asyncio.create_task(hold.begin_settling())
    await asyncio.sleep(0)  # one turn of the loop: it waits
    bench.isolation.lost()
    await asyncio.wait_for(settling, 60)
    assert not hold.message.is_open


async def test_at_the_limit_no_further_reef_is_isolated() -> None:
    bench = await Bench.subscribed()
    for reef_id in ("a", "b", "c"):
        await bench.isolation.isolate(bench.shared, reef_id)
    assert ["a", "b"] == bench.isolated


async def test_reefs_that_are_held_back_are_isolated_in_one_pass_with_one_subscription() -> None:
    """Law 2: a pass stops what is handed out, and each subscription more costs the broker a look at each message that waits."""
    bench = await Bench.with_two()
    await bench.isolation.isolate_together({bench.shared: ["a", "b"], bench.other: ["it's c"]})
    assert [
        f"SUBSCRIBE s3 queue {3 * WIDTH}",
        "UNSUBSCRIBE s1",
        f"SUBSCRIBE s4 queue {WIDTH}",
        "UNSUBSCRIBE s2",
        f"SUBSCRIBE s5 queue {WIDTH}",
    ] == bench.session.commands
    assert "JMSXGroupID IN ('a', 'b', 'it''s c')" == bench.session.selectors["s3"]
    assert ["a", "b", "it's c"] == list(bench.isolation.dedicated) == bench.isolated


async def test_stuck_reef_is_not_put_together_with_those_that_are_held_back() -> None:
    bench = await Bench.with_two()
    bench.hold("stuck", for_seconds=2.0)
    await bench.isolation.isolate_together({bench.shared: ["a"], bench.other: ["b", "c"]})
    assert {"s3": "JMSXGroupID IN ('a', 'b', 'c')", "s4": "JMSXGroupID = 'stuck'"} == bench.session.selectors


async def test_reefs_of_a_subscription_with_a_prefetch_of_one_are_isolated_each_for_itself() -> None:
    """Law 1: where nothing is numbered, a prefetch of one is what keeps a reef's order."""
    bench = Bench()
    bench.shared.prefetch = 1
    await bench.shared.subscribe(bench.session.as_session())
    await bench.isolation.isolate_together({bench.shared: ["a", "b"]})
    assert {"s2": "JMSXGroupID = 'a'", "s3": "JMSXGroupID = 'b'"} == bench.session.selectors


async def test_names_of_many_reefs_are_spread_over_several_selectors() -> None:
    """Law 13: the broker closes the connection at a header that is too long."""
    bench = await Bench.with_two(dedicated_limit=100)
    names = [f"{'é' * 60}-{number}" for number in range(100)]
    await bench.isolation.isolate_together({bench.shared: names})
    selectors = list(bench.session.selectors.values())
    assert 4 == len(selectors)
    assert names == [name for selector in selectors for name in selector[len("JMSXGroupID IN ('") : -2].split("', '")]
    assert max(len(selector.encode()) for selector in selectors) < 5000


async def test_subscription_in_which_a_settlement_takes_long_is_left_as_it_is() -> None:
    bench = await Bench.with_two(patience_seconds=0.01)
    bench.session.deliver_to("s1", ack="ack-slow", reef_id="slow", message_id="id-slow")
    slow = bench.in_hand["slow"] = Hold(bench.arrived[-1], asyncio.get_running_loop().time(), phase=HoldPhase.SETTLING)
    await bench.isolation.isolate_together({bench.shared: ["a"], bench.other: ["b"]})
    assert ["SUBSCRIBE s3 queue 4", "UNSUBSCRIBE s2", "SUBSCRIBE s4 queue 4"] == bench.session.commands
    assert ["b"] == bench.isolated
    assert HoldPhase.SETTLING is slow.phase


async def test_reefs_that_wait_leave_those_that_go_on_and_nothing_of_either_returns_to_a_narrower_subscription() -> None:
    """Law 1: the broker puts what it takes back behind what it could not deliver yet."""
    bench = await Bench.with_two()
    await bench.isolation.isolate_together({bench.shared: ["a", "b"], bench.other: ["c", "d"]})
    bench.session.commands.clear()
    (together,) = bench.isolation.of_several_reefs
    await bench.isolation.isolate_together({together: ["a", "c"]})
    assert [f"SUBSCRIBE s{number} queue {4 * WIDTH}" for number in (6, 7)] + ["UNSUBSCRIBE s3"] == bench.session.commands
    assert ("JMSXGroupID IN ('a', 'c')", "JMSXGroupID IN ('b', 'd')") == (
        bench.session.selectors["s6"],
        bench.session.selectors["s7"],
    )


async def test_dedicated_subscription_of_several_reefs_ends_when_none_was_held_back_at_two_looks() -> None:
    """Law 7: it need not be empty for that, or reefs that report all the time would stay for ever."""
    bench = await Bench.with_two()
    await bench.isolation.isolate_together({bench.shared: ["a", "b"]})
    isolated = ["a", "b"]
    for held_back, expected in (("b", isolated), ("", isolated), ("a", isolated), ("", isolated), ("", [])):
        bench.session.deliver_to("s3", ack="a1", reef_id="a")
        settle(bench.arrived.pop())
        bench.isolation.end_unused(held_back)
        assert expected == list(bench.isolation.dedicated)
    assert "UNSUBSCRIBE s3" == bench.session.commands[-1]
