"""One process at a time consumes from a journal: it holds an advisory lock on a file beside it."""

import fcntl
import os
from pathlib import Path

from reefmesh.broker.embedded.errors import JournalOwned
from reefmesh.errors import ConfigurationError


class Ownership:
    """The kernel releases the lock when the process ends, however it ends; the file shows people the process id."""

    def __init__(self, journal: Path) -> None:
        """Take the lock.

        Raises:
            JournalOwned: another process has it.
            ConfigurationError: the lock file cannot be written.
        """
        path = _beside(journal)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write beside the journal {journal}: {error.strerror}; choose another path"
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise JournalOwned(
                f"the journal {journal} is in use by process {pid}: stop it, or open the journal with ?role=publisher", pid=pid
            ) from None
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._descriptor)
            raise ConfigurationError(
                f"cannot write beside the journal {journal}: {error.strerror}; free some space, or choose another disk"
            ) from None

    def release(self) -> None:
        os.close(self._descriptor)


def is_owned(journal: Path) -> bool:
    """Whether a process consumes from the journal now."""
    try:
        descriptor = os.open(_beside(journal), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # nobody ever has
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _beside(journal: Path) -> Path:
    return journal.with_name(journal.name + ".owner")
