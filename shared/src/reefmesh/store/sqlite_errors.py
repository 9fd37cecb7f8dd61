"""SQLite's errors as the port's: try again later, correct a setting, or correct the program."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from reefmesh.errors import ConfigurationError
from reefmesh.store.port import StoreUnavailable, WriteRefused

PRIMARY_CODE_MASK: Final = 0xFF
"""Extended result codes keep the primary one in their low byte."""

WAIT: Final = {
    sqlite3.SQLITE_BUSY: "is locked by another process: stop what else uses it",
    sqlite3.SQLITE_LOCKED: "is locked by another process: stop what else uses it",
    sqlite3.SQLITE_FULL: "is on a full disk: free some space",
    sqlite3.SQLITE_IOERR: "cannot be read or written: check its disk, its free space and the limits of this process",
    sqlite3.SQLITE_NOMEM: "finds no memory: give this process more",
    sqlite3.SQLITE_INTERRUPT: "was interrupted",
}
PLACE: Final = {
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that its folder exists and that this user may read and write in it",
    sqlite3.SQLITE_READONLY: "cannot be written: give this user the right to write the file and its folder",
    sqlite3.SQLITE_PERM: "cannot be used: give this user the right to read and write it",
    sqlite3.SQLITE_AUTH: "cannot be used: give this user the right to read and write it",
}
DAMAGED: Final = {
    sqlite3.SQLITE_NOTADB: "is no SQLite database: name another file, or move this one away",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore a backup, or move the file away and start anew",
}


@contextmanager
def translated(database: str, *, opening: bool = False) -> Iterator[None]:
    """Turn SQLite's errors into the port's. ``database`` is its name in errors.

    While ``opening``, a file that cannot be used is an operator's mistake; later it is assumed to come back.

    Raises:
        StoreUnavailable: later it may work.
        ConfigurationError: the file or its folder is not usable.
        WriteRefused: the statement or its parameters are wrong.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE_MASK
        if code in WAIT:
            raise StoreUnavailable(f"{database} {WAIT[code]} ({error})") from error
        if code in PLACE:
            kind = ConfigurationError if opening else StoreUnavailable
            raise kind(f"{database} {PLACE[code]} ({error})") from error
        if code in DAMAGED:
            raise ConfigurationError(f"{database} {DAMAGED[code]} ({error})") from error
        raise WriteRefused(f"{database} refused a statement: {error}") from error
    except (OverflowError, UnicodeEncodeError) as error:  # a parameter: an integer beyond 64 bits, half a surrogate pair
        raise WriteRefused(f"{database} refused a parameter: {error}") from error
