"""A message before which one is missing waits for it, for a bounded time."""

from reefmesh.broker.port import Publication
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability import table
from reefmesh_components.worker_bench import (
    INBOX,
    START,
    Collector,
    WorkerBench,
    elsewhere,
    left_elsewhere,
    poisoned,
    running,
    telemetry,
)


async def test_sequence_gap_is_counted_and_what_was_missing_is_applied_when_it_comes(bench: WorkerBench) -> None:
    """A skipped number is remembered as missing: a late message is no duplicate."""
    await bench.send("a", "a0")
    await bench.send("a", "a2", first_seq=3)
    await bench.send("a", "a1", first_seq=2)
    await bench.send("a", "a1-again", first_seq=2)
    handler = Collector()
    async with running(bench.worker(handler, gap_patience_seconds=0.0)):
        await bench.received(3)
    assert await bench.state("a") == ["a0", "a2", "a1"]
    assert bench.metrics.value(table.SEQUENCE_GAPS, INBOX) == 1
    assert bench.metrics.value(table.ORDER_VIOLATIONS, INBOX) == 1
    assert bench.metrics.value(table.DUPLICATES, INBOX) == 1


async def test_order_message_before_which_one_is_missing_waits_until_that_was_applied_elsewhere(bench: WorkerBench) -> None:
    """Law 1: a broker that is shutting down may dispatch a message while the one before it is in another process's hands."""
    handler = Collector()
    await bench.send("a", "a0")
    await bench.send("a", "a2", first_seq=3)
    async with elsewhere(bench) as other, running(bench.worker(handler)):
        await bench.metrics.until(table.RETRIES, INBOX, "EarlierMissing", reaches=3)
        assert [("a", "a0")] == handler.handled
        await other.send("a", "a1", first_seq=2)
        async with running(other.worker(Collector())):
            await other.received(1)
        await handler.until(lambda: "a2" in handler.attempts)
    assert ["a0", "a1", "a2"] == await bench.state("a")
    assert 0 == bench.metrics.value(table.SEQUENCE_GAPS, INBOX)


async def test_nothing_lost_numbers_that_devices_give_their_telemetry_are_ignored(bench: WorkerBench) -> None:
    """Law 3: two devices of a reef that both count from 1, one of which starts again: none is a duplicate or too early."""
    await bench.broker.declare([channels.INGEST])
    numbers = {"x1": 1, "y1": 1, "x2": 2, "y7": 7, "x1-again": 1}
    messages = [
        Envelope(event_id=f"a/{text}", reef_id="a", schema_id="x/1", produced_at=START, body=text.encode(), seq=seq)
        for text, seq in numbers.items()
    ]
    await bench.broker.publish([Publication(channel=channels.TELEMETRY.name, message=message) for message in messages])
    async with running(bench.worker(Collector(poisoned("x2")), subscription=channels.INGEST)):
        await bench.received(4)
    assert ["x1", "y1", "y7", "x1-again"] == await bench.state("a")
    cursor = (await bench.store.load("a")).cursor
    assert ({}, {}) == (cursor.applied, cursor.missing)
    counted = (table.DUPLICATES, table.SEQUENCE_GAPS, table.ORDER_VIOLATIONS)
    assert [0, 0, 0] == [bench.metrics.value(row, str(channels.INGEST)) for row in counted]
    assert all([await bench.store.is_applied("a", str(channels.INGEST), f"a/{text}") for text in ("x1", "y7", "x1-again")])


async def test_order_telemetry_waits_until_what_it_follows_was_applied_elsewhere(bench: WorkerBench) -> None:
    """Law 1: as above, for raw telemetry: many senders publish it, so it has no numbers of its reef."""
    handler = Collector()
    await bench.broker.publish([telemetry("t0"), telemetry("t2", follows="a/t1")])
    async with elsewhere(bench) as other, running(bench.worker(handler)):
        await bench.metrics.until(table.RETRIES, INBOX, "EarlierMissing", reaches=3)
        assert [("a", "t0")] == handler.handled
        await other.broker.publish([telemetry("t1", follows="a/t0")])
        async with running(other.worker(Collector())):
            await other.received(1)
        await handler.until(lambda: "t2" in handler.attempts)
    assert ["t0", "t1", "t2"] == await bench.state("a")


async def test_repeat_of_what_a_message_follows_does_not_make_it_wait(bench: WorkerBench) -> None:
    """After a restart, a sender names other predecessors for the same messages; the inbox knows those."""
    await bench.broker.publish([telemetry("t0"), telemetry("t1", follows="a/t0"), telemetry("t2", follows="a/t1")])
    async with running(bench.worker(Collector())):
        await bench.received(3)
        await bench.broker.publish([telemetry("t3", follows="a/t1", producer_id="again")])
        await bench.received(1)
    assert ["t0", "t1", "t2", "t3"] == await bench.state("a")
    assert 0 == bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")


async def test_message_that_follows_nothing_known_waits_once_and_its_reef_then_no_more_for_a_while(bench: WorkerBench) -> None:
    """Wrong links, or hostile ones, delay their own reef for a bounded time."""
    await bench.broker.publish([telemetry("t0", follows="a/never")])
    async with running(bench.worker(Collector(), gap_patience_seconds=0.05)):
        await bench.received(1)
        waited = bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")
        assert waited > 0
        await bench.broker.publish([telemetry("t1", follows="a/nowhere")])
        await bench.received(1)
    assert waited == bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")
    assert 2 == bench.metrics.value(table.SEQUENCE_GAPS, INBOX)
    assert ["t0", "t1"] == await bench.state("a")


async def test_gap_that_another_process_closes_meanwhile_is_not_counted(bench: WorkerBench) -> None:
    """Figures are of what was committed: the missing message was applied between the decision and the commit."""
    handler = Collector()

    async def close_the_gap() -> None:
        await bench.store.commit(left_elsewhere("a0"))

    handler.act = lambda text, attempt: close_the_gap() if attempt == 1 else None
    await bench.send("a", "a1", first_seq=2)
    async with running(bench.worker(handler, gap_patience_seconds=0.0)):
        out = await bench.received(2)
    assert [(1, b"a0"), (2, b"a1")] == [(message.seq, message.body) for message in out]
    assert ["a0", "a1"] == await bench.state("a")
    assert 1 == bench.metrics.value(table.FENCE_REFUSALS, INBOX)
    assert 0 == bench.metrics.value(table.SEQUENCE_GAPS, INBOX)
