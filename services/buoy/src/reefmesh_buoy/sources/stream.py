"""Lines of a stream: a command's output, a serial line, a socket. A stream that ends is opened again after a while."""

import contextlib
import os
import select
import socket
import subprocess
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from reefmesh_buoy.journal_line import say
from reefmesh_buoy.sources.line_splitter import LineSplitter
from reefmesh_buoy.sources.source import LineIntake
from reefmesh_buoy.stop_signal import StopSignal

READ_BYTES: Final = 16 * 1024
END_SECONDS: Final = 5.0
"""A command that is told to end has so long for it."""
CONNECT_SECONDS: Final = 10.0

OpenStream = Callable[[], AbstractContextManager[int]]


class StreamSource:
    """``open_stream`` gives a file descriptor, and closes it in the end. ``again_seconds``: how long after its end or
    failure it is opened again."""

    def __init__(self, name: str, open_stream: OpenStream, *, again_seconds: float) -> None:
        self._name, self._open = name, open_stream
        self._again_seconds = again_seconds
        self._is_failing = False

    def run(self, intake: LineIntake, stop: StopSignal) -> None:
        while not stop.event.is_set():
            try:
                with self._open() as descriptor:
                    self._is_failing = False
                    self._read(descriptor, intake, stop)
            except (OSError, termios.error) as error:
                if not self._is_failing:
                    say("4", f"source {self._name} is away and is tried again: {error}")
                self._is_failing = True
            stop.event.wait(self._again_seconds)

    def _read(self, descriptor: int, intake: LineIntake, stop: StopSignal) -> None:
        splitter = LineSplitter()
        lines: list[bytes] = []
        while not stop.event.is_set():
            ready, _, _ = select.select([descriptor, stop.descriptor], [], [])
            if descriptor not in ready:
                return
            try:
                data = os.read(descriptor, READ_BYTES)
            except BlockingIOError:
                continue
            lines = splitter.feed(data) if data else splitter.end()
            if lines:
                intake.take(lines)
            if not data:
                return


def command(arguments: Sequence[str]) -> OpenStream:
    """Run a program without a shell; each line that it prints is a measurement. It is ended when the agent stops."""

    @contextmanager
    def opened() -> Iterator[int]:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: S603 - the operator's own
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            yield process.stdout.fileno()
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()

    return opened


def serial_line(path: Path, baud: int) -> OpenStream:
    """Open a serial line: 8 data bits, no parity, raw. ``baud``: a rate that termios knows."""
    speed = int(getattr(termios, f"B{baud}"))

    @contextmanager
    def opened() -> Iterator[int]:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            control = termios.tcgetattr(descriptor)[6]
            control[termios.VMIN], control[termios.VTIME] = 1, 0
            flags = termios.CS8 | termios.CREAD | termios.CLOCAL
            termios.tcsetattr(descriptor, termios.TCSANOW, [0, 0, flags, 0, speed, speed, control])
            yield descriptor
        finally:
            os.close(descriptor)

    return opened


def connection(address: str) -> OpenStream:
    """Connect to ``unix:/path`` or ``host:port``."""

    @contextmanager
    def opened() -> Iterator[int]:
        if address.startswith("unix:"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
                made.connect(address.removeprefix("unix:"))
                yield made.fileno()
            return
        host, _, port = address.rpartition(":")
        with contextlib.closing(socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS)) as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            made.setblocking(False)
            yield made.fileno()

    return opened
