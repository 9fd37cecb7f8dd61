"""SIGTERM ends a run of tests as Ctrl-C does: the fixtures end the brokers and databases that they started."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

import psutil

ENDING: Final = (signal.SIGTERM, signal.SIGINT)


class Termination:
    """The first SIGTERM raises KeyboardInterrupt, on which pytest ends with its fixtures' teardown. From then on neither
    SIGTERM nor SIGINT interrupts that teardown: only SIGKILL does. ``workers``: the processes that must end with this one."""

    def __init__(self, workers: Callable[[], list[psutil.Process]]) -> None:
        self._workers = workers
        self._begun = False

    def listen(self) -> None:
        """Take SIGTERM over; again where a service that ran in this process has taken it and given it back to the system."""
        if not self._begun and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._begin)

    def _begin(self, _number: int, _frame: FrameType | None) -> None:
        if self._begun:
            return
        self._begun = True
        for number in ENDING:
            signal.signal(number, _let_it_end)
        for worker in self._workers():
            worker.terminate()
        raise KeyboardInterrupt("SIGTERM")


def children() -> list[psutil.Process]:
    """Return the processes that this one has started: of pytest-xdist's controller, they are its workers."""
    return psutil.Process().children()


def _let_it_end(_number: int, _frame: FrameType | None) -> None:
    """Not ``SIG_IGN``, which the programs that a teardown starts would inherit."""
