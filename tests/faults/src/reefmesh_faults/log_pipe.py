"""The pipe into which a process logs, and its reader, who may stall.

What is read goes to a file, but for the lines that the process was asked for, of which the numbers are kept.
"""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from reefmesh_faults.log_talk import TALK

READ_BYTES: Final = 256 * 1024
TALK_MARK: Final = json.dumps(TALK).encode()
GAP: Final = "log lines dropped"
GAP_MARK: Final = json.dumps(GAP).encode()


class LogPipe:
    """Reads from ``open`` on, also while no process writes. ``numbers``: of the lines with the word that was asked for last;
    ``told_dropped``: the lines that the process has said it dropped since then; ``numbers_after_gap``: how many numbers came
    after it had."""

    def __init__(self, pipe: Path, log: Path) -> None:
        self.path = pipe
        self.numbers: list[int] = []
        self.told_dropped = 0
        self.numbers_after_gap = 0
        self._log = log
        self._word = ""
        self._rest = b""
        self._reader = self._writer = -1
        self._changed = asyncio.Event()

    def open(self) -> None:
        os.mkfifo(self.path)
        self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self._writer = os.open(self.path, os.O_WRONLY)  # otherwise it ends with the process, and the next one has another
        self.read_on()

    def close(self) -> None:
        self.stall()
        os.close(self._reader)
        os.close(self._writer)

    def stall(self) -> None:
        """Read nothing until ``read_on``."""
        asyncio.get_running_loop().remove_reader(self._reader)

    def read_on(self) -> None:
        asyncio.get_running_loop().add_reader(self._reader, self._read)

    def listen_for(self, word: str) -> None:
        """Forget what was read, and keep the numbers of the lines with this word."""
        self._word, self.numbers, self.told_dropped, self.numbers_after_gap = word, [], 0, 0

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when what was read fulfils it."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _read(self) -> None:
        *lines, self._rest = (self._rest + os.read(self._reader, READ_BYTES)).split(b"\n")
        others = [line for line in lines if not self._take(line)]
        if others:
            with self._log.open("ab") as file:
                file.write(b"\n".join(others) + b"\n")
        self._changed.set()

    def _take(self, line: bytes) -> bool:
        """Note what a line says; True: it is one that the process was asked for, and need not be kept."""
        said = _document(line) if TALK_MARK in line or GAP_MARK in line else {}
        if said.get("event") == GAP:
            self.told_dropped += int(said["lines"])
        if said.get("event") != TALK:
            return False
        if said["word"] == self._word:
            self.numbers.append(int(said["number"]))
            self.numbers_after_gap += self.told_dropped > 0
        return True


def _document(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:  # the end of one process and the beginning of the next
        return {}
    return said if isinstance(said, dict) else {}
