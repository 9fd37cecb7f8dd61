"""Word to systemd (sd_notify(3)): ready, alive, stopping. Without systemd nothing is sent."""

import os
import socket
from typing import Final

from reefmesh_buoy.journal_line import say

TELL_SECONDS: Final = 2.0
"""A manager that reads nothing must not keep the agent from its end."""


class ServiceManager:
    """``watchdog_seconds``: within which the manager wants to be told that the agent is alive; None: it does not."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1e6 if microseconds.isdecimal() and int(microseconds) else None

    def tell(self, state: str) -> None:
        """Send ``READY=1``, ``WATCHDOG=1``, ``STOPPING=1``. Raises OSError if the manager is away."""
        if self._address:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as made:
                made.settimeout(TELL_SECONDS)
                try:
                    made.sendto(state.encode(), self._address)
                except TimeoutError:
                    say("4", f"the service manager does not take {state}")
