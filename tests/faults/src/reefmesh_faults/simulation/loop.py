"""An event loop with virtual time and simulated processes: one thread, no sockets, every choice drawn from a seed.

A *process* is a group of callbacks. Inside one process callbacks run in the order in which they were registered, as asyncio
promises; which process runs next is drawn. A process that is killed never runs again: its coroutines stay where they are,
without ``finally`` and without ``except``, as after kill -9. A paused one keeps what is to run for later.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from itertools import count
from random import Random
from typing import Any, Final, Protocol

TURN_SECONDS: Final = 1e-6
"""What one callback takes of virtual time."""

_BURIAL_ROUNDS: Final = 100


class SimulationStuck(Exception):
    """Nothing can ever happen again, or the schedule takes longer than it may."""


class Process:
    """One operating system process. ``turns`` counts its callbacks; ``on_due`` is called before the one that ``due_at_turn``
    names."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.was_killed = False
        self.is_paused = False
        self.turns = 0
        self.due_at_turn: int | None = None
        self.on_due: Callable[[], None] = _nothing
        self.on_kill: Callable[[], None] = _nothing
        self.tasks: list[asyncio.Task[Any]] = []
        self.ready: deque[asyncio.Handle] = deque()
        self.is_listed = False


def _nothing() -> None:
    return None


_PROCESS: Final[ContextVar[Process]] = ContextVar("simulated process")


class Network(Protocol):
    """What connects a process with the world."""

    def connect(
        self, process: Process, factory: Callable[[], asyncio.BaseProtocol]
    ) -> Coroutine[Any, Any, tuple[asyncio.Transport, asyncio.BaseProtocol]]: ...


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is ready, then moves time to the next timer."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.world = Process("world")
        self.network: Network | None = None
        self.faults: list[str] = []
        self.turns = 0
        self._random = random
        self._seconds = 0.0
        self._runnable: list[Process] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = count()
        self._is_burying = False

    # processes

    def spawn(self, process: Process, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a process with its first task."""
        context = copy_context()
        context.run(_PROCESS.set, process)
        return self.create_task(coroutine, context=context)

    def context_of(self, process: Process) -> Context:
        context = copy_context()
        context.run(_PROCESS.set, process)
        return context

    def kill(self, process: Process) -> None:
        if process.is_alive:
            process.is_alive, process.was_killed = False, True
            process.on_kill()

    def pause(self, process: Process) -> None:
        process.is_paused = True

    def resume(self, process: Process) -> None:
        process.is_paused = False
        self._list(process)

    def bury(self, processes: list[Process]) -> None:
        """Let the tasks of dead processes end, so that nothing of them is left; they must have lost all access by now."""
        self._is_burying = True
        asyncio._set_running_loop(self)  # what a loop does for its callbacks
        try:
            self._end_all(processes)
        finally:
            asyncio._set_running_loop(None)

    def _end_all(self, processes: list[Process]) -> None:
        for process in processes:
            process.is_alive, process.is_paused, process.due_at_turn = True, False, None
            self._list(process)
        for _ in range(_BURIAL_ROUNDS):
            pending = [task for process in processes for task in process.tasks if not task.done()]
            if not pending:
                return
            for task in pending:
                task.cancel()
            while self._runnable:
                self._turn()
        raise SimulationStuck(f"{len(pending)} tasks do not end: {pending[:3]}")

    # what asyncio asks of a loop

    def time(self) -> float:
        return self._seconds

    def call_soon(  # type: ignore[override]  # typeshed ties the arguments to the callback; nothing here does more with them
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._put(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # as call_soon

    def call_later(  # type: ignore[override]  # as call_soon
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._seconds + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # as call_soon
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def create_task(self, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = super().create_task(coro, **kwargs)
        context = kwargs.get("context")
        process = (context.get(_PROCESS) if context is not None else _PROCESS.get(None)) or self.world
        if len(process.tasks) > 256:
            process.tasks = [each for each in process.tasks if not each.done()]
        process.tasks.append(task)  # a dead process's tasks must not be collected: that would run their finally blocks
        return task

    def run_in_executor(  # type: ignore[override]  # as call_soon
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Threads there are none: it is done in a turn of its own."""
        future = self.create_future()

        def work() -> None:
            if not future.done():
                try:
                    result = func(*args)
                except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits
                    future.set_exception(error)
                else:
                    future.set_result(result)

        self.call_soon(work)
        return future

    async def create_connection(  # type: ignore[override]  # the one way in which the mesh calls it
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, **_: Any
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        process = _PROCESS.get()
        if self.network is None or self._is_burying:
            raise ConnectionRefusedError(f"{process.name} reaches nothing at {host}:{port}")
        return await self.network.connect(process, protocol_factory)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._is_burying:
            self.faults.append(f"{context.get('message')}: {context.get('exception')!r}")

    # inside

    def _put(self, handle: asyncio.Handle) -> None:
        process: Process = handle._context.get(_PROCESS, self.world)  # type: ignore[attr-defined]  # a handle tells no other way
        process.ready.append(handle)
        self._list(process)

    def _list(self, process: Process) -> None:
        if not process.is_listed and process.ready and process.is_alive and not process.is_paused:
            process.is_listed = True
            self._runnable.append(process)

    def _run_once(self) -> None:
        """One turn of the whole world."""
        if not self._runnable:
            if not self._timers:
                raise SimulationStuck("nothing will ever happen again")
            self._seconds = max(self._seconds, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._seconds:
            handle = heapq.heappop(self._timers)[2]
            if not handle.cancelled():
                self._put(handle)
        if self._runnable:
            self._turn()

    def _turn(self) -> None:
        runnable = self._runnable
        place = self._random.randrange(len(runnable)) if len(runnable) > 1 else 0
        process = runnable[place]
        if process.due_at_turn is not None and process.turns >= process.due_at_turn:
            process.due_at_turn = None
            process.on_due()
        if not process.ready or not process.is_alive or process.is_paused:
            runnable[place] = runnable[-1]
            runnable.pop()
            process.is_listed = False
            return
        handle = process.ready.popleft()
        process.turns += 1
        self.turns += 1
        self._seconds += TURN_SECONDS
        if not handle.cancelled():
            handle._run()
