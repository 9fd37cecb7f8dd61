"""What is left after a process was killed, or lost its server, in the middle of commits."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from reefmesh.store.connect import open_store
from reefmesh.store.migrations import Migration, MigrationSet
from reefmesh.store.port import AlreadyApplied, Committed, Stale, Store, StoreUnavailable, Unit
from reefmesh_components.postgresql import PostgresqlServer

OpenStore = Callable[..., Awaitable[Store]]
MakeUnit = Callable[..., Unit]

WRITER = Path(__file__).with_name("store_writer_process.py")
LANES = 6
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reefmesh' AND pid <> pg_backend_pid()"
)


@pytest.mark.parametrize("rounds", [5])
async def test_killed_process_leaves_every_confirmed_unit_and_no_half_one(shared_database_url: str, rounds: int) -> None:
    confirmed = dict.fromkeys((f"reef-{n}" for n in range(LANES)), 0)
    for round_ in range(rounds):
        await _write_until_killed(shared_database_url, confirmed, lines=20 + 37 * round_)

    script = WRITER.read_text().split('SCRIPT = """')[1].split('"""')[0]
    migrations = [MigrationSet(name="writer", migrations=(Migration(version=1, name="reading", script=script),))]
    store = open_store(shared_database_url, migrations=migrations)
    await store.open()
    try:
        for reef_id, last in confirmed.items():
            row = await store.load(reef_id)
            assert row.version >= last > 0
            assert (row.state, row.cursor.applied) == (str(row.version).encode(), {"writer": row.version})
            halves = await store.fetch("SELECT COUNT(*), MAX(number) FROM reading WHERE reef_id = ?", (reef_id,))
            assert halves == [(2 * row.version, row.version)]
            outbox = await store.fetch("SELECT COUNT(*), MAX(version) FROM mesh_outbox WHERE reef_id = ?", (reef_id,))
            assert outbox == [(row.version, row.version)]
            inbox = await store.fetch("SELECT COUNT(*), MAX(version) FROM mesh_inbox WHERE reef_id = ?", (reef_id,))
            assert inbox == [(min(row.version, 128), row.version)]
    finally:
        await store.close()


async def _write_until_killed(url: str, confirmed: dict[str, int], *, lines: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WRITER), url, str(LANES), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    seen = 0
    while line := await process.stdout.readline():
        reef_id, number = line.split()
        confirmed[reef_id.decode()] = int(number)
        seen += 1
        if seen == lines:
            process.send_signal(signal.SIGKILL)
    errors = (await process.stderr.read()).decode()
    assert (await process.wait(), errors) == (-signal.SIGKILL, "")


async def _commit_through_faults(store: Store, unit: MakeUnit, reef_id: str, count: int, unavailable: list[str]) -> None:
    """Commit ``count`` units in order, repeating each until it is in."""
    for number in range(1, count + 1):
        while True:
            try:
                result = await store.commit(unit(reef_id, number))
            except StoreUnavailable as error:
                unavailable.append(str(error))
                await asyncio.sleep(0.01)  # a lane's backoff
                continue
            assert isinstance(result, Committed | AlreadyApplied), result
            break


async def test_connections_terminated_during_commits_lose_and_repeat_nothing(
    postgresql: PostgresqlServer, postgresql_schema_url: str, opened: OpenStore, unit: MakeUnit
) -> None:
    store = await opened(postgresql_schema_url)
    unavailable: list[str] = []
    killer = await asyncpg.connect(postgresql.url)
    try:
        async with asyncio.TaskGroup() as lanes:
            tasks = [lanes.create_task(_commit_through_faults(store, unit, f"reef-{n}", 60, unavailable)) for n in range(8)]
            while not all(task.done() for task in tasks):
                await killer.execute(TERMINATE)
                units = store.statistics().units
                while store.statistics().units < units + 40 and not all(task.done() for task in tasks):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0)
    finally:
        await killer.close()

    assert unavailable
    assert all("\n" not in text and "p4ss" not in text for text in unavailable)
    for n in range(8):
        assert (await store.load(f"reef-{n}")).version == 60
        assert await store.fetch("SELECT COUNT(*) FROM reading WHERE reef_id = ?", (f"reef-{n}",)) == [(60,)]


async def test_idle_connections_cut_by_a_server_restart_work_again(
    postgresql: PostgresqlServer, postgresql_schema_url: str, opened: OpenStore, unit: MakeUnit
) -> None:
    if postgresql.restart is None:
        pytest.skip("the server is somebody else's: it cannot be restarted")
    store = await opened(postgresql_schema_url)
    assert await store.commit(unit("reef-a", 1)) == Committed(1)
    unavailable: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_commit_through_faults(store, unit, "reef-b", 400, unavailable))
        tasks.create_task(asyncio.to_thread(postgresql.restart))

    async with asyncio.timeout(60):
        await _commit_through_faults(store, unit, "reef-c", 1, unavailable)
    assert (await store.load("reef-b")).version == 400
    assert await store.commit(unit("reef-a", 1, expected_version=1)) == AlreadyApplied()
    assert await store.commit(unit("reef-a", 3, expected_version=0)) == Stale(1)
