"""Writes files that exist complete or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from reefmesh.errors import ConfigurationError


def refuse_unwritable(path: Path) -> None:
    """Refuse before the work a file that could not be written after it.

    Raises:
        ConfigurationError: the folder is missing or closed, or the path is a folder.
    """
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigurationError(f"cannot write {path}; name a file in a folder that exists and can be written to")


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Write beside the target and rename at the end: a crash or a full disk leaves the old file, or none.

    Raises:
        ConfigurationError: it cannot be written (no space, no permission).
    """
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from None
