"""What goes wrong with a process's log: its reader stalls while it says much, as a log driver does whose service is away."""

import asyncio
import contextlib
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reefmesh.observability import table
from reefmesh_components.service_process import ServiceProcess
from reefmesh_faults.history import LogStall
from reefmesh_faults.log_pipe import LogPipe
from reefmesh_faults.log_talk import talk_file

DROPPED: Final = table.LOG_LINES_DROPPED.name
GAP_TIMEOUT_SECONDS: Final = 40.0
LINES_AFTER: Final = 3
MORE_LOOKS: Final = 20
LOOK_SECONDS: Final = 0.5


@dataclass(slots=True, kw_only=True)
class LogFaults:
    """``pipes`` by the name of the process. ``stalls``: what was seen of each. ``page_timeout_seconds``: a busy machine may
    take so long; a process that waits for its log's reader takes for ever."""

    folder: Path
    did: Counter[str]
    page_timeout_seconds: float = 15.0
    pipes: dict[str, LogPipe] = field(default_factory=dict)
    stalls: list[LogStall] = field(default_factory=list)

    def open(self, name: str, logs: Path) -> Path:
        """Return the pipe into which a new process is to log; what is read of it goes to its log in ``logs``."""
        pipe = LogPipe(logs / f"{name}.pipe", logs / f"{name}.log")
        pipe.open()
        self.pipes[name] = pipe
        return pipe.path

    async def stall(self, process: ServiceProcess, seconds: float) -> None:
        """Read nothing for so long; return when its reader has read over the gap. Nobody else ends the process meanwhile, but
        it may end by itself: then nothing is said of it."""
        pipe, file, pid = self.pipes[process.name], talk_file(self.folder, process.name), process.pid
        if pid is None or (before := await asyncio.to_thread(self._dropped, process)) is None:
            self.did["log_stall: process was not up"] += 1
            return
        word = f"{pid}-{len(self.stalls)}"
        pipe.listen_for(word)
        file.write_text(word)
        pipe.stall()
        try:
            await asyncio.sleep(seconds)
            has_dropped = await self._until_it_drops(process, before)
            answered = await asyncio.to_thread(self._answers, process)
        finally:
            pipe.read_on()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GAP_TIMEOUT_SECONDS if has_dropped else 0):
                await pipe.until(lambda: pipe.numbers_after_gap >= LINES_AFTER)
        file.unlink()
        counted = await asyncio.to_thread(self._dropped, process)
        if process.pid != pid:
            self.did["log_stall: process ended by itself"] += 1
            return
        self.did["log_stall: lines dropped"] += pipe.told_dropped
        self.stalls.append(
            LogStall(
                process=process.name,
                numbers=tuple(pipe.numbers),
                told_dropped=pipe.told_dropped,
                counted_dropped=None if counted is None or not has_dropped else counted - before,
                pages_answered=answered,
            )
        )

    async def _until_it_drops(self, process: ServiceProcess, before: int) -> bool:
        """Wait a little more on a busy machine; False: nothing was dropped, as far as its page says."""
        for _ in range(MORE_LOOKS):
            if (now := await asyncio.to_thread(self._dropped, process)) is None or now > before:
                return now is not None
            await asyncio.sleep(LOOK_SECONDS)
        self.did["log_stall: nothing was dropped"] += 1
        return False

    def _answers(self, process: ServiceProcess) -> bool:
        """Return whether it says anything about being alive."""
        try:
            with urllib.request.urlopen(f"{process.url}/health/live", timeout=self.page_timeout_seconds):  # noqa: S310 - ours
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def _dropped(self, process: ServiceProcess) -> int | None:
        """Return how many lines its page says that it dropped; None: the page does not answer."""
        try:
            with urllib.request.urlopen(f"{process.url}/metrics", timeout=self.page_timeout_seconds) as answer:  # noqa: S310 - ours
                text = answer.read().decode()
        except OSError:
            return None
        return sum(int(float(line.rpartition(" ")[2])) for line in text.splitlines() if line.startswith(DROPPED))

    def close(self) -> None:
        for pipe in self.pipes.values():
            pipe.close()
