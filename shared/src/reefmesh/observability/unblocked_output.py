"""Standard output and standard error of a service: whoever reads them may stall, and the event loop goes on.

A pipe that nobody reads is full after 64 KiB; then a write to it waits, and with it everything on the loop: pages, heartbeats,
signals. So a thread writes, from a bounded queue. Lines that find the queue full are dropped and counted, and one line tells of
them as soon as the reader reads again.
"""

import contextlib
import io
import os
import queue
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import structlog

from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics, Sampler

QUEUE_BYTES_LIMIT: Final = 4 * 1024 * 1024
"""What waits for the reader at most: some ten thousand lines, a burst that a reader need not keep up with."""
CHUNK_OVERHEAD_BYTES: Final = 64
"""What a chunk takes in memory besides its bytes, so that short lines are bounded too."""
BATCH_BYTES: Final = 256 * 1024
"""What one write takes: busy loops let the thread run rarely, so each time it takes much."""
DRAIN_TIMEOUT_SECONDS: Final = 2.0
"""How long a process waits at its end for the reader of its last lines, both streams together."""

_log = structlog.get_logger(__name__)


class QueuedOutput(io.RawIOBase):
    """A file descriptor that a thread writes to. ``write`` never waits; what it takes is written in order, or dropped whole.

    Once a line was dropped, further ones are until the queue is half empty, so that the reader of the log finds one gap with
    one line about it. The descriptor stays its owner's, also when this object is closed.
    """

    def __init__(self, descriptor: int, *, stream: str, bytes_limit: int = QUEUE_BYTES_LIMIT) -> None:
        self.stream = stream
        self.dropped_lines = 0
        self._descriptor = descriptor
        self._bytes_limit = bytes_limit
        self._chunks: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._lock = threading.RLock()  # a finalizer that runs inside may write, too
        self._waiting_bytes = 0
        self._is_full = False
        self._is_direct = False
        self._untold_lines = 0
        # A daemon: the interpreter does not wait for a thread that stands in a write.
        threading.Thread(target=self._run, name=f"{stream}-writer", daemon=True).start()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        chunk = bytes(data)
        with self._lock:
            if not self._is_direct:
                self._enqueue(chunk)
                return len(chunk)
        self._write_out(chunk)
        return len(chunk)

    def drain(self, *, timeout_seconds: float) -> bool:
        """Wait until everything is written; from then on writes go straight to the descriptor. False: time was up first, and
        the thread still stands in front of a reader that does not read."""
        written = threading.Event()
        self._chunks.put(written)
        if not written.wait(timeout_seconds):
            return False
        with self._lock:
            self._is_direct = True
        return True

    def _enqueue(self, chunk: bytes) -> None:
        size = len(chunk) + CHUNK_OVERHEAD_BYTES
        if self._is_full or (self._waiting_bytes and self._waiting_bytes + size > self._bytes_limit):
            self._is_full = True
            self._untold_lines += chunk.count(b"\n")
            self.dropped_lines += chunk.count(b"\n")
            return
        self._waiting_bytes += size
        self._chunks.put(chunk)

    def _run(self) -> None:
        while True:
            batch, written = self._next_batch()
            self._write_out(b"".join(batch))
            self._make_room(sum(map(len, batch)) + CHUNK_OVERHEAD_BYTES * len(batch))
            if written is not None:
                written.set()

    def _next_batch(self) -> tuple[list[bytes], threading.Event | None]:
        """Return what waits, up to the size of a batch; with the event of ``drain`` if that came to it."""
        batch: list[bytes] = []
        size = 0
        while size < BATCH_BYTES:
            try:
                item = self._chunks.get(block=not batch)
            except queue.Empty:
                break
            if isinstance(item, threading.Event):
                return batch, item
            batch.append(item)
            size += len(item)
        return batch, None

    def _write_out(self, data: bytes) -> None:
        """Write all of it, however long the reader takes. What the system refuses (the reader is gone, the disk is full) is
        counted as dropped, and not told: that line would go the same way."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # whoever started us made the descriptor non-blocking
                writable = select.poll()
                writable.register(self._descriptor, select.POLLOUT)
                writable.poll()
            except OSError:
                with self._lock:
                    self.dropped_lines += bytes(rest).count(b"\n")
                return

    def _make_room(self, size: int) -> None:
        with self._lock:
            self._waiting_bytes -= size
            if not self._is_full or self._waiting_bytes > self._bytes_limit // 2:
                return
            self._is_full = False
            untold, self._untold_lines = self._untold_lines, 0
        # An error, whatever the lines were: a log of errors alone may have lost errors.
        _log.error("log lines dropped", lines=untold, stream=self.stream, reason="nobody read them")


class UnblockedStream(io.TextIOWrapper):
    """Text for a ``QueuedOutput``: whole lines, each of which is one chunk of the queue."""

    def __init__(self, queued: QueuedOutput, *, encoding: str) -> None:
        # A raw stream serves as well as a buffered one, as Python's own standard error shows under ``-u``.
        super().__init__(queued, encoding=encoding, errors="backslashreplace", line_buffering=True)  # type: ignore[arg-type]
        self.queued = queued


@contextlib.contextmanager
def unblocked_output() -> Iterator[None]:
    """Let nobody wait for the readers of standard output and error while the context lasts; at its end the last lines have two
    seconds. For processes that serve, not for commands: a result must not be dropped.

    Streams without a file descriptor (of a test) stay as they are.
    """
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    streams = {name: stream for name in before if (stream := _unblocked(name)) is not None}
    for name, stream in streams.items():
        setattr(sys, name, stream)
    try:
        yield
    finally:
        deadline = time.monotonic() + DRAIN_TIMEOUT_SECONDS
        for name, stream in streams.items():
            stream.flush()
            if stream.queued.drain(timeout_seconds=max(deadline - time.monotonic(), 0)):
                setattr(sys, name, before[name])  # else it stays in place: what comes now must not wait either


def dropped_lines_counter(metrics: Metrics) -> Sampler:
    """Return what brings the lines that this process dropped into ``metrics``."""
    counted: Counter[str] = Counter()

    async def sample() -> None:
        for stream, dropped in dropped_lines().items():
            metrics.count(table.LOG_LINES_DROPPED, stream, amount=dropped - counted[stream])
            counted[stream] = dropped

    return sample


def dropped_lines() -> Mapping[str, int]:
    """Return standard stream -> lines that it dropped, of the streams in place now."""
    streams = (sys.stdout, sys.stderr)
    return {each.queued.stream: each.queued.dropped_lines for each in streams if isinstance(each, UnblockedStream)}


def _unblocked(name: str) -> UnblockedStream | None:
    stream = getattr(sys, name)
    if stream is None:
        return None
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # no file, or closed
        return None
    stream.flush()
    return UnblockedStream(QueuedOutput(descriptor, stream=name), encoding=stream.encoding or "utf-8")
