"""What the sender needs of a transport."""

from typing import Protocol

from reefmesh_buoy.report import SealedReport


class ReportTransport(Protocol):
    def send(self, report: SealedReport) -> None:
        """Return once the other side has confirmed the report. Blocks for its time-out at most.

        Raises:
            NotSent: it is not confirmed, and may be there nevertheless.
            NeverTaken: the other side has read it and refuses it for good.
        """

    def close(self) -> None:
        """Give the connection back; it is safe to call it twice."""
