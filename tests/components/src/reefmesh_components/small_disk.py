"""A disk of its own for a test: small, so that it can be full, or read-only. Needs the right to mount."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

FILLER: Final = "filler"
_BLOCK: Final = bytes(4096)


@contextmanager
def small_disk(folder: Path, *, size_bytes: int, read_only: bool = False) -> Iterator[Path]:
    """Mount a disk in memory at ``folder``; skips the test, loudly, where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size_bytes}" + (",ro" if read_only else "")
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("NOT TESTED on a full or read-only disk: there is no mount command here")
    if mounted.returncode:
        pytest.skip(f"NOT TESTED on a full or read-only disk: mounting one needs root ({mounted.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def fill(disk: Path) -> None:
    """Leave no room on the disk."""
    with (disk / FILLER).open("ab", buffering=0) as file:
        try:
            while True:
                file.write(_BLOCK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def make_room(disk: Path) -> None:
    """Give back what ``fill`` took."""
    (disk / FILLER).unlink()
