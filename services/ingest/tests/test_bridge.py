"""The bridge on a queue that does what the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reefmesh.backoff import Backoff
from reefmesh.broker.devices import DeviceMessage, Move, Role
from reefmesh.broker.port import BrokerUnavailable, LaneLost, PublishRefused
from reefmesh.clock import ManualClock
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.senders import BrokerUsers, Senders, device_senders
from reefmesh.errors import ConfigurationError
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh_ingest.bridge import Bridge
from reefmesh_ingest.register.entries import BuoyEntry

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
IMEI = "865000000000001"
QUICK = Backoff(first_seconds=0.001, max_seconds=0.001)


def sent(number: int, *, device: str = IMEI, user: str | None = "buoy") -> DeviceMessage:
    topic = f"buoys/{device}/d2c/telemetry"
    return DeviceMessage(
        message_id=f"ID:{number}",
        topic=topic,
        received_at=START,
        body=b"%d" % number,
        redelivered=False,
        user_id=user,
        token=number,
    )


@dataclass
class ScriptedQueue:
    """``starts`` and ``settles`` hold what goes wrong, first to last."""

    starts: list[Exception] = field(default_factory=list)
    settles: list[Exception] = field(default_factory=list)
    role: Role = "away"
    moved: list[Envelope] = field(default_factory=list)
    attempts: int = 0
    closed: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    batches: "asyncio.Queue[Sequence[DeviceMessage]]" = field(default_factory=asyncio.Queue)

    async def start(self) -> None:
        if self.starts:
            raise self.starts.pop(0)
        self.role = "standby"

    async def receive(self) -> Sequence[DeviceMessage]:
        batch = await self.batches.get()
        self.role = "active"
        async with self.changed:
            self.changed.notify_all()
        return batch

    async def settle(self, moves: Sequence[Move]) -> None:
        self.attempts += 1
        async with self.changed:
            self.changed.notify_all()
        if self.settles:
            raise self.settles.pop(0)
        self.moved += [output.message for move in moves for output in move.outputs]

    def stop(self) -> None:
        self.batches.put_nowait(())

    async def close(self) -> None:
        self.closed = True

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(condition)


@dataclass
class Bridged:
    bridge: Bridge
    queue: ScriptedQueue
    metrics: Metrics
    stop: asyncio.Event
    running: "asyncio.Task[None]"

    async def finish(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.running, 60)


@pytest.fixture
def running(ingest: Any) -> Callable[[ScriptedQueue], Any]:
    @asynccontextmanager
    async def start(queue: ScriptedQueue, *, takeover_seconds: float = 0.0) -> AsyncIterator[Bridged]:
        metrics, stop = Metrics("ingest"), asyncio.Event()
        bridge = Bridge(
            queue=queue,
            register=ingest.register,
            clock=ManualClock(START),
            metrics=metrics,
            senders=Senders(speakers=device_senders(BrokerUsers()), unstamped_until=START + timedelta(days=1)),
            backoff=QUICK,
            takeover_seconds=takeover_seconds,
        )
        task = asyncio.create_task(bridge.run(stop))
        try:
            yield Bridged(bridge, queue, metrics, stop, task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return start


async def test_batch_is_moved_whole_and_in_order_under_its_reefs(running: Any) -> None:
    queue = ScriptedQueue()
    async with running(queue) as bridged:
        queue.batches.put_nowait([sent(1), sent(2, device="stranger"), sent(3)])
        queue.batches.put_nowait([sent(4)])
        await bridged.finish()
    assert [message.body for message in queue.moved] == [b"1", b"2", b"3", b"4"]
    assert [message.reef_id for message in queue.moved] == ["menjangan", "unregistered", "menjangan", "menjangan"]
    assert bridged.metrics.value(table.BRIDGED, "registered") == 3
    assert bridged.metrics.value(table.BRIDGED, "unregistered") == 1
    assert queue.closed


async def test_moved_messages_say_which_one_of_their_reef_they_follow(running: Any) -> None:
    queue = ScriptedQueue(settles=[PublishRefused("store full")])
    async with running(queue) as bridged:
        queue.batches.put_nowait([sent(1), sent(2, device="stranger"), sent(3)])
        queue.batches.put_nowait([sent(4)])
        await queue.until(lambda: queue.attempts == 3)
        await bridged.finish()
    first, _, third, _ = queue.moved
    assert [each.headers.get("follows") for each in queue.moved] == [None, None, first.event_id, third.event_id]
    assert 1 == len({each.headers["producer-id"] for each in queue.moved})


async def test_device_registered_a_moment_ago_is_known(running: Any, ingest: Any) -> None:
    queue = ScriptedQueue()
    async with running(queue) as bridged:
        queue.batches.put_nowait([sent(1, device="newcomer")])
        await queue.until(lambda: queue.attempts == 1)
        await ingest.register.upsert(buoys=[BuoyEntry(id="newcomer", reef="pemuteran")])
        queue.batches.put_nowait([sent(2, device="newcomer")])
        await bridged.finish()
    assert [message.reef_id for message in queue.moved] == ["unregistered", "pemuteran"]


async def test_refused_batch_is_tried_again_and_nothing_overtakes_it(running: Any) -> None:
    queue = ScriptedQueue(settles=[PublishRefused("store full"), PublishRefused("store full")])
    async with running(queue) as bridged:
        queue.batches.put_nowait([sent(1)])
        queue.batches.put_nowait([sent(2)])
        await queue.until(lambda: queue.attempts == 4)
        assert (await bridged.bridge.check()).status == "ok"
        await bridged.finish()
    assert [message.body for message in queue.moved] == [b"1", b"2"]
    assert bridged.metrics.value(table.BRIDGE_FAILURES, "PublishRefused") == 2


async def test_check_says_why_nothing_moves(running: Any) -> None:
    queue = ScriptedQueue(settles=[PublishRefused("store full")] * 10_000)
    async with running(queue) as bridged:
        queue.batches.put_nowait([sent(1)])
        await queue.until(lambda: queue.attempts == 3)
        check = await bridged.bridge.check()
        assert (check.status, check.reason) == ("degraded", "store full")
        await bridged.finish()
    assert queue.moved == []


async def test_order_bridge_that_takes_over_waits_unless_the_other_ones_messages_came_back(running: Any) -> None:
    """Law 1: a broker that is being stopped gives it what comes after the messages in another bridge's hands."""
    queue = ScriptedQueue()
    async with running(queue, takeover_seconds=3600.0) as bridged:
        queue.batches.put_nowait([sent(2)])
        await queue.until(lambda: queue.role == "active")
        assert queue.attempts == 0
        await bridged.finish()
    assert [message.body for message in queue.moved] == [b"2"]  # told to stop, it finishes what it has
    queue = ScriptedQueue()
    async with running(queue, takeover_seconds=3600.0):
        queue.batches.put_nowait([replace(sent(1), redelivered=True)])
        await queue.until(lambda: queue.attempts == 1)


