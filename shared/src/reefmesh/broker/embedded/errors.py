"""Failures of SQLite and of the journal's lock, as errors of the port or as one line for the operator."""

import sqlite3

from reefmesh.broker.port import BrokerUnavailable, PublishRefused
from reefmesh.errors import ConfigurationError, TransientError


class JournalOwned(ConfigurationError):
    """Another process consumes from this journal; it can still be opened as a publisher. ``pid``: of that process."""

    def __init__(self, message: str, *, pid: str) -> None:
        super().__init__(message)
        self.pid = pid


def opening_failure(journal: str, error: sqlite3.DatabaseError) -> ConfigurationError:
    """Return the one line for a journal that cannot be opened: what is wrong, and what to do."""
    match error.sqlite_errorcode & 0xFF:
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return ConfigurationError(f"{journal} is not a journal ({error}); choose another path, or restore the file")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return ConfigurationError(f"the journal {journal} is locked by another program; stop it, then try again")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return ConfigurationError(f"the journal {journal} cannot be written; give this user the right to write it")
        case sqlite3.SQLITE_FULL:
            return ConfigurationError(f"no space for the journal {journal}; free some space, or choose another disk")
        case _:
            return ConfigurationError(f"cannot open the journal {journal}: {error}; check the folder and its rights")


def failure_of(error: Exception) -> TransientError | None:
    """Return the port's error for a failed transaction; None: one of its jobs holds a value that cannot be written."""
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, (sqlite3.DataError, sqlite3.ProgrammingError)):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_TOOBIG:
            return None
        if code == sqlite3.SQLITE_FULL:
            return PublishRefused("the journal's disk is full: nothing was written; free some space")
        return BrokerUnavailable(f"the journal cannot be written: {error}")
    return None
