"""Lines of files that other programs put into a folder: written under a hidden name, then renamed to ``*.jsonl``.

A file is removed once its readings are in the spool. The spool remembers the file until the removal, too, is on the disk, so
neither a crash nor a power cut takes it twice.
"""

import os
from pathlib import Path
from typing import Final

from reefmesh_buoy.journal_line import say
from reefmesh_buoy.sources.source import LineIntake
from reefmesh_buoy.stop_signal import StopSignal

FILE_BYTES_LIMIT: Final = 4 * 1024 * 1024


class FolderSource:
    def __init__(self, folder: Path, *, again_seconds: float) -> None:
        self._folder = folder
        self._again_seconds = again_seconds
        self._trouble = ""

    def run(self, intake: LineIntake, stop: StopSignal) -> None:
        while True:
            try:
                self.take_all(intake, stop)
                self._trouble = ""
            except OSError as error:
                if str(error) != self._trouble:
                    say("4", f"folder {self._folder} cannot be used and is tried again: {error}")
                self._trouble = str(error)
            if stop.event.wait(self._again_seconds):
                return

    def take_all(self, intake: LineIntake, stop: StopSignal) -> None:
        """Take the files that are there, in the order of their names. Raises OSError, SpoolLost."""
        for file in sorted(each for each in self._folder.glob("*.jsonl") if not each.name.startswith(".")):
            if stop.event.is_set():
                return
            self._take(file, intake)

    def _take(self, file: Path, intake: LineIntake) -> None:
        status = file.stat()
        if status.st_size > FILE_BYTES_LIMIT:
            file.rename(file.with_suffix(".too-large"))
            intake.spool.note_bad_line(f"the file is longer than {FILE_BYTES_LIMIT} bytes", file.name.encode())
            return
        name = f"{file}:{status.st_ino}:{status.st_mtime_ns}:{status.st_size}"
        if not intake.spool.has_taken(name):
            intake.take([line for line in file.read_bytes().splitlines() if line.strip()], file=name)
        file.unlink()
        self._sync()
        intake.spool.forget_file(name)

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
