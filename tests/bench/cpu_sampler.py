"""Where a process spends its CPU, by stage: a timer of the process's CPU asks every few milliseconds what is being done.

What the main thread used since the sample before is put down to the innermost place that has a stage; what other threads used
(they wait for the disk, and compress) to ``THREADS``. So the sum is the CPU of the process, whatever the number of samples.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Final, Self

BROKER_CLIENT, DATABASE, MESSAGES = "broker client", "database", "reading and writing messages"
WORK, FRAME, TOLD = "the service's own work", "order, retries, unit of work", "metrics and logs"
LOOP, THREADS, LOAD = "event loop", "threads that wait for the disk", "the load itself"
STAGES: Final = (WORK, MESSAGES, DATABASE, BROKER_CLIENT, FRAME, TOLD, LOOP, THREADS, LOAD)
"""In the order of the picture."""

PLACES: Final = (
    ("reefmesh.broker", BROKER_CLIENT),
    ("aiormq", BROKER_CLIENT),
    ("pamqp", BROKER_CLIENT),
    ("reefmesh.store", DATABASE),
    ("sqlite3", DATABASE),
    ("reefmesh.contracts", MESSAGES),
    ("pydantic", MESSAGES),
    ("json", MESSAGES),
    ("reefmesh.observability", TOLD),
    ("prometheus_client", TOLD),
    ("structlog", TOLD),
    ("reefmesh.service", FRAME),
    ("reefmesh_ingest", WORK),
    ("reefmesh_scoring", WORK),
    ("reefmesh_alerts", WORK),
    ("reefmesh_standalone.sending", LOAD),
    ("load", LOAD),
)
RUNNER: Final = "asyncio.runners"
"""What is around it started the event loop, and does nothing now."""
INTERVAL_SECONDS: Final = 0.004
REST: Final = ""
"""The service of what no lane does."""


def stage_of(modules: Iterable[str]) -> str:
    """Return the stage of a stack, given the modules of its frames, the innermost first."""
    for module in modules:
        if module == RUNNER:
            break
        for prefix, stage in PLACES:
            if module == prefix or module.startswith(f"{prefix}."):
                return stage
    return LOOP


def service_of(task: str) -> str:
    """Return whose lane this task is, by its name (``scoring@reef.readings/3``); ``REST``: nobody's."""
    service, at, _ = task.partition("@")
    return service if at else REST


class CpuSampler:
    """Runs in the main thread of the process that it looks at. Nanoseconds by service and stage."""

    def __init__(self) -> None:
        self.nanoseconds: Counter[tuple[str, str]] = Counter()
        self.samples = 0
        self._main = self._all = 0

    def start(self) -> None:
        self.nanoseconds.clear()
        self.samples = 0
        self._main, self._all = time.thread_time_ns(), time.process_time_ns()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _sample(self, number: int, frame: FrameType | None) -> None:
        main, everything = time.thread_time_ns(), time.process_time_ns()
        own, others = main - self._main, (everything - self._all) - (main - self._main)
        self.nanoseconds[service_of(_task_name()), stage_of(_modules(frame))] += own
        self.nanoseconds[REST, THREADS] += max(0, others)
        self.samples += 1
        self._main, self._all = time.thread_time_ns(), time.process_time_ns()


def _modules(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        yield str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back


def _task_name() -> str:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return REST
    return REST if task is None else task.get_name()
