"""What goes wrong with the database as a whole, a failover to a streaming standby among it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

import asyncpg

from reefmesh_components.postgresql import PostgresqlProcess
from reefmesh_faults.part import Part
from reefmesh_faults.plan import chosen

CROWD_TIMEOUT_SECONDS: Final = 10.0
CONNECT_TIMEOUT_SECONDS: Final = 60.0
FAILOVER_TIMEOUT_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.05
STILL_LOOKS: Final = 10
"""So many looks in a row must see no transaction that writes, before whoever fails over believes that there is none."""

READ_ONLY: Final = "ALTER SYSTEM SET default_transaction_read_only = on"
LIKE_BEFORE: Final = "ALTER SYSTEM RESET default_transaction_read_only"
RELOAD: Final = "SELECT pg_reload_conf()"
PROMOTE: Final = "SELECT pg_promote()"
WRITES: Final = """
SELECT pg_current_wal_insert_lsn()::text, pg_snapshot_xmin(seen)::text, pg_snapshot_xmax(seen)::text
FROM pg_current_snapshot() seen
"""
REPLAYED: Final = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn FROM pg_sleep(0.05)"
CLIENTS: Final = """
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass(slots=True, kw_only=True)
class StoreFaults:
    """``server``: the primary, another one after each failover. ``lock``: one fault of it at a time. ``did`` counts what was
    done."""

    server: PostgresqlProcess
    random: Random
    did: Counter[str]
    parts: Callable[[], Sequence[Part]]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _copy: ExitStack = field(default_factory=ExitStack)

    async def suffer(self, kind: str, seconds: float) -> None:
        """Return when there is a primary that takes writes and connections."""
        async with self.lock:
            server = self.server
            match kind:
                case "store_kill":
                    await asyncio.to_thread(server.kill)
                    await asyncio.sleep(seconds)
                    await asyncio.to_thread(server.start_again)
                case "store_restart":
                    await asyncio.to_thread(server.restart)
                case "store_reads_only":
                    await self._read_only(seconds)
                case "store_failover":
                    await self._fail_over(seconds)
                case _:
                    await self._crowd(seconds)

    async def _read_only(self, seconds: float) -> None:
        """Let the server take no writes while its connections stay; then it takes writes again. Nobody takes over."""
        async with _session(self.server) as session:
            try:
                await session.execute(READ_ONLY)
                await session.execute(RELOAD)
                await asyncio.sleep(seconds)
            finally:
                await session.execute(LIKE_BEFORE)
                await session.execute(RELOAD)

    async def _fail_over(self, seconds: float) -> None:
        """Promote a streaming standby: new connections go there, and those that are there stay with the old primary, which
        only reads, for so long; then it ends.

        Whoever fails over takes care that the standby has all that was committed, as one does who plans it: what an
        asynchronous standby loses when its primary dies is no promise of reefmesh.
        """
        old = self.server
        with ExitStack() as stack:
            new = await asyncio.to_thread(stack.enter_context, old.standby())
            async with _session(old) as at_old, _session(new) as at_new:
                if not await _handed_over(at_old, at_new):
                    self.did["store_failover: given up, the standby did not catch up"] += 1
                    return
                self.server = new
                stay = await at_old.fetchval(CLIENTS)
                await asyncio.sleep(seconds)
                left = await at_old.fetchval(CLIENTS)
            await asyncio.to_thread(old.stop)
            await asyncio.to_thread(self.close)
            self._copy = stack.pop_all()
        self.did["store_failover: promotions"] += 1
        self.did["store_failover: connections to the old primary then"] += stay
        self.did["store_failover: of these when it ended"] += left

    def close(self) -> None:
        """End the primary if it is a former standby, and remove its files."""
        self._copy.close()

    async def _crowd(self, seconds: float) -> None:
        """Take every connection that is left, and cut one service's: it finds none when it comes back."""
        taken: list[asyncpg.Connection[asyncpg.Record]] = []
        try:
            async with asyncio.timeout(CROWD_TIMEOUT_SECONDS):
                while True:
                    taken.append(await asyncpg.connect(self.server.url))
        except (OSError, TimeoutError, asyncpg.PostgresError):
            crowded = [part for part in self.parts() if part.wanted]
            chosen(crowded, self.random.random()).links["store"].reset()
            await asyncio.sleep(seconds)
        finally:
            for connection in taken:
                connection.terminate()


@asynccontextmanager
async def _session(server: PostgresqlProcess) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """Connect as an administrator, who also waits for a place after a crowd."""
    async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
        while True:
            try:
                session = await asyncpg.connect(server.url, server_settings={"default_transaction_read_only": "off"})
            except asyncpg.TooManyConnectionsError:
                await asyncio.sleep(LOOK_SECONDS)
            else:
                break
    try:
        yield session
    finally:
        session.terminate()


async def _handed_over(old: "asyncpg.Connection[asyncpg.Record]", new: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Let the old primary take no writes, and promote the new one once it has all that was written; False: it had not in time,
    and the old one takes writes again."""
    await old.execute(READ_ONLY)
    await old.execute(RELOAD)
    try:
        async with asyncio.timeout(FAILOVER_TIMEOUT_SECONDS):
            last = await _last_write(old)
            while not await new.fetchval(REPLAYED, last):
                pass
    except TimeoutError:
        await old.execute(LIKE_BEFORE)
        await old.execute(RELOAD)
        return False
    await new.fetchval(PROMOTE)
    return True


async def _last_write(primary: "asyncpg.Connection[asyncpg.Record]") -> str:
    """Wait until nobody writes any more; return where the log of writes ends (an LSN). A transaction that began before the
    server took no more writes may still commit."""
    newest, still = None, 0
    while still < STILL_LOOKS:
        ((where, oldest_open, next_one),) = await primary.fetch(WRITES)
        still = still + 1 if oldest_open == next_one == newest else 0
        newest = next_one
        await asyncio.sleep(LOOK_SECONDS)
    return str(where)
