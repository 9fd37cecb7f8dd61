"""The wish to stop, both as an event and as a file descriptor: whoever waits for input wakes up at once."""

import os
import threading


class StopSignal:
    """``descriptor`` can be read once ``set`` was called. A signal handler may call ``set``, any number of times."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.descriptor, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def set(self) -> None:
        if not self.event.is_set():
            os.write(self._writer, b"x")
        self.event.set()
