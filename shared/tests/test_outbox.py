"""Outputs that are in the outbox go out once, and before the later outputs of their reef."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import Broker, Consumer, Delivery, Lane, LaneLost, Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts import channels
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.observability import table
from reefmesh.store.database import DatabaseStore
from reefmesh.store.port import Committed
from reefmesh_components.worker_bench import (
    INBOX,
    START,
    Collector,
    WorkerBench,
    left_elsewhere,
    memory_database,
    open_worker_bench,
    running,
)


async def test_redelivery_after_commit_has_one_effect_and_sends_the_outputs(bench: WorkerBench) -> None:
    """Law 4: a process that died between its commit and the acknowledgement is healed by inbox and outbox."""
    assert isinstance(await bench.store.commit(left_elsewhere("a0")), Committed)
    handler = Collector()
    await bench.send("a", "a0", "a1")
    async with running(bench.worker(handler)):
        out = await bench.received(2)
    assert [(message.body, message.seq) for message in out] == [(b"a0", 1), (b"a1", 2)]
    assert handler.handled == [("a", "a1")]
    assert await bench.state("a") == ["a0", "a1"]
    assert bench.metrics.value(table.REDELIVERIES_HEALED, INBOX) == 1


async def test_effect_once_numbered_messages_leave_nothing_in_the_inbox(bench: WorkerBench) -> None:
    """Law 4: the cursor says which numbers were applied; a redelivery, and what was tried of it, are known by that."""
    message_id = event_id_of("a", "a0")
    await bench.store.commit(left_elsewhere("a0"))
    await bench.store.outputs_sent([message_id])
    await bench.send("a", "a0", "a1")
    await bench.lose_in_hand()
    handler = Collector()
    async with running(bench.worker(handler)):
        await bench.received(1)
    assert handler.handled == [("a", "a1")]
    assert await bench.store.fetch("SELECT event_id FROM mesh_inbox WHERE event_id <> ?", (message_id,)) == []
    assert await bench.store.attempts(INBOX, message_id) == 0


async def test_order_outputs_that_another_process_left_go_out_before_later_ones(bench: WorkerBench) -> None:
    """Law 1: it was killed between its commit and the broker's, and the broker does not give its message again at once."""
    await bench.store.commit(left_elsewhere("a0"))
    await bench.send("a", "a1", first_seq=2)
    async with running(bench.worker(Collector())):
        out = await bench.received(2)
    assert [(message.seq, message.body) for message in out] == [(1, b"a0"), (2, b"a1")]
    assert 1 == bench.metrics.value(table.OUTPUTS_RESENT)
    assert () == await bench.store.unsent_outputs("a")


class NotedMeanwhile(DatabaseStore):
    """A store whose outbox is read just before another process notes that the outputs of ``cause`` are out."""

    def __init__(self, cause: str, *, clock: ManualClock) -> None:
        super().__init__(memory_database(clock), clock=clock)
        self._cause = cause

    async def unsent_outputs(self, reef_id: str) -> Sequence[tuple[str, Publication]]:
        found = await super().unsent_outputs(reef_id)
        await self.outputs_sent([self._cause])
        return found


async def test_drain_outputs_that_another_process_is_about_to_note_as_out_do_not_go_twice() -> None:
    """Law 6: it published them, acknowledged and handed the reef over; its next transaction clears the outbox."""
    store = NotedMeanwhile(event_id_of("a", "a0"), clock=ManualClock(START))
    async with open_worker_bench(store) as bench:
        await store.commit(left_elsewhere("a0"))
        await bench.send("a", "a1", first_seq=2)
        async with running(bench.worker(Collector())):
            out = await bench.received(1)
    assert [(message.seq, message.body) for message in out] == [(2, b"a1")]
    assert 0 == bench.metrics.value(table.OUTPUTS_RESENT)


async def test_effect_once_outputs_of_a_redelivered_message_without_a_number_go_out_once(
    bench: WorkerBench,
) -> None:
    """Law 4: as the first test, where the inbox and not the cursor remembers the message."""
    await bench.broker.declare([channels.INGEST])
    died = left_elsewhere("a0", inbox=str(channels.INGEST))
    assert isinstance(await bench.store.commit(died), Committed)
    message = Envelope(event_id=died.event_id, reef_id="a", schema_id="x/1", produced_at=START, body=b"a0")
    await bench.broker.publish([Publication(channel=channels.TELEMETRY.name, message=message)])
    handler = Collector()
    async with running(bench.worker(handler, subscription=channels.INGEST)):
        out = await bench.received(1)
        await bench.metrics.until(table.MESSAGES_HANDLED, str(channels.INGEST), "duplicate", reaches=1)
    assert [(1, b"a0")] == [(message.seq, message.body) for message in out]
    assert ["a0"] == await bench.state("a")
    assert () == await bench.store.unsent_outputs("a")
    assert 1 == bench.metrics.value(table.REDELIVERIES_HEALED, str(channels.INGEST))
    assert 1 == bench.metrics.value(table.OUTPUTS_RESENT)


class LosingBroker:
    """A broker client whose consumers lose deliveries as ``LosingLane`` does."""

    def __init__(self, broker: Broker, *, losses: int) -> None:
        self._broker = broker
        self._losses = losses
        self.connect, self.close, self.declare, self.publish = broker.connect, broker.close, broker.declare, broker.publish
        self.parking, self.on_event, self.statistics = broker.parking, broker.on_event, broker.statistics

    def consumer(self, subscription: Subscription, *, lanes: int, quota: ParkingQuota | None = None) -> Consumer:
        return LosingConsumer(self._broker.consumer(subscription, lanes=lanes, quota=quota), losses=self._losses)


class LosingConsumer:
    def __init__(self, consumer: Consumer, *, losses: int) -> None:
        self.lanes: Sequence[Lane] = [LosingLane(lane, losses) for lane in consumer.lanes]
        self.start, self.isolate = consumer.start, consumer.isolate
        self.drain, self.close = consumer.drain, consumer.close


class LosingLane:
    """A lane that loses its delivery on the first ``losses`` settlements, whose outputs do not go out.

    The delivery comes again, but not after the last loss: so it is with a broker that is shutting down.
    """

    def __init__(self, lane: Lane, losses: int) -> None:
        self._lane = lane
        self._losses = losses
        self._again: Delivery | None = None
        self.index, self.park, self.release = lane.index, lane.park, lane.release

    async def receive(self) -> Delivery | None:
        again, self._again = self._again, None
        return again or await self._lane.receive()

    async def settle(self, delivery: Delivery, outputs: Sequence[Publication]) -> None:
        if self._losses == 0:
            await self._lane.settle(delivery, outputs)
            return
        self._losses -= 1
        if self._losses:
            self._again = replace(delivery, redelivered=True)
        else:
            await self._lane.settle(delivery, ())
        raise LaneLost("the connection is gone")


@pytest.mark.parametrize("losses", [1, 2])
async def test_order_outputs_that_a_lost_connection_left_go_out_before_later_ones(losses: int) -> None:
    """Law 1: the same process has the reef at hand, and goes on with it over its next connection."""
    async with open_worker_bench(worker_broker=lambda broker: LosingBroker(broker, losses=losses)) as bench:
        await bench.send("a", "a0", "a1")
        async with running(bench.worker(Collector(), lanes=1)):
            out = await bench.received(2)
    assert [(message.seq, message.body) for message in out] == [(1, b"a0"), (2, b"a1")]
    assert 1 == bench.metrics.value(table.OUTPUTS_RESENT)
