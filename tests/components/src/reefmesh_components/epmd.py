"""epmd, by which Erlang's nodes find each other: a process of our own, because one that a node starts outlives it."""

import socket
import subprocess
import time
from typing import Final

from reefmesh_components.ports import HOST

START_TIMEOUT_SECONDS: Final = 120.0


class Epmd:
    """``program``: where it is installed. Starts as often as it is asked to and does not run."""

    def __init__(self, program: str, port: int) -> None:
        self.port = port
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it listens. Raises RuntimeError."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process = subprocess.Popen(
            [self._program, "-port", str(self.port), "-address", HOST],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"epmd does not listen on port {self.port}") from None
                time.sleep(0.02)
            else:
                return

    def close(self) -> None:
        if (process := self._process) is not None:
            self._process = None
            process.kill()
            process.wait()
