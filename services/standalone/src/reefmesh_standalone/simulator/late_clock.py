"""A clock that stands behind another and is moved forward in steps, so that a simulation's past can be lived through."""

from datetime import datetime, timedelta
from pathlib import Path

from reefmesh.clock import Clock
from reefmesh_standalone.whole_file import replacing


class LateClock:
    """Runs like ``clock``, later by what ``go_to`` set last; the file ``told`` passes that on to other processes."""

    def __init__(self, clock: Clock, *, told: Path | None = None) -> None:
        self._clock = clock
        self._told = told
        self._behind = timedelta()

    def now(self) -> datetime:
        return self._clock.now() - self._behind

    def go_to(self, instant: datetime) -> None:
        """Go on from ``instant``, or from the present if that is earlier."""
        self._behind = max(timedelta(), self._clock.now() - instant)
        if self._told is not None:
            with replacing(self._told) as file:
                file.write(f"{self._behind.total_seconds()}\n")


class ToldClock:
    """The clock of the same simulation in another process: as late as the file states now."""

    def __init__(self, clock: Clock, file: Path) -> None:
        self._clock = clock
        self._file = file
        self._read: tuple[int, timedelta] = (0, timedelta())

    def now(self) -> datetime:
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return self._clock.now()
        if status.st_ino != self._read[0]:  # each telling is a new file
            self._read = (status.st_ino, timedelta(seconds=float(self._file.read_text())))
        return self._clock.now() - self._read[1]
