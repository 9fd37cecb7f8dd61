"""PostgreSQL's errors as the port's: try again later, correct a setting, or correct the program."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from reefmesh.errors import ConfigurationError
from reefmesh.store.port import StoreUnavailable, WriteRefused
from reefmesh.store.postgresql_tls import tls_mistake

WAIT_CLASSES: Final = {
    "08",  # connection exceptions
    "25",  # a transaction in a wrong state: read-only after a fail-over, idle for too long
    "40",  # rolled back: deadlock, serialization
    "53",  # out of connections, disk or memory
    "55",  # an object in use
    "57",  # shut down, starting up, query cancelled
    "58",  # the server's own I/O
    "XX",  # the server's own faults
}
"""The first two characters of the SQLSTATEs of errors after which a later try may work."""
SETTINGS: Final = {
    "28": "check the user and the password in the URL",
    "3D": "create the database, or name another one",
    "42501": "give this user the right to create the schema and to use its tables",
}
"""SQLSTATEs, or their first two characters, of errors that an operator corrects, and how."""


@contextmanager
def translated(database: str, *, opening: bool = False) -> Iterator[None]:
    """Turn the driver's errors into the port's. ``database`` is its name in errors.

    While ``opening``, refused credentials and certificates are an operator's mistake; later we assume that they are corrected
    soon.

    Raises:
        StoreUnavailable: later it may work.
        ConfigurationError: it cannot be used as it is set.
        WriteRefused: the statement or its parameters are wrong.
    """
    try:
        yield
    except asyncpg.InvalidCachedStatementError as error:  # a newer process migrated; the driver prepares anew
        raise StoreUnavailable(f"{database} was migrated meanwhile: {error.args[0]}") from error
    except asyncpg.PostgresError as error:
        raise _of_server(error, database, opening) from error
    except asyncpg.InterfaceError as error:  # the driver's own; what is wrong in a statement's parameters is a ValueError
        if isinstance(error, ValueError):
            kind = ConfigurationError if opening else WriteRefused
            raise kind(f"{database} refused: {' '.join(str(error.args[0]).split())}") from error
        raise StoreUnavailable(f"{database} cannot be used now: {error.args[0]}") from error
    except OSError as error:  # ssl's errors and TimeoutError, too
        mistake = tls_mistake(error) if opening else None
        if mistake is not None:
            raise ConfigurationError(f"{database}: {mistake}") from error
        raise StoreUnavailable(f"{database} cannot be reached: {error or type(error).__name__}") from error
    except asyncpg.InternalClientError as error:
        raise StoreUnavailable(f"{database} cannot be reached: {error or type(error).__name__}") from error


def _of_server(error: asyncpg.PostgresError, database: str, opening: bool) -> Exception:
    state, text = error.sqlstate or "", error.args[0]
    if state[:2] in WAIT_CLASSES:
        return StoreUnavailable(f"{database} cannot be used now: {text}")
    advice = SETTINGS.get(state) or SETTINGS.get(state[:2])
    if advice is not None:
        kind = ConfigurationError if opening else StoreUnavailable
        return kind(f"{database} refuses us ({text}): {advice}")
    return WriteRefused(f"{database} refused a statement: {text}")
