"""What the agent needs of a source, and where a source puts its lines."""

from collections.abc import Sequence
from typing import Protocol

from reefmesh_buoy.clock import BuoyClock
from reefmesh_buoy.measurement import BadLine, Measurement, read_line
from reefmesh_buoy.spool import Spool
from reefmesh_buoy.stop_signal import StopSignal


class LineSource(Protocol):
    def run(self, intake: "LineIntake", stop: StopSignal) -> None:
        """Give lines to ``intake`` until ``stop``; what is away is waited for. Raises SpoolLost."""


class LineIntake:
    """Lines become measurements in the spool, stamped by both clocks."""

    def __init__(self, spool: Spool, clock: BuoyClock) -> None:
        self.spool = spool
        self._clock = clock

    def take(self, lines: Sequence[bytes], *, file: str | None = None) -> None:
        """Return when they are on the disk; bad ones are counted, and one is kept as a sample. Raises SpoolLost."""
        at = self._clock.read()
        good: list[Measurement] = []
        for line in lines:
            try:
                good.append(read_line(line))
            except BadLine as bad:
                self.spool.note_bad_line(str(bad), line)
        if good or file is not None:
            self.spool.put(good, at, file=file)
