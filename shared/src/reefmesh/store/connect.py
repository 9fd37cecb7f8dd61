"""From a URL to a store: the only module that names the databases."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from reefmesh.clock import Clock, SystemClock
from reefmesh.errors import ConfigurationError
from reefmesh.store.database import DatabaseStore
from reefmesh.store.inspection import Inspection, inspect_postgresql, inspect_sqlite
from reefmesh.store.migrations import MigrationSet, read_migrations
from reefmesh.store.port import Store
from reefmesh.store.postgresql_tls import check_tls_parameters
from reefmesh.store.sqlite import SqliteDatabase

EXAMPLES: Final = "sqlite:////var/lib/reefmesh/ingest.db or postgresql://user@host/database?schema=ingest"
DEFAULT_SCHEMA: Final = "public"

_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def open_store(url: str, *, migrations: Sequence[MigrationSet], clock: Clock | None = None) -> Store:
    """Return the store of a URL; ``open`` connects it.

    ``sqlite:////absolute/path``, ``sqlite:///relative/path``, ``sqlite://`` (in memory, gone when closed), and
    ``postgresql://user:password@host:port/database?schema=NAME`` (the schema is ``public`` by default, and is created if it is
    missing; further parameters are libpq's, such as ``sslmode=verify-full&sslrootcert=/etc/reefmesh/database-ca.pem``).
    The store's own migrations go before ``migrations``.

    Raises:
        ConfigurationError: the URL is wrong, or its database needs a package that is not installed. The text never holds a
            password.
    """
    sets = (read_migrations("store", "reefmesh.store"), *migrations)
    clock = clock or SystemClock()
    match _place(url):
        case Server() as server:
            return _postgresql_store(server, sets, clock)
        case path:
            return DatabaseStore(SqliteDatabase(path, migrations=sets, clock=clock), clock=clock)


async def inspect_store(url: str, *, migrations: Sequence[MigrationSet], clock: Clock | None = None) -> Inspection:
    """Inspect the database of a URL without changing it. Raises as ``Store.open``."""
    sets = (read_migrations("store", "reefmesh.store"), *migrations)
    match _place(url):
        case Server() as server:
            _require_driver()
            clock = clock or SystemClock()
            return await inspect_postgresql(server.dsn, schema=server.schema, name=server.name, sets=sets, clock=clock)
        case None:
            raise ConfigurationError("a database in memory is gone when it is looked at: name a file")
        case path:
            return await inspect_sqlite(path, sets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A PostgreSQL database. ``name`` is for people: it does not hold the password, which ``dsn`` does."""

    dsn: str
    schema: str
    name: str


def _place(url: str) -> Server | Path | None:
    """Return the URL's server or file; None: in memory."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigurationError(f"the database's URL has no scheme: write {EXAMPLES}")
    match scheme:
        case "sqlite":
            return _sqlite_path(rest)
        case "postgresql" | "postgres":
            return _postgresql_server(url)
        case _:
            raise ConfigurationError(f"there is no store for '{scheme}://' URLs: write {EXAMPLES}")


def _sqlite_path(rest: str) -> Path | None:
    if not rest:
        return None
    if not rest.startswith("/") or rest == "/" or "?" in rest:
        raise ConfigurationError(f"'sqlite://{rest}' names no file: write sqlite:////absolute/path or sqlite:///relative/path")
    return Path(rest.removeprefix("/"))


def _postgresql_server(url: str) -> Server:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or 5432
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:  # its text would quote a piece of the password
        raise ConfigurationError(
            "the PostgreSQL URL cannot be understood: write postgresql://user:password@host:port/database?schema=NAME, "
            "and percent-encode what is not a letter or digit in the password"
        ) from None
    schema = parameters.pop("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise ConfigurationError(f"'{schema}' cannot be a schema's name: write lower-case letters, digits and underscores")
    check_tls_parameters(parameters)
    dsn = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(parameters), ""))
    name = f"the database {parts.path.removeprefix('/') or parts.username} at {host}:{port}, schema {schema}"
    return Server(dsn=dsn, schema=schema, name=name)


def _require_driver() -> None:
    if find_spec("asyncpg") is None:
        raise ConfigurationError("PostgreSQL needs a driver that is not installed: pip install 'reefmesh-shared[postgresql]'")


def _postgresql_store(server: Server, sets: Sequence[MigrationSet], clock: Clock) -> Store:
    _require_driver()
    from reefmesh.store.postgresql import PostgresqlDatabase  # noqa: PLC0415 - its driver is an optional dependency

    database = PostgresqlDatabase(server.dsn, schema=server.schema, name=server.name, migrations=sets, clock=clock)
    return DatabaseStore(database, clock=clock)
