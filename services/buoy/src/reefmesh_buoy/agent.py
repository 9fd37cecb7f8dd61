"""The agent at work: a thread for each source, one that sends, and the main one, which tells systemd that all are alive."""

import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from reefmesh_buoy.clock import BuoyClock
from reefmesh_buoy.failures import SpoolLost
from reefmesh_buoy.journal_line import say
from reefmesh_buoy.notify import ServiceManager
from reefmesh_buoy.sender import SpoolSender
from reefmesh_buoy.sources.source import LineIntake, LineSource
from reefmesh_buoy.spool import Spool
from reefmesh_buoy.stop_signal import StopSignal

STOP_SECONDS: Final = 40.0
"""For a report that is under way, which then is confirmed or stays in the spool."""
IDLE_SECONDS: Final = 60.0


class BuoyAgent:
    """``run`` returns when it was asked to stop, or raises SpoolLost; the service manager starts it again then."""

    def __init__(self, spool: Spool, sources: Sequence[LineSource], sender: SpoolSender, clock: BuoyClock) -> None:
        self._spool, self._sources, self._sender, self._clock = spool, sources, sender, clock
        self._stop = StopSignal()
        self._failures: list[BaseException] = []

    def stop(self, *_: object) -> None:
        """Ask it to stop; a signal handler may."""
        self._stop.set()

    def run(self, manager: ServiceManager) -> None:
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        intake = LineIntake(self._spool, self._clock)
        works: list[Callable[[], None]] = [partial(each.run, intake, self._stop) for each in self._sources]
        works.append(partial(self._sender.run, self._stop.event))
        threads = [threading.Thread(target=self._guarded, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        manager.tell("READY=1")
        seconds = IDLE_SECONDS if manager.watchdog_seconds is None else manager.watchdog_seconds / 3
        while not self._stop.event.wait(seconds):
            self._spool.note_clock(self._clock.read())  # a disk that hangs, or a thread that holds the spool, is no life
            manager.tell("WATCHDOG=1")
        manager.tell("STOPPING=1")
        for thread in threads:
            thread.join(STOP_SECONDS)
        if self._failures:
            raise SpoolLost(f"{type(self._failures[0]).__name__}: {self._failures[0]}") from self._failures[0]

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - whatever it is: the agent must not live on without a part of it
            say("2", f"the agent stops: {type(error).__name__}: {error}")
            self._failures.append(error)
            self._stop.set()
