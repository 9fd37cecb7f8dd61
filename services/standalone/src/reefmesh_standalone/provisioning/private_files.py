"""Files whose content is for their owner alone, and files that a running program reads while they are replaced."""

import os
import tempfile
from pathlib import Path
from typing import Final

from reefmesh.errors import ConfigurationError

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644


def make_private(folder: Path) -> None:
    """Make a folder that its owner alone may enter; one that is there is left to its owner.

    Raises:
        ConfigurationError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"cannot make the folder {folder}: {error.strerror or error}") from None


def write_whole(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file so that whoever reads it finds the old content or the new one, whole, and never with other rights.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600 from its first byte
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(scratch).chmod(mode)
            Path(scratch).replace(path)
        except OSError:
            Path(scratch).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from None
