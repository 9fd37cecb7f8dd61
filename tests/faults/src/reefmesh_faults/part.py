"""One process of the mesh under faults, its two links, and the supervisor that starts it again when it ended."""

import asyncio
import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from reefmesh.service.exit import EXIT_OK, EXIT_UNAVAILABLE
from reefmesh_faults.tcp_proxy import TcpProxy

LOOK_SECONDS: Final = 0.1
START_AGAIN_SECONDS: Final = 0.4
"""As long as a supervisor takes to notice and start."""


class Process(Protocol):
    """What can be started again and again."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int | None: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def ask_to_end(self) -> None: ...

    def wait_until_ended(self, timeout_seconds: float) -> int: ...

    def last_words(self) -> str: ...


@dataclass(slots=True, kw_only=True)
class Part:
    """``wanted``: whether it is to run. ``links``: broker and store, by name, where it has them. ``lock`` is held by the fault
    that concerns the process itself, so that each fault really happens. ``killed``: its next end is ours."""

    service: str
    process: Process
    links: dict[str, TcpProxy] = field(default_factory=dict)
    wanted: bool = True
    stopped: bool = False
    killed: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def runs(self) -> bool:
        return self.process.pid is not None

    def send(self, number: signal.Signals) -> None:
        if (pid := self.process.pid) is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(pid, number)

    @contextlib.contextmanager
    def files_no_longer_than(self, size_bytes: int) -> Iterator[None]:
        """While inside, the kernel refuses this run of the process every write beyond that size of a file."""
        pid = self.process.pid
        self._limit_files(pid, size_bytes)
        try:
            yield
        finally:
            self._limit_files(pid, resource.RLIM_INFINITY)

    def _limit_files(self, pid: int | None, size_bytes: int) -> None:
        if pid is not None and pid == self.process.pid:
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


class Supervisor:
    """Starts again what ended although it is wanted. An end that says "bug", "settings" or "poison" is a finding."""

    def __init__(self, parts: Callable[[], Sequence[Part]]) -> None:
        self._parts = parts
        self._ended_at: dict[str, float] = {}
        self.restarts = 0
        self.ended_badly: list[str] = []

    async def run(self) -> None:
        while True:
            for part in self._parts():
                self._look_at(part)
            await asyncio.sleep(LOOK_SECONDS)

    def _look_at(self, part: Part) -> None:
        if not part.wanted or part.runs:
            self._ended_at.pop(part.name, None)
            return
        ended_at = self._ended_at.get(part.name)
        if ended_at is None:
            self._ended_at[part.name] = time.monotonic()
            self.note(part, part.process.wait_until_ended(0))
        elif time.monotonic() - ended_at >= START_AGAIN_SECONDS:
            part.killed = False
            part.process.start()
            self.restarts += 1

    def note(self, part: Part, code: int) -> None:
        """Judge an exit code: clean, killed by us, nobody there to work with, or asked to end before it could hear that."""
        if code in (EXIT_OK, EXIT_UNAVAILABLE, -signal.SIGTERM) or (part.killed and code == -signal.SIGKILL):
            return
        self.ended_badly.append(f"{part.name} ended with {code}: {part.process.last_words()}")
