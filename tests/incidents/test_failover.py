"""A failover after which the old primary goes on as a reader, and keeps its connections."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import asyncpg
import pytest

from reefmesh.observability.health import Health
from reefmesh.observability.progress import Progress
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.connect import open_store
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import CommitResult, Committed, Store, StoreUnavailable, Unit
from reefmesh_components.postgresql import PostgresqlProcess, local_postgresql
from reefmesh_components.requirement import ComponentMissing, give_up
from reefmesh_incidents.address_switch import address_switch

RETRY_SECONDS, LIMIT_SECONDS = 0.05, 30.0
BEFORE, AFTER = 20, 20
IDLE = "idle"
END_WRITER = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'idle' AND query = 'COMMIT'"


@dataclass(frozen=True, slots=True)
class Pair:
    primary: PostgresqlProcess
    standby: PostgresqlProcess


@pytest.fixture
def pair() -> Iterator[Pair]:
    try:
        with local_postgresql() as primary, primary.standby() as standby:
            yield Pair(primary, standby)
    except ComponentMissing as missing:
        give_up(missing)


class Writer:
    """Commits one unit after another of one reef, as a lane does: it tries again while the database is away."""

    def __init__(self, store: Store, stop: asyncio.Event) -> None:
        self.store = store
        self.committed = 0
        self._stop = stop

    async def run(self) -> None:
        while not self._stop.is_set():
            try:
                result = await self.store.commit(_unit(self.committed))
            except StoreUnavailable:
                await is_set_within(self._stop, RETRY_SECONDS)
            else:
                assert result == Committed(self.committed + 1)
                self.committed += 1

    async def reach(self, number: int) -> None:
        await until(lambda: self.committed >= number)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():
            await is_set_within(asyncio.Event(), RETRY_SECONDS)


def _unit(version: int) -> Unit:
    name = str(version)
    return Unit(reef_id="reef-a", inbox="i", event_id=name, expected_version=version, cursor=Cursor(), state=name.encode())


async def asked(server: PostgresqlProcess, *statements: str) -> object:
    connection = await asyncpg.connect(server.url)
    try:
        for statement in statements:
            answer = await connection.fetchval(statement)
        return answer
    finally:
        await connection.close()


async def promoted(pair: Pair, writers: list[Writer]) -> None:
    """Make the primary a reader, wait until the standby has all that was committed, and promote it."""
    await asked(pair.primary, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    await until(lambda: all(writer.store.statistics().failures for writer in writers))
    last = await asked(pair.primary, "SELECT pg_current_wal_insert_lsn()::text")
    caught_up = f"SELECT pg_last_wal_replay_lsn() >= '{last}'::pg_lsn"
    async with asyncio.timeout(LIMIT_SECONDS):
        while not await asked(pair.standby, caught_up):
            pass
    await asked(pair.standby, "SELECT pg_promote()")


async def soon_committed(store: Store, unit: Unit) -> CommitResult:
    """Commit as a service does: again while the store is unavailable, as it is at the instant in which its connection ends."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            try:
                return await store.commit(unit)
            except StoreUnavailable:
                await is_set_within(asyncio.Event(), RETRY_SECONDS)


@pytest.mark.row(1)
async def test_failover_with_an_old_primary_that_reads_heals_and_loses_nothing(
    pair: Pair, measured: Callable[[str], None]
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    primary, standby = f"127.0.0.1:{pair.primary.port}", f"127.0.0.1:{pair.standby.port}"
    async with address_switch(pair.primary.port) as switch:
        urls = [
            f"{pair.primary.url.replace(primary, f'127.0.0.1:{switch.port}')}?schema=follows",
            f"{pair.primary.url.replace(primary, f'{primary},{standby}')}?schema=lists",
        ]
        writers = [Writer(open_store(url, migrations=()), stop) for url in urls]
        async with asyncio.TaskGroup() as tasks:
            for writer in writers:
                await writer.store.open()
                tasks.create_task(writer.run())
            idle = open_store(f"{urls[0].replace('follows', IDLE)}&application_name={IDLE}", migrations=())
            await idle.open()
            assert (await idle.commit(_unit(0)), (await idle.load("reef-a")).version) == (Committed(1), 1)
            health = Health("ingest", Progress(), store=writers[0].store)
            await asyncio.gather(*(writer.reach(BEFORE) for writer in writers))

            await promoted(pair, writers)
            meanwhile = await health.report()
            switch.target_port = pair.standby.port
            began, had = loop.time(), [writer.committed for writer in writers]
            await asyncio.gather(*(writer.reach(number + 1) for writer, number in zip(writers, had, strict=True)))
            healed_seconds = loop.time() - began
            await asyncio.gather(*(writer.reach(number + AFTER) for writer, number in zip(writers, had, strict=True)))
            afterwards = await health.report()
            stop.set()

        await asked(pair.primary, END_WRITER)  # of a store that has not noticed anything
        assert (await soon_committed(idle, _unit(1)), (await idle.load("reef-a")).version) == (Committed(2), 2)
        await idle.close()

        for writer, schema in zip(writers, ("follows", "lists"), strict=True):
            row = await writer.store.load("reef-a")  # it reads where it writes
            assert (row.version, row.state) == (writer.committed, str(writer.committed - 1).encode())
            assert await asked(pair.standby, f"SET search_path = {schema}", "SELECT version FROM mesh_reef") == writer.committed
            await writer.store.close()
    assert ([meanwhile.status, afterwards.status], meanwhile.alive) == (["failing", "ok"], True)
    assert healed_seconds < 5
    measured(
        f"wrote again {healed_seconds:.1f} s after the address led to the new primary, nothing lost, and the same with both "
        f"hosts in the URL; until then health {meanwhile.status} ({meanwhile.checks[-1].reason.rpartition(': ')[2]}), live 200"
    )
