"""PgBouncer in transaction mode between some processes and PostgreSQL, and what goes wrong with it.

Its own connections to the server lead through a proxy of ours, which can cut them under it and follows the primary.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from reefmesh_components.pgbouncer import PgbouncerProcess, pgbouncer_process
from reefmesh_components.postgresql import PostgresqlProcess
from reefmesh_faults.tcp_proxy import TcpProxy

POOL_MODE: Final = "transaction"
STATED: Final = f"&pooling={POOL_MODE}"
"""What the URL of a store says of it."""

SETTINGS: Final = {
    "default_pool_size": "6",  # fewer than its clients have connections: they share them
    "server_login_retry": "1",  # seconds; by default nobody is let in for 15 s after the database was away
    "query_wait_timeout": "20",  # seconds; by default a client waits two minutes for a server connection
}


@dataclass(slots=True, kw_only=True)
class PoolerFaults:
    """``lock``: one fault of it at a time. ``did`` counts what was done."""

    process: PgbouncerProcess
    servers: TcpProxy
    did: Counter[str]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def suffer(self, kind: str, seconds: float) -> None:
        """Return when it takes connections again."""
        async with self.lock:
            match kind:
                case "pooler_kill":
                    await asyncio.to_thread(self.process.kill)
                    await asyncio.sleep(seconds)
                    await asyncio.to_thread(self.process.start)
                case "pooler_restart":
                    await asyncio.to_thread(self.process.stop)
                    await asyncio.sleep(seconds)
                    await asyncio.to_thread(self.process.start)
                case _:
                    self.did["pooler_servers_reset: server connections"] += self.servers.connections
                    self.servers.reset()


@contextmanager
def pooler_before(server: PostgresqlProcess, servers: TcpProxy, did: Counter[str]) -> Iterator[PoolerFaults]:
    """Start one that reaches the server through ``servers``, which is open.

    Raises:
        ComponentMissing: it is not installed.
    """
    url = server.url.replace(f":{server.port}/", f":{servers.port}/")
    with pgbouncer_process(url, pool_mode=POOL_MODE, settings=SETTINGS) as process:
        yield PoolerFaults(process=process, servers=servers, did=did)
