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


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Yield a folder beside a target, in which the file is made that is then put in place; it is removed however that ends.

    Raises:
        ConfigurationError: nothing can be written there (no space, no permission).
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from None


def put_in_place(made: Path, path: Path) -> int:
    """Give a complete file its name; return its size in bytes. Raises OSError."""
    with made.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(made, path)
    return path.stat().st_size
