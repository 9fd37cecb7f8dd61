"""Sends what is in the spool, one report after the other, until it is confirmed; waits longer after each failure."""

import random
import threading
from typing import Final

from reefmesh_buoy.clock import BuoyClock
from reefmesh_buoy.failures import NeverTaken, NotSent
from reefmesh_buoy.journal_line import say
from reefmesh_buoy.spool import Spool
from reefmesh_buoy.transports.transport import ReportTransport

FIRST_WAIT_SECONDS: Final = 2.0
LONGEST_WAIT_SECONDS: Final = 900.0


def wait_seconds(failures: int, luck: float) -> float:
    """Return how long to wait after so many failures in a row; ``luck`` from 0 to 1 spreads a fleet that lost one gateway."""
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, 20))
    return longest * (0.5 + luck / 2)


class SpoolSender:
    """``run`` is a thread's work. ``luck`` gives numbers from 0 to 1."""

    def __init__(
        self,
        spool: Spool,
        transport: ReportTransport,
        clock: BuoyClock,
        *,
        interval_seconds: float,
        luck: random.Random | None = None,
    ) -> None:
        self._spool, self._transport, self._clock = spool, transport, clock
        self._interval_seconds = interval_seconds
        self._luck = luck or random.Random()  # noqa: S311 - no secret is made of it
        self._failures = 0

    def run(self, stop: threading.Event) -> None:
        """Send until ``stop``. Raises SpoolLost."""
        while not stop.wait(self.send_one()):
            continue
        self._transport.close()

    def send_one(self) -> float:
        """Send the report in hand, if there is one; return the seconds until the next attempt is due."""
        report = self._spool.report_in_hand(self._clock.read())
        if report is None:
            return self._interval_seconds
        try:
            self._transport.send(report)
        except NotSent as failure:
            self._failures += 1
            if self._failures == 1:
                say("4", f"report {report.seq} is not confirmed and is sent again: {failure}")
            return max(failure.after_seconds, wait_seconds(self._failures, self._luck.random()))
        except NeverTaken as refusal:
            say("3", f"report {report.seq} is refused for good and kept as a sample: {refusal}")
            self._spool.refused(report, str(refusal), self._clock.read())
        else:
            self._spool.confirmed(report, self._clock.read())
            if self._failures:
                say("5", f"report {report.seq} is confirmed after {self._failures} failures")
        self._failures = 0
        return 0.0
