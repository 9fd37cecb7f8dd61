"""A process that says much, so that a reader of its log who stalls is missed: numbered lines, while a file asks for them.

It talks fast until so many lines were dropped that nobody can overlook it, and slowly from then on, so that the reader sees the
end of the gap.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

from reefmesh.observability.unblocked_output import dropped_lines
from reefmesh.service.stop_event import is_set_within

TALK: Final = "talk of the fault machine"
ROUND_SECONDS: Final = 0.05
LINES_FAST: Final = 60
DROPS_WANTED: Final = 300
FILLING: Final = "x" * 4_000


def talk_file(folder: Path, name: str) -> Path:
    """Return the file that asks a process to talk: it holds a word for the lines."""
    return folder / f"{name}.talk"


class Talker:
    """A task of the process that is to talk."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def run(self, stop: asyncio.Event) -> None:
        asked, number, dropped_before = "", 0, 0
        while not await is_set_within(stop, ROUND_SECONDS):
            word = self._file.read_text() if self._file.exists() else ""
            if word != asked:
                asked, number, dropped_before = word, 0, dropped_lines().get("stderr", 0)
            if not word:
                continue
            is_fast = dropped_lines().get("stderr", 0) - dropped_before < DROPS_WANTED
            for _ in range(LINES_FAST if is_fast else 1):
                number += 1
                line = json.dumps({"event": TALK, "word": word, "number": number, "filling": FILLING})
                sys.stderr.write(f"{line}\n")
