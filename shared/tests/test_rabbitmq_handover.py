"""Hand-over of shards between the consumers of a subscription, at what one of them says and gives up."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reefmesh.broker.hold import Hold
from reefmesh.broker.rabbitmq import handover
from reefmesh.broker.rabbitmq.connection import Connection
from reefmesh.broker.rabbitmq.handover import KEEP_SECONDS_PER_MESSAGE, MEMBER, HandOver
from reefmesh.broker.rabbitmq.inbound_message import InboundMessage
from reefmesh.broker.rabbitmq.isolation_watch import HANDS_AGAIN_PATIENCES, IsolationLimits, IsolationWatch
from reefmesh.broker.rabbitmq.outbound_message import OutboundMessage
from reefmesh.broker.rabbitmq.publisher import RabbitMQPublisher
from reefmesh.broker.rabbitmq.ready_queue import ReadyQueue
from reefmesh.broker.rabbitmq.shard import Shard
from reefmesh.contracts.channels import SCORING

OWN_USER = "scoring"
PATIENCE_SECONDS = 20.0
SHARDS = 8


class SpyingBroker:
    """Connection, channel and publisher in one; it delivers what members say."""

    def __init__(self) -> None:
        self.said: list[Mapping[str, str]] = []
        self.has_said = asyncio.Event()
        self._deliver: Any = None

    @contextmanager
    def answering(self) -> Iterator[None]:
        yield

    async def channel(self) -> "SpyingBroker":
        return self

    async def queue_declare(self, *_: Any, **__: Any) -> None: ...

    async def queue_bind(self, *_: Any) -> None: ...

    async def basic_consume(self, queue: str, deliver: Any, **_: Any) -> None:
        self._deliver = deliver

    async def send(self, messages: Sequence[OutboundMessage]) -> None:
        self.said += [message.headers for message in messages]
        self.has_said.set()

    async def hear(self, member: str) -> None:
        properties = SimpleNamespace(headers={MEMBER: member}, user_id=OWN_USER)
        await self._deliver(SimpleNamespace(header=SimpleNamespace(properties=properties)))

    async def until_said(self, times: int) -> None:
        wanted = len(self.said) + times
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.said) < wanted:
                self.has_said.clear()
                await self.has_said.wait()


class OwnedShard:
    """A shard that the broker gave us just now; to give it up takes until ``may_go``."""

    def __init__(self, index: int, *, overflowing: int = 0) -> None:
        self.index = index
        self.is_owned = True
        self.overflowing = range(overflowing)
        self.owned_since_seconds = asyncio.get_running_loop().time()
        self.asked = asyncio.Event()
        self.may_go = asyncio.Event()

    async def give_up(self, *, within_seconds: float) -> bool:
        self.asked.set()
        await self.may_go.wait()
        self.is_owned = False
        return True


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[SpyingBroker, Any]]:
    monkeypatch.setattr(handover, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(handover, "JITTER_SECONDS", 0.0)
    broker, started = SpyingBroker(), list[HandOver]()

    async def start(shards: Sequence[OwnedShard]) -> HandOver:
        made = HandOver(
            SCORING,
            cast("Sequence[Shard]", shards),
            cast("RabbitMQPublisher", broker),
            own_user=OWN_USER,
            on_event=lambda _: None,
            random=Random(1),
        )
        await made.subscribe(cast("Connection", broker))
        started.append(made)
        return made

    yield broker, start
    for each in started:
        await each.stop()


async def test_who_gives_shards_up_goes_on_saying_that_it_is_there(place: tuple[SpyingBroker, Any]) -> None:
    """It takes seconds where something is in hand; who is silent for three beats counts as gone, and still more moves."""
    broker, start = place
    shards = [OwnedShard(index) for index in range(SHARDS)]
    await start(shards)
    await broker.hear("another")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.wait([asyncio.ensure_future(each.asked.wait()) for each in shards], return_when=asyncio.FIRST_COMPLETED)
    await broker.until_said(5)
    assert all(each.is_owned for each in shards)
    for each in shards:
        each.may_go.set()


async def test_shard_with_a_long_overflow_queue_stays_until_the_move_is_worth_it(place: tuple[SpyingBroker, Any]) -> None:
    """All of that is sent anew to the next owner. Of eight shards half belong to another, short ones and long ones alike."""
    broker, start = place
    shards = [OwnedShard(index, overflowing=1_000) for index in range(SHARDS)]
    await start(shards)
    await broker.hear("another")
    await broker.until_said(5)
    assert not any(each.asked.is_set() for each in shards)
    for each in shards:
        each.owned_since_seconds -= 1_000 * KEEP_SECONDS_PER_MESSAGE
        each.may_go.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while sum(each.asked.is_set() for each in shards) < SHARDS // 2:
            await broker.until_said(1)
    assert SHARDS // 2 == sum(each.is_owned for each in shards)


async def test_consumer_whose_lanes_were_stuck_takes_more_only_after_a_while() -> None:
    """Shards that went to and fro with each slow second would be moved more than worked off."""
    limits, loop = IsolationLimits(patience_seconds=0.04), asyncio.get_running_loop()
    said, changed = deque[tuple[float, bool]](), asyncio.Event()

    def say(takes: bool) -> None:
        if not said or said[-1][1] != takes:
            said.append((loop.time(), takes))
            changed.set()

    waiting = cast("Any", SimpleNamespace(reef_id="waits", event_id=None, follows=None, seq=None))
    ready, in_hand = ReadyQueue(by_number=False), {"stuck": Hold(waiting, loop.time() - 1.0)}
    ready.add(cast("InboundMessage", waiting))
    watch = IsolationWatch(
        (), in_hand, (), ready, limits, lanes=1, has_idle_lane=lambda: False, on_isolated=lambda _: None, say_takes=say
    )
    watch.start()
    watch.notice()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await changed.wait()
            assert [False] == [takes for _, takes in said]
            let_go_at = loop.time()
            in_hand["stuck"] = Hold(waiting, loop.time() + 1_000.0)  # a message that has only just been taken in hand
            changed.clear()
            await changed.wait()
    finally:
        await watch.stop()
    assert [False, True] == [takes for _, takes in said]
    assert said[-1][0] - let_go_at >= (HANDS_AGAIN_PATIENCES - 1) * limits.patience_seconds
