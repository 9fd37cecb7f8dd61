"""The agent, as its command runs it, with a wall clock that is somewhere else after each start: for ``kill_story.py``."""

import sys
import time
from pathlib import Path

from reefmesh_buoy.agent import BuoyAgent
from reefmesh_buoy.bootstrap import make_source, make_spool, make_transport
from reefmesh_buoy.clock import ClockReading
from reefmesh_buoy.notify import ServiceManager
from reefmesh_buoy.sender import SpoolSender
from reefmesh_buoy.settings import read_settings


class JumpingClock:
    """``offset_seconds`` away from the real time, and unset, until so many reads; then right. The boot begins now."""

    def __init__(self, boot_id: str, offset_seconds: float, unset_reads: int) -> None:
        self._boot_id, self._offset_seconds, self._reads_left = boot_id, offset_seconds, unset_reads
        self._began_ns = time.monotonic_ns()

    def read(self) -> ClockReading:
        self._reads_left -= 1
        is_set = self._reads_left < 0
        wall_seconds = time.time() + (0.0 if is_set else self._offset_seconds)
        since_boot_us = (time.monotonic_ns() - self._began_ns) // 1000
        return ClockReading(
            wall_us=round(wall_seconds * 1e6), since_boot_us=since_boot_us, boot_id=self._boot_id, is_set=is_set
        )


def main(settings_file: str, boot_id: str, offset_seconds: str, unset_reads: str) -> None:
    settings = read_settings(Path(settings_file))
    clock = JumpingClock(boot_id, float(offset_seconds), int(unset_reads))
    spool = make_spool(settings)
    sender = SpoolSender(spool, make_transport(settings), clock, interval_seconds=settings.interval_seconds)
    BuoyAgent(spool, [make_source(each) for each in settings.sources], sender, clock).run(ServiceManager())


if __name__ == "__main__":
    main(*sys.argv[1:])
