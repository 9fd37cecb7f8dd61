"""Law 12: a number is believed only where it can be one of its reef's next, and belongs to one event."""

from dataclasses import dataclass

from reefmesh.observability import table
from reefmesh.service.breaker import PoisonBreaker
from reefmesh.store.cursor import JUMP_LIMIT, NUMBERS_KEPT, Cursor
from reefmesh.store.port import Unit
from reefmesh_components.worker_bench import INBOX, Collector, WorkerBench, poisoned, running

FAR = 1_000_000_000


@dataclass
class Reader(Collector):
    """A collector that reads one schema."""

    schemas: frozenset[str] = frozenset({"y/1"})


async def test_absurd_number_is_parked_at_once_and_its_reef_goes_on(bench: WorkerBench) -> None:
    await bench.send("a", "a0")
    await bench.send("a", "far", first_seq=FAR)
    await bench.send("a", "a1", first_seq=2)
    async with running(bench.worker(Collector())):
        await bench.received(2)
    assert [("far", "number-jump")] == await bench.parked()
    assert ["a0", "a1"] == await bench.state("a")
    cursor = (await bench.store.load("a")).cursor
    assert ({INBOX: 2}, {}, {}) == (cursor.applied, cursor.missing, cursor.parked)
    assert 0 == bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")


async def test_absurd_number_holds_nothing_back_where_a_reef_parks_behind_its_poison(bench: WorkerBench) -> None:
    await bench.send("a", "a0")
    await bench.send("a", "far", first_seq=FAR)
    await bench.send("a", "a1", first_seq=2)
    async with running(bench.worker(Collector(), poison_policy="park")):
        await bench.received(2)
        await bench.until_parked(1)
    assert ["a0", "a1"] == await bench.state("a")


async def test_absurd_number_stays_parked_when_it_is_replayed(bench: WorkerBench) -> None:
    await bench.send("a", "a0")
    await bench.send("a", "far", first_seq=FAR)
    async with running(bench.worker(Collector())):
        await bench.received(1)
        await bench.until_parked(1)
        await bench.replay_parked()
        await bench.send("a", "a1", first_seq=2)
        await bench.received(1)
        await bench.until_parked(1)
    assert ["a0", "a1"] == await bench.state("a")


async def test_service_that_joins_late_begins_with_the_number_it_gets(bench: WorkerBench) -> None:
    await bench.send("a", "a0", "a1", first_seq=1_000_000)
    await bench.send("a", "far", first_seq=1_000_002 + JUMP_LIMIT)
    async with running(bench.worker(Collector())):
        await bench.received(2)
        await bench.until_parked(1)
    assert [("far", "number-jump")] == await bench.parked()


async def test_message_that_nobody_reads_is_parked_without_waiting_for_a_missing_one(bench: WorkerBench) -> None:
    handler = Reader()
    await bench.send("a", "a5", first_seq=6)
    async with running(bench.worker(handler)):
        await bench.until_parked(1)
    assert [("a5", "unknown-schema")] == await bench.parked()
    assert {} == handler.attempts
    assert 0 == bench.metrics.value(table.RETRIES, INBOX, "EarlierMissing")
    cursor = (await bench.store.load("a")).cursor
    assert ({}, {INBOX: (6,)}) == (cursor.applied, cursor.missing)


async def test_nothing_lost_poison_ahead_of_missing_messages_leaves_them_their_turn(bench: WorkerBench) -> None:
    """Law 3: those that come after it are no duplicates, and are not out of order."""
    await bench.send("a", "a0")
    await bench.send("a", "bad", first_seq=4)
    async with running(bench.worker(Collector(poisoned("bad")), gap_patience_seconds=0.02)):
        await bench.until_parked(1)
        await bench.send("a", "a1", "a2", first_seq=2)
        await bench.send("a", "a4", first_seq=5)
        await bench.received(4)
    assert ["a0", "a1", "a2", "a4"] == await bench.state("a")
    assert 0 == bench.metrics.value(table.ORDER_VIOLATIONS, INBOX)
    assert 0 == bench.metrics.value(table.SEQUENCE_GAPS, INBOX)


async def test_number_that_comes_again_with_another_event_is_parked_and_counted(bench: WorkerBench) -> None:
    """A publisher that was restored from a backup: skipped as duplicates, its messages would be lost and nobody would know."""
    await bench.send("a", "a0", "a1")
    await bench.send("a", "b1", first_seq=2)
    await bench.send("a", "a2", first_seq=3)
    async with running(bench.worker(Collector(), breaker=PoisonBreaker(ratio=0.01))):
        await bench.received(3)
    assert [("b1", "number-conflict")] == await bench.parked()
    assert ["a0", "a1", "a2"] == await bench.state("a")
    assert 1 == bench.metrics.value(table.NUMBER_CONFLICTS, INBOX)
    assert 0 == bench.metrics.value(table.DUPLICATES, INBOX)
    cursor = (await bench.store.load("a")).cursor
    assert ({INBOX: 3}, {}, {}) == (cursor.applied, cursor.missing, cursor.parked)


async def test_number_of_an_event_that_is_remembered_no_more_is_a_duplicate_and_counted(bench: WorkerBench) -> None:
    await bench.send("a", *(f"a{number}" for number in range(NUMBERS_KEPT + 1)))
    await bench.send("a", "again", first_seq=1)
    await bench.send("a", "last", first_seq=NUMBERS_KEPT + 2)
    async with running(bench.worker(Collector())):
        await bench.received(NUMBERS_KEPT + 2)
    assert [] == await bench.parked()
    assert 1 == bench.metrics.value(table.NUMBERS_UNVERIFIED, INBOX)
    assert 1 == bench.metrics.value(table.DUPLICATES, INBOX)


async def test_conflict_is_judged_by_the_row_and_not_by_what_the_process_remembers(bench: WorkerBench) -> None:
    """Somebody has set the cursor back since: the number is the reef's next one again."""
    await bench.send("a", "a0", "a1")
    async with running(bench.worker(Collector())):
        await bench.received(2)
        row = await bench.store.load("a")
        back = Cursor(applied={INBOX: 1}, published=row.cursor.published)
        unit = Unit(
            reef_id="a", inbox="repair", event_id="1", expected_version=row.version, cursor=back, state=row.state or b""
        )
        await bench.store.commit(unit)
        await bench.send("a", "b1", first_seq=2)
        await bench.received(1)
    assert ["a0", "a1", "b1"] == await bench.state("a")
