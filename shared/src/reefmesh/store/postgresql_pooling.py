"""Is there a pooler before the server that gives each transaction another server process, as PgBouncer does?

Two connections that are open at once belong to two server processes for good, unless a pooler lends them out by transactions.
"""

from typing import TYPE_CHECKING, Final

import asyncpg

from reefmesh.errors import ConfigurationError
from reefmesh.store.postgresql_session import Sessions

if TYPE_CHECKING:
    from asyncpg import Connection, Record

ROUNDS: Final = 3
"""Of asking; where a pooler is idle, the first round tells."""
CLOSE_TIMEOUT_SECONDS: Final = 2.0
PROCESS: Final = "SELECT pg_backend_pid()"
LOST_STATEMENT: Final = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""A statement was prepared in one server process and asked for in another."""


async def refuse_unstated_pooling(sessions: Sessions) -> None:
    """Return if each connection has a server process of its own, or the address says what a pooler does.

    Raises:
        ConfigurationError: server processes are lent by transactions, and the address does not say so.
    """
    if sessions.address.pooling is not None:
        return
    opened: list[Connection[Record]] = []
    try:
        opened.append(await sessions.connect())
        opened.append(await sessions.connect())
        is_lent = await _is_lent_by_transactions(sessions, *opened)
    except LOST_STATEMENT:
        is_lent = True
    else:
        for connection in opened:
            await connection.close(timeout=CLOSE_TIMEOUT_SECONDS)
    finally:
        for connection in opened:
            connection.terminate()
    if is_lent:
        raise ConfigurationError(
            f"{sessions.address.name} is behind a pooler that lends connections by transactions: "
            "add pooling=transaction to the URL, or set pool_mode=session for this database there"
        )


async def _is_lent_by_transactions(sessions: Sessions, first: "Connection[Record]", second: "Connection[Record]") -> bool:
    for _ in range(ROUNDS):
        own = await first.fetchval(PROCESS)
        async with sessions.transaction(second):  # while it lasts, nobody else has its process
            if await second.fetchval(PROCESS) == own or await first.fetchval(PROCESS) != own:
                return True
    return False
