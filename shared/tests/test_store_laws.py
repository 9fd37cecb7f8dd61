"""What every store promises, on every database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from reefmesh.broker.port import Publication
from reefmesh.clock import ManualClock
from reefmesh.store.connect import open_store
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import AlreadyApplied, Committed, ReefRow, Stale, Store, StoreUnavailable, Unit, Write, WriteRefused

OpenStore = Callable[..., Awaitable[Store]]
MakeUnit = Callable[..., Unit]

INSERT = "INSERT INTO reading (reef_id, number, value) VALUES (?, ?, ?)"
DELETE = "DELETE FROM reading WHERE reef_id = ?"
COUNT = "SELECT COUNT(*) FROM reading WHERE reef_id = ?"


async def rows_of(store: Store, reef_id: str) -> int:
    count: int = (await store.fetch(COUNT, (reef_id,)))[0][0]
    return count


def unsent(unit: Unit) -> tuple[tuple[str, Publication], ...]:
    return tuple((unit.event_id, output) for output in unit.outputs)


async def test_load_of_an_unknown_reef_is_version_0_without_state(store: Store) -> None:
    assert await store.load("nowhere") == ReefRow(reef_id="nowhere", version=0, cursor=Cursor(), state=None)


async def test_commit_writes_state_cursor_rows_and_outputs_together(store: Store, unit: MakeUnit) -> None:
    first = unit("reef-a", 1, outputs=3)

    assert await store.commit(first) == Committed(1)

    assert await store.load("reef-a") == ReefRow(
        reef_id="reef-a", version=1, cursor=first.cursor, state=b"state 1", has_outputs=True
    )
    assert await store.fetch("SELECT number, value FROM reading WHERE reef_id = ?", ("reef-a",)) == [(1, 0.5)]
    assert await store.unsent_outputs("reef-a") == unsent(first)


async def test_unsent_outputs_of_a_reef_are_told_in_order_until_they_are_out(store: Store, unit: MakeUnit) -> None:
    first, second = unit("reef-a", 1, outputs=2), unit("reef-a", 2, outputs=1)
    for each in (first, unit("reef-b", 1), second):
        await store.commit(each)
    assert await store.unsent_outputs("reef-a") == (
        *((first.event_id, output) for output in first.outputs),
        *((second.event_id, output) for output in second.outputs),
    )
    await store.outputs_sent([first.event_id])
    assert [cause for cause, _ in await store.unsent_outputs("reef-a")] == [second.event_id]
    assert await store.unsent_outputs("reef-c") == ()


async def test_inbox_tells_what_was_applied(store: Store, unit: MakeUnit) -> None:
    first = unit("reef-a", 1)
    assert not await store.is_applied("reef-a", first.inbox, first.event_id)
    await store.commit(first)
    assert await store.is_applied("reef-a", first.inbox, first.event_id)
    assert not await store.is_applied("reef-b", first.inbox, first.event_id)
    assert not await store.is_applied("reef-a", "other", first.event_id)


async def test_repeated_unit_is_applied_once_and_its_outputs_stay_until_they_are_out(store: Store, unit: MakeUnit) -> None:
    first = unit("reef-a", 1, outputs=2)
    await store.commit(first)

    again = await store.commit(first)
    redelivered = await store.commit(unit("reef-a", 1, outputs=2, expected_version=1))
    assert again == redelivered == AlreadyApplied()
    assert await store.unsent_outputs("reef-a") == unsent(first)

    await store.outputs_sent([first.event_id])
    assert await store.unsent_outputs("reef-a") == ()
    assert await store.commit(first) == AlreadyApplied()
    assert (await store.load("reef-a")).version == 1
    assert await rows_of(store, "reef-a") == 1


async def test_effect_once_a_unit_that_its_cursor_remembers_needs_no_row_in_the_inbox(store: Store, unit: MakeUnit) -> None:
    first = unit("reef-a", 1, in_inbox=False)
    assert await store.commit(first) == Committed(1)

    assert await store.commit(first) == Stale(1)

    assert not await store.is_applied("reef-a", first.inbox, first.event_id)
    assert (await store.load("reef-a")).cursor.applied == {first.inbox: 1}
    assert await store.unsent_outputs("reef-a") == unsent(first)
    assert await rows_of(store, "reef-a") == 1


async def test_units_with_and_without_a_row_in_the_inbox_share_a_transaction(store: Store, unit: MakeUnit) -> None:
    units = [unit(f"reef-{n}", 1, in_inbox=n % 2 == 0) for n in range(6)]
    assert await asyncio.gather(*(store.commit(each) for each in units)) == [Committed(1)] * 6
    held = [await store.is_applied(each.reef_id, each.inbox, each.event_id) for each in units]
    assert held == [True, False] * 3


async def test_zombie_with_an_old_version_changes_nothing(store: Store, unit: MakeUnit) -> None:
    await store.commit(unit("reef-a", 1))
    await store.commit(unit("reef-a", 2))

    late = unit("reef-a", 3, expected_version=1)
    assert await store.commit(late) == Stale(2)

    assert await rows_of(store, "reef-a") == 2
    assert late.event_id not in {cause for cause, _ in await store.unsent_outputs("reef-a")}
    assert await store.commit(unit("reef-b", 5)) == Stale(0)


async def test_refused_units_do_not_harm_those_in_the_same_transaction(store: Store, unit: MakeUnit) -> None:
    await asyncio.gather(*(store.commit(unit(f"reef-{n}", 1)) for n in range(40)))
    before = store.statistics()
    units = [unit(f"reef-{n}", 2) for n in range(40)]
    units[7] = unit("reef-7", 2, expected_version=0)
    units[11] = unit("reef-11", 1)
    units[13] = unit("reef-13", 2, writes=[Write(INSERT, ("reef-13", 2, 1.0)), Write(INSERT, ("reef-13", 2, 1.0))])
    units[17] = unit("reef-17", 2, writes=[Write("INSERT INTO nowhere (x) VALUES (?)", (1,))])

    results = await asyncio.gather(*(store.commit(each) for each in units), return_exceptions=True)

    assert results[7] == Stale(1)
    assert isinstance(results[11], AlreadyApplied)
    assert isinstance(results[13], WriteRefused)
    assert isinstance(results[17], WriteRefused)
    refused = {7, 11, 13, 17}
    assert [result for n, result in enumerate(results) if n not in refused] == [Committed(2)] * 36
    for n in range(40):
        assert (await store.load(f"reef-{n}")).version == (1 if n in refused else 2)
        assert await rows_of(store, f"reef-{n}") == (1 if n in refused else 2)
    assert before.units_per_commit_max > 1  # they did share
    assert await store.commit(unit("reef-13", 2)) == Committed(2)


async def test_two_writers_of_one_reef_at_once_only_one_wins(store: Store, unit: MakeUnit) -> None:
    rivals = [unit("reef-a", 1, inbox=f"rival-{n}", writes=[]) for n in range(8)]

    results = await asyncio.gather(*(store.commit(each) for each in rivals))

    assert sorted(type(result).__name__ for result in results) == ["Committed"] + ["Stale"] * 7


async def test_processes_racing_for_the_same_reefs_never_lose_an_update(
    shared_database_url: str, opened: OpenStore, unit: MakeUnit
) -> None:
    stores = [await opened(shared_database_url) for _ in range(3)]
    won: list[tuple[str, int]] = []

    async def compete(which: int, reef_id: str) -> None:
        for _ in range(15):
            version = (await stores[which].load(reef_id)).version
            rival = unit(reef_id, version + 1, inbox=f"process-{which}")
            result = await stores[which].commit(rival)
            if isinstance(result, Committed):
                won.append((reef_id, result.version))

    async with asyncio.TaskGroup() as tasks:
        for which in range(3):
            for reef in range(4):
                tasks.create_task(compete(which, f"reef-{reef}"))

    for reef in range(4):
        versions = sorted(version for reef_id, version in won if reef_id == f"reef-{reef}")
        assert versions == list(range(1, (await stores[0].load(f"reef-{reef}")).version + 1))
        assert await rows_of(stores[0], f"reef-{reef}") == len(versions)


async def test_statements_of_a_unit_keep_their_order_among_those_of_others(store: Store, unit: MakeUnit) -> None:
    def replaced(reef_id: str) -> list[Write]:
        return [Write(INSERT, (reef_id, 1, 1.0)), Write(DELETE, (reef_id,)), Write(INSERT, (reef_id, 1, 2.0))]

    def emptied(reef_id: str) -> list[Write]:
        return [Write(INSERT, (reef_id, 1, 1.0)), Write(INSERT, (reef_id, 2, 1.0)), Write(DELETE, (reef_id,))]

    units = [unit(f"reef-{n}", 1, writes=(replaced if n % 2 else emptied)(f"reef-{n}")) for n in range(10)]
    await asyncio.gather(*(store.commit(each) for each in units))

    left = await store.fetch("SELECT reef_id, number, value FROM reading ORDER BY reef_id")
    assert left == [(f"reef-{n}", 1, 2.0) for n in (1, 3, 5, 7, 9)]


async def test_inbox_keeps_the_newest_128_inputs_of_each_reef_and_inbox(store: Store, unit: MakeUnit) -> None:
    other = unit("reef-a", 1, inbox="other", writes=[], outputs=0)
    await store.commit(other)
    for number in range(1, 141):
        result = await store.commit(unit("reef-a", number, expected_version=number, outputs=0))
        assert result == Committed(number + 1)

    counts = await store.fetch(
        "SELECT inbox, COUNT(*) FROM mesh_inbox WHERE reef_id = ? GROUP BY inbox ORDER BY inbox", ("reef-a",)
    )
    assert counts == [("other", 1), ("readings", 128)]
    assert await store.commit(unit("reef-a", 12, expected_version=5)) == Stale(141)
    assert await store.commit(unit("reef-a", 13, expected_version=5)) == AlreadyApplied()
    assert await store.commit(other) == AlreadyApplied()


async def test_outputs_sent_is_written_soon_without_any_further_unit(store: Store, unit: MakeUnit) -> None:
    first = unit("reef-a", 1)
    await store.commit(first)
    await store.outputs_sent([first.event_id])

    async with asyncio.timeout(60):
        while await store.fetch("SELECT 1 FROM mesh_outbox"):  # noqa: ASYNC110 - the database sets no event
            await asyncio.sleep(0)  # lets the timer run; each fetch goes to the database


async def test_close_writes_what_is_waiting(shared_database_url: str, opened: OpenStore, unit: MakeUnit) -> None:
    store = await opened(shared_database_url)
    first = unit("reef-a", 1)
    await store.commit(first)
    await store.outputs_sent([first.event_id])
    waiting = asyncio.create_task(store.commit(unit("reef-b", 1)))
    await asyncio.sleep(0)  # the task has asked

    await store.close()

    assert await waiting == Committed(1)
    after = await opened(shared_database_url)
    assert (await after.load("reef-b")).version == 1
    assert await after.fetch("SELECT reef_id FROM mesh_outbox") == [("reef-b",)]


async def test_overdue_outputs_come_oldest_reef_first_and_in_reef_order(
    store: Store, unit: MakeUnit, clock: ManualClock
) -> None:
    old = [unit("reef-b", 1, outputs=2), unit("reef-a", 1), unit("reef-b", 2)]
    for each in old:
        await store.commit(each)
        clock.advance(timedelta(seconds=10))
    clock.advance(timedelta(seconds=30))
    await store.commit(unit("reef-a", 2))

    overdue = await store.overdue_outputs(timedelta(seconds=30), limit=10)
    assert list(overdue) == [(each.event_id, output) for each in (old[0], old[2], old[1]) for output in each.outputs]
    assert list(await store.overdue_outputs(timedelta(seconds=30), limit=2)) == list(overdue)[:2]

    await store.outputs_sent([old[0].event_id])
    assert [cause for cause, _ in await store.overdue_outputs(timedelta(seconds=30), limit=10)] == [
        old[2].event_id,
        old[1].event_id,
    ]


async def test_attempts_are_counted_until_the_unit_commits(store: Store, unit: MakeUnit) -> None:
    first = unit("reef-a", 1)
    assert [await store.count_attempt("readings", first.event_id) for _ in range(3)] == [1, 2, 3]
    assert await store.count_attempt("elsewhere", first.event_id) == 1
    together = await asyncio.gather(*(store.count_attempt("readings", "another") for _ in range(20)))
    assert sorted(together) == list(range(1, 21))

    await store.commit(first)

    assert await store.count_attempt("readings", first.event_id) == 1
    assert await store.count_attempt("elsewhere", first.event_id) == 2
    await store.commit(first)  # a repeat forgets its attempts too
    untried = unit("reef-b", 1, tried=False)
    await store.count_attempt("readings", untried.event_id)
    await store.commit(untried)
    assert await store.attempts("readings", untried.event_id) == 1  # nobody looked: it was said that there are none
    await store.forget_attempts("readings", untried.event_id)
    assert await store.fetch("SELECT 1 FROM mesh_attempt WHERE inbox = ?", ("readings",)) == await store.fetch(
        "SELECT 1 FROM mesh_attempt WHERE event_id = ?", ("another",)
    )


async def test_written_values_are_read_back_as_they_were(store: Store) -> None:
    insert = "INSERT INTO reading (reef_id, number, value, note, raw) VALUES (?, ?, ?, ?, ?)"
    rows = [
        ("reef-ä?", 2**62, 29.41, "'it''s' ? -- no comment", b"\x00\xff"),
        ("reef-b", -(2**62), None, None, None),
        ("reef-c", 0, 1.0, "", b""),
    ]
    await store.write([Write(insert, row) for row in rows])

    assert await store.fetch("SELECT reef_id, number, value, note, raw FROM reading ORDER BY reef_id DESC") == sorted(
        rows, key=lambda row: row[0], reverse=True
    )
    assert await store.fetch("SELECT reef_id FROM reading WHERE note = '' /* ? */ AND reef_id = ? -- ?", ("reef-c",)) == [
        ("reef-c",)
    ]
    ((total, mean),) = await store.fetch("SELECT SUM(number), AVG(number) FROM reading WHERE number < ?", (1,))
    assert (total, type(total), mean) == (-(2**62), int, -(2**61))


@pytest.mark.parametrize(
    "wrong",
    [
        Write(INSERT, ("reef-a", 1)),
        Write(INSERT, ("reef-a", 2**70, 1.0)),
        Write(INSERT, ("half a \ud800 pair", 1, 1.0)),
        Write(INSERT, (None, 1, 1.0)),
        Write("INSERT INTO reading VALUES", ()),
    ],
    ids=["too few parameters", "integer too large", "no text", "null", "no SQL"],
)
async def test_wrong_statement_is_refused_and_the_store_goes_on(store: Store, unit: MakeUnit, wrong: Write) -> None:
    with pytest.raises(WriteRefused):
        await store.commit(unit("reef-a", 1, writes=[wrong]))
    with pytest.raises(WriteRefused):
        await store.write([wrong])
    with pytest.raises(WriteRefused):
        await store.fetch("SELECT nothing FROM nowhere")

    assert await store.commit(unit("reef-a", 1)) == Committed(1)


async def test_cancelled_caller_harms_nobody(store: Store, unit: MakeUnit) -> None:
    tasks = [asyncio.create_task(store.commit(unit(f"reef-{n}", 1))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()

    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert results[1::2] == [Committed(1)] * 10
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])


async def test_closed_store_says_so(database_url: str, opened: OpenStore, unit: MakeUnit) -> None:
    never = open_store(database_url, migrations=())
    await never.close()
    with pytest.raises(StoreUnavailable, match="not open"):
        await never.load("reef-a")

    store = await opened(database_url)
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.commit(unit("reef-a", 1))
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.load("reef-a")
    await store.outputs_sent(["nobody minds"])


async def test_statistics_count_units_and_transactions(store: Store, unit: MakeUnit) -> None:
    await asyncio.gather(*(store.commit(unit(f"reef-{n}", 1)) for n in range(30)))

    statistics = store.statistics()
    assert statistics.units == 30
    assert 1 <= statistics.commits <= 30
    assert statistics.units_per_commit_max <= 30
    assert statistics.units_waiting == 0