async def test_lost_batch_is_left_to_redelivery(running: Any) -> None:
    queue = ScriptedQueue(settles=[LaneLost("gone")])
    async with running(queue) as bridged:
        queue.batches.put_nowait([sent(1)])
        queue.batches.put_nowait([sent(1)])  # as the broker gives it again
        await queue.until(lambda: queue.attempts == 2)
        await bridged.finish()
    assert [message.body for message in queue.moved] == [b"1"]


async def test_broker_away_at_the_start_is_waited_for(running: Any) -> None:
    queue = ScriptedQueue(starts=[BrokerUnavailable("no connection")] * 3)
    async with running(queue) as bridged:
        assert (await bridged.bridge.check()).facts["role"] == "away"
        queue.batches.put_nowait([sent(1)])
        await queue.until(lambda: queue.attempts == 1)
        await bridged.finish()
    assert len(queue.moved) == 1


async def test_bridge_is_not_degraded_while_it_starts_but_whenever_it_is_not_subscribed_later(running: Any) -> None:
    queue = ScriptedQueue()
    async with running(queue) as bridged:
        at_start = await bridged.bridge.check()
        assert (at_start.status, at_start.facts["role"]) == ("ok", "away")
        queue.batches.put_nowait([sent(1)])
        await queue.until(lambda: queue.attempts == 1)
        queue.role = "away"
        later = await bridged.bridge.check()
        assert (later.status, later.reason) == ("degraded", "not subscribed")
        await bridged.finish()


async def test_missing_permission_ends_the_service_with_one_line(running: Any) -> None:
    queue = ScriptedQueue(starts=[ConfigurationError("may not read")])
    async with running(queue) as bridged:
        with pytest.raises(ConfigurationError, match="may not read"):
            await asyncio.wait_for(bridged.running, 60)
    assert queue.closed


async def test_roles_are_shown_in_health_and_metrics(running: Any) -> None:
    queue = ScriptedQueue()
    async with running(queue) as bridged:
        await bridged.bridge.sample()
        assert bridged.metrics.value(table.BRIDGE_ACTIVE) == 0
        queue.batches.put_nowait([sent(1)])
        await queue.until(lambda: queue.attempts == 1)
        await bridged.bridge.sample()
        assert bridged.metrics.value(table.BRIDGE_ACTIVE) == 1
        check = await bridged.bridge.check()
        assert (check.status, check.facts["role"]) == ("ok", "active")
        await bridged.finish()


async def test_user_that_may_not_send_as_any_device_is_named_for_ingest_to_compare(running: Any) -> None:
    """Law 12: the devices' shared user and operators speak for any device, direct publishers do not; a message of before the
    upgrade is believed for a time."""
    users = ["buoy", "operator", IMEI, "scoring", "publisher", None]
    queue = ScriptedQueue()
    async with running(queue) as bridged:
        queue.batches.put_nowait([sent(number, user=user) for number, user in enumerate(users)])
        await bridged.finish()
    assert [None, None, IMEI, "scoring", "publisher", None] == [message.headers.get("sent-by") for message in queue.moved]
