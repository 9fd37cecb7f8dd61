"""From a URL to a store: the only module that names the databases."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from reefmesh.clock import Clock, SystemClock
from reefmesh.errors import ConfigurationError
from reefmesh.store.database import DatabaseStore
from reefmesh.store.inspection import Inspection, inspect_postgresql, inspect_sqlite
from reefmesh.store.migrations import MigrationSet, read_migrations
from reefmesh.store.port import Store
from reefmesh.store.postgresql_address import PostgresqlAddress
from reefmesh.store.sqlite import SqliteDatabase

EXAMPLES: Final = "sqlite:////var/lib/reefmesh/ingest.db or postgresql://user@host/database?schema=ingest"


def open_store(
    url: str,
    *,
    migrations: Sequence[MigrationSet],
    clock: Clock | None = None,
    password: Callable[[], str] | None = None,
) -> Store:
    """Return the store of a URL; ``open`` connects it.

    ``sqlite:////absolute/path``, ``sqlite:///relative/path``, ``sqlite://`` (in memory, gone when closed), and
    ``postgresql://user:password@host:port/database?schema=NAME`` (the schema is ``public`` by default, and is created if it is
    missing; ``pooling=transaction`` behind PgBouncer in that mode; further parameters are libpq's, such as
    ``sslmode=verify-full&sslrootcert=/etc/reefmesh/database-ca.pem``, and several hosts stand as ``host-1:5432,host-2:5432``).
    ``password`` is asked for each connection to a server that is made, instead of the URL's.
    The store's own migrations go before ``migrations``.

    Raises:
        ConfigurationError: the URL is wrong, or its database needs a package that is not installed. The text never holds a
            password.
    """
    sets = (read_migrations("store", "reefmesh.store"), *migrations)
    clock = clock or SystemClock()
    match _place(url):
        case PostgresqlAddress() as address:
            return _postgresql_store(address, password, sets, clock)
        case path:
            return DatabaseStore(SqliteDatabase(path, migrations=sets, clock=clock), clock=clock)


async def inspect_store(url: str, *, migrations: Sequence[MigrationSet], clock: Clock | None = None) -> Inspection:
    """Inspect the database of a URL without changing it. Raises as ``Store.open``."""
    sets = (read_migrations("store", "reefmesh.store"), *migrations)
    match _place(url):
        case PostgresqlAddress() as address:
            _require_driver()
            return await inspect_postgresql(address, sets=sets, clock=clock or SystemClock())
        case None:
            raise ConfigurationError("a database in memory is gone when it is looked at: name a file")
        case path:
            return await inspect_sqlite(path, sets)


def _place(url: str) -> PostgresqlAddress | Path | None:
    """Return the URL's server or file; None: in memory."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigurationError(f"the database's URL has no scheme: write {EXAMPLES}")
    match scheme:
        case "sqlite":
            return _sqlite_path(rest)
        case "postgresql" | "postgres":
            return PostgresqlAddress.parse(url)
        case _:
            raise ConfigurationError(f"there is no store for '{scheme}://' URLs: write {EXAMPLES}")


def _sqlite_path(rest: str) -> Path | None:
    if not rest:
        return None
    if not rest.startswith("/") or rest == "/" or "?" in rest:
        raise ConfigurationError(f"'sqlite://{rest}' names no file: write sqlite:////absolute/path or sqlite:///relative/path")
    return Path(rest.removeprefix("/"))


def _require_driver() -> None:
    if find_spec("asyncpg") is None:
        raise ConfigurationError("PostgreSQL needs a driver that is not installed: pip install 'reefmesh-shared[postgresql]'")


def _postgresql_store(
    address: PostgresqlAddress, password: Callable[[], str] | None, sets: Sequence[MigrationSet], clock: Clock
) -> Store:
    _require_driver()
    from reefmesh.store.postgresql import PostgresqlDatabase  # noqa: PLC0415 - its driver is an optional dependency
    from reefmesh.store.postgresql_session import Sessions  # noqa: PLC0415 - so does this one

    sessions = Sessions(address, password=password)
    return DatabaseStore(PostgresqlDatabase(sessions, migrations=sets, clock=clock), clock=clock)
