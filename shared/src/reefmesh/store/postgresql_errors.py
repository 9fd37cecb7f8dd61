"""PostgreSQL's errors as the port's: try again later, correct a setting, or correct the program."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from reefmesh.errors import ConfigurationError
from reefmesh.store.port import StoreRefused, StoreUnavailable, WriteRefused
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
_POOLING: Final = "add pooling=transaction to the URL"
SETTINGS: Final = {
    "28": "check the user and the password in the URL",
    "3D": "create the database, or name another one",
    "42501": "give this user the right to create the schema and to use its tables",
    "26": f"is a pooler before it? {_POOLING}",
    "42P05": f"is a pooler before it? {_POOLING}",
}
"""SQLSTATEs, or their first two characters, of errors that an operator corrects, and how."""
PARAMETERS: Final = {
    "42704": "check the parameters of the URL: this one is neither libpq's nor a setting of the server",
    "22023": "check the parameters of the URL",
}
"""The same, of errors while a connection is made: there it is the URL that has set something."""
POOLERS: Final = {
    "unsupported startup parameter": "leave it out of the URL, or add it to the pooler's ignore_startup_parameters",
    "no such database": "add the database to the pooler's list, or name another one",
}
"""Texts of PgBouncer's, which says 08P01 for these too -> how to correct it."""
OF_CONNECTION: Final = ("08", "25", "26", "28", "3D", "42P05", "57P", "58", "XX")
"""How the SQLSTATEs begin of errors that another connection may not have."""


@contextmanager
def translated(database: str, *, opening: bool = False) -> Iterator[None]:
    """Turn the driver's errors into the port's. ``database`` is its name in errors.

    While ``opening``, refused credentials and certificates are an operator's mistake; later we wait until they are corrected.

    Raises:
        StoreUnavailable: later it may work (StoreRefused: when it was corrected).
        ConfigurationError: it cannot be used as it is set.
        WriteRefused: the statement or its parameters are wrong.
    """
    try:
        yield
    except ConfigurationError as error:  # of a connection that was made anew
        if opening:
            raise
        raise StoreRefused(str(error)) from error
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
        mistake = tls_mistake(error)
        if mistake is not None:
            raise (ConfigurationError if opening else StoreRefused)(f"{database}: {mistake}") from error
        raise StoreUnavailable(f"{database} cannot be reached: {error or type(error).__name__}") from error
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise StoreUnavailable(f"{database}: no server there takes writes now") from error
    except asyncpg.InternalClientError as error:
        raise StoreUnavailable(f"{database} cannot be reached: {error or type(error).__name__}") from error


def is_of_connection(error: Exception) -> bool:
    """Return whether the connection is of no use after this error, or none was made; another may lead to another server."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(OF_CONNECTION)
    return isinstance(error, OSError | asyncpg.InternalClientError | ConfigurationError | StoreUnavailable)


def _of_server(error: asyncpg.PostgresError, database: str, opening: bool) -> Exception:
    state, text = error.sqlstate or "", error.args[0]
    advice = SETTINGS.get(state) or SETTINGS.get(state[:2])
    if opening and advice is None:
        advice = PARAMETERS.get(state) or next((how for start, how in POOLERS.items() if text.startswith(start)), None)
    if advice is not None:
        kind = ConfigurationError if opening else StoreRefused
        return kind(f"{database} refuses us ({text}): {advice}")
    if state[:2] in WAIT_CLASSES:
        return StoreUnavailable(f"{database} cannot be used now: {text}")
    return WriteRefused(f"{database} refused a statement: {text}")
