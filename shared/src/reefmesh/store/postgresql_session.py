"""Sessions with PostgreSQL: how connections are made, what is set in them, and a transaction that names its schema.

A pooler before the server may give each transaction another server process. Then what was set in a session is gone, or another
client's, and tables would be looked for in a schema of somebody else. So a connection is used once it was seen to be in our
schema, and with ``pooling=transaction`` everything is set, and read, inside transactions.
"""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from reefmesh.errors import ConfigurationError
from reefmesh.store.port import StoreUnavailable
from reefmesh.store.postgresql_address import PostgresqlAddress
from reefmesh.store.postgresql_errors import is_of_connection
from reefmesh.store.postgresql_socket import Keepalive

if TYPE_CHECKING:
    from asyncpg import Connection, Pool, Record
    from asyncpg.pool import PoolConnectionProxy

    Session = Connection[Record] | PoolConnectionProxy[Record]

COMMAND_TIMEOUT_SECONDS: Final = 30.0
STATEMENTS_CACHED: Final = 512

SETTINGS: Final = {
    # A process that stops in the middle of a transaction (a frozen machine) must not lock its reefs' rows for ever.
    "idle_in_transaction_session_timeout": "30s",
    # Statements here take microseconds; compiling one takes longer than a thousand of them.
    "jit": "off",
}
WRITING: Final = {
    # Every row that is written is found by its key. A new table has no statistics yet, and the planner would scan all of it
    # for every batch (measured: a tenth of the speed, until the first ANALYZE).
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Settings of the connection that writes."""

LOOK: Final = """
SELECT current_schema(), current_setting('server_encoding'), current_setting('client_encoding'),
  current_setting('transaction_read_only')
"""
ENCODING: Final = "UTF8"


class ServerReadsOnly(StoreUnavailable):
    """The server takes no writes: a standby, or one that another has taken over from."""


class Sessions:
    """Makes the connections of one store. ``password``: read for each new connection; None: the address has it, or none is
    needed."""

    def __init__(self, address: PostgresqlAddress, *, password: Callable[[], str] | None = None) -> None:
        self.address = address
        self._password = password
        self._is_shared = address.pooling == "transaction"
        self.acquire_timeout_seconds = address.connect_timeout_seconds
        """For waiting until a connection is free, or made."""

    async def pool(
        self, connections: int, settings: Mapping[str, str], on_connect: Callable[[], Awaitable[None]] | None = None
    ) -> "Pool[Record]":
        """Open a pool, with one connection for a start; each is prepared and verified before it is used."""

        async def prepare(connection: "Connection[Record]") -> None:
            await self.prepare(connection, settings)
            if on_connect is not None:
                await on_connect()

        pool = await asyncpg.create_pool(
            **self._arguments(),
            min_size=0,  # otherwise the pool reconnects by itself, with a traceback in the log for each try
            max_size=connections,
            statement_cache_size=0 if self._is_shared else STATEMENTS_CACHED,
            init=prepare,
            reset=_keep,
        )
        try:
            async with pool.acquire():
                return pool
        except BaseException:
            pool.terminate()
            raise

    async def connect(self) -> "Connection[Record]":
        """Open one connection in which nothing is set or verified, and no statement is kept."""
        return await asyncpg.connect(**self._arguments(), statement_cache_size=0)

    async def prepare(self, connection: "Connection[Record]", settings: Mapping[str, str]) -> None:
        """Set what holds for the connection and verify where it is.

        Raises:
            ConfigurationError: the database is not in UTF-8, or its settings are not taken over.
            ServerReadsOnly: it takes no writes, and the address asks for a server that does.
        """
        values = {**SETTINGS, **settings}
        async with self.transaction(connection, values, keep=not self._is_shared):
            await _read_sums_as_numbers(connection)
            await self._verify(connection)

    @asynccontextmanager
    async def reading(self, session: "Session") -> AsyncIterator[None]:
        """Read in our schema: a connection of our own is in it, of another's one transaction is."""
        if self._is_shared:
            async with self.transaction(session):
                yield
        else:
            yield

    @asynccontextmanager
    async def transaction(
        self, session: "Session", settings: Mapping[str, str] | None = None, *, keep: bool = False
    ) -> AsyncIterator[None]:
        """A transaction (READ COMMITTED) in our schema; ``settings`` hold until its end, or in the connection after it if
        ``keep``. One round trip before what is inside, one after it.

        After an error of the connection there is no rollback to wait for: whoever has the connection ends it, and the server
        rolls back. When it is cancelled it ends the connection at once.
        """
        values = {**(settings or {}), "search_path": self.address.schema}
        how = "SESSION" if keep else "LOCAL"
        await session.execute(";".join(["BEGIN", *(f"SET {how} {name} = '{value}'" for name, value in values.items())]))
        try:
            yield
        except Exception as error:
            if not (is_gone(session) or is_of_connection(error)):
                await session.execute("ROLLBACK")
            raise
        except BaseException:
            end(session)
            raise
        else:
            await session.execute("COMMIT")

    async def _verify(self, connection: "Connection[Record]") -> None:
        name, schema = self.address.name, self.address.schema
        ((where, server_encoding, client_encoding, reads_only),) = await connection.fetch(LOOK)
        if server_encoding != ENCODING:
            raise ConfigurationError(
                f"{name} is in {server_encoding} and cannot hold every name: create one in UTF-8 "
                "(CREATE DATABASE reefmesh ENCODING 'UTF8' TEMPLATE template0) and name it in the URL"
            )
        if client_encoding != ENCODING:
            raise ConfigurationError(
                f"{name} talks {client_encoding} to us: let the pooler or the role leave client_encoding be"
            )
        if reads_only == "on" and self.address.target != "any":
            raise ServerReadsOnly(f"{name} is on a server that takes no writes")
        if where not in (schema, None):  # None: the schema is not there yet
            raise ConfigurationError(f"{name}: the session is in the schema {where}; let the pooler take the search_path over")

    def _arguments(self) -> dict[str, Any]:
        address = self.address
        return {
            "dsn": address.dsn,
            "password": self._password,
            "timeout": address.connect_timeout_seconds,
            "command_timeout": COMMAND_TIMEOUT_SECONDS,
            # The driver asks whether a server writes outside a transaction; behind a pooler we ask ourselves, inside one.
            "target_session_attrs": "any" if self._is_shared else address.target,
            "connection_class": _connection_class(address.keepalive),
        }


def is_gone(session: "Session") -> bool:
    """Return whether the connection is closed; the pool takes one back from whoever has it when it is."""
    try:
        return session.is_closed()
    except asyncpg.InterfaceError:
        return True


def end(session: "Session") -> None:
    """Terminate the connection, unless it is gone."""
    if not is_gone(session):
        session.terminate()


def _connection_class(keepalive: Keepalive) -> "type[Connection[Record]]":
    class KeptAlive(asyncpg.Connection):
        def __init__(self, protocol: Any, transport: Any, *others: Any) -> None:
            super().__init__(protocol, transport, *others)
            plain: socket.socket | None = transport.get_extra_info("socket")
            if plain is not None:
                keepalive.apply(plain)

    return KeptAlive


async def _read_sums_as_numbers(connection: "Connection[Record]") -> None:
    """SUM of BIGINT is NUMERIC here and INTEGER in SQLite: both become ``int`` (or ``float``) in Python."""
    await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text")


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


async def _keep(_: "Connection[Record]") -> None:
    """Reset nothing: sessions change no setting, and a reset costs a round trip at every commit."""
