"""Group commit: the units of many callers in one database transaction.

While one transaction is being written, the next callers queue, and all of them go into the next one. So a durable write (one
flush of the disk, a few round trips) is shared when there is much to write, and nobody waits for others when there is little.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reefmesh.clock import Clock
from reefmesh.store.port import CommitResult, StoreStatistics, StoreUnavailable, Unit, Write, WriteRefused

ITEMS_PER_TRANSACTION_LIMIT: Final = 256
FORGOTTEN_LIMIT: Final = 100_000
"""Inputs whose outputs are out, to be deleted from the outbox while the database is away. Those of any further input are sent
twice; consumers skip the repeat."""
FORGET_DELAY_SECONDS: Final = 0.05
"""How long the deletion of sent outputs waits for a unit to share a transaction with."""
FORGET_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Try:
    """A try of a redelivered message, to be counted."""

    inbox: str
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The work of one transaction; at most one unit of each reef.

    ``forgotten``: inputs whose outputs are out and leave the outbox. ``now_us``: the instant of the new outbox rows, in UTC
    microseconds.
    """

    units: Sequence[Unit]
    attempts: Sequence[Try]
    writes: Sequence[Sequence[Write]]
    forgotten: Sequence[str]
    now_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """The result of each unit, and the number of tries after each attempt, in the batch's order."""

    units: Sequence[CommitResult]
    attempts: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Queued:
    work: Unit | Try | tuple[Write, ...]
    answer: asyncio.Future[Any]


class GroupCommit:
    """Queues work and passes it, batch by batch, to ``write_batch``, which writes all of it durably or raises.

    ``write_batch`` raises WriteRefused if a statement is wrong: then each item is written alone, so that only the wrong one
    fails. Any other error is raised to all callers of the batch.
    """

    def __init__(self, write_batch: Callable[[Batch], Awaitable[BatchResult]], *, clock: Clock, database: str) -> None:
        self._write_batch = write_batch
        self._clock = clock
        self._database = database
        self._waiting: deque[_Queued] = deque()
        self._forgotten: dict[str, None] = {}
        self._forget_delay_seconds = FORGET_DELAY_SECONDS
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._newest_us = 0
        self._commits = 0
        self._units = 0
        self._units_per_commit_max = 0
        self._commit_seconds = 0.0
        self._failures = 0

    def start(self) -> None:
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=f"group-commit {self._database}")

    async def stop(self) -> None:
        """Write what is queued, then stop; takes as long as the database. Idempotent, safe before ``start``."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.shield(self._task)
            self._task = None

    async def commit(self, unit: Unit) -> CommitResult:
        result: CommitResult = await self._enqueue(unit)
        return result

    async def count_attempt(self, attempt: Try) -> int:
        tries: int = await self._enqueue(attempt)
        return tries

    async def write(self, writes: Sequence[Write]) -> None:
        if writes:
            await self._enqueue(tuple(writes))

    def forget(self, event_ids: Iterable[str]) -> None:
        """Delete the outputs of these inputs from the outbox with the next batch, or soon. Returns before that is durable."""
        if not self._forgotten:
            self._wake.set()
        for event_id in event_ids:
            if len(self._forgotten) < FORGOTTEN_LIMIT:
                self._forgotten[event_id] = None

    def has_forgotten(self, event_id: str) -> bool:
        """Return whether the outputs of that input are out although the database may still hold them."""
        return event_id in self._forgotten

    def statistics(self) -> StoreStatistics:
        return StoreStatistics(
            units_waiting=sum(isinstance(each.work, Unit) for each in self._waiting),
            commits=self._commits,
            units=self._units,
            units_per_commit_max=self._units_per_commit_max,
            commit_seconds=self._commit_seconds,
            failures=self._failures,
        )

    async def _enqueue(self, work: Unit | Try | tuple[Write, ...]) -> Any:
        if self._task is None or self._stopping:
            raise StoreUnavailable(f"{self._database} is not open")
        waiting = _Queued(work, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.answer

    async def _run(self) -> None:
        try:
            while await self._work_arrives():
                await self._write(self._take())
                await asyncio.sleep(0)  # the answered callers bring their next units into the next transaction
        finally:
            while self._waiting:  # only when this task was cancelled: nobody waits for ever
                _refuse(self._waiting.popleft(), StoreUnavailable(f"{self._database} was closed before the unit was written"))

    async def _work_arrives(self) -> bool:
        """Wait for something to write; return False when stopped and done."""
        while not self._waiting:
            if self._stopping:
                return bool(self._forgotten) and self._forget_delay_seconds == FORGET_DELAY_SECONDS
            self._wake.clear()
            try:
                async with asyncio.timeout(self._forget_delay_seconds if self._forgotten else None):
                    await self._wake.wait()
            except TimeoutError:
                return True
        return True

    def _take(self) -> list[_Queued]:
        """Take the oldest work, one unit of each reef: a second unit is judged by the version that the first one leaves."""
        taken: list[_Queued] = []
        later: list[_Queued] = []
        reefs: set[str] = set()
        while self._waiting and len(taken) < ITEMS_PER_TRANSACTION_LIMIT:
            each = self._waiting.popleft()
            if each.answer.done():  # its caller was cancelled
                continue
            if isinstance(each.work, Unit):
                if each.work.reef_id in reefs:
                    later.append(each)
                    continue
                reefs.add(each.work.reef_id)
            taken.append(each)
        self._waiting.extendleft(reversed(later))
        return taken

    async def _write(self, items: Sequence[_Queued]) -> None:
        units = [each for each in items if isinstance(each.work, Unit)]
        attempts = [each for each in items if isinstance(each.work, Try)]
        writes = [each for each in items if isinstance(each.work, tuple)]
        forgotten = tuple(self._forgotten)
        # Never backwards in one process, so that outputs of one reef grow old in their order.
        self._newest_us = max(self._newest_us, int(self._clock.now().timestamp() * 1_000_000))
        batch = Batch(
            units=[each.work for each in units if isinstance(each.work, Unit)],
            attempts=[each.work for each in attempts if isinstance(each.work, Try)],
            writes=[each.work for each in writes if isinstance(each.work, tuple)],
            forgotten=forgotten,
            now_us=self._newest_us,
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            result = await self._write_batch(batch)
        except WriteRefused as error:
            if len(items) > 1:
                for each in items:
                    await self._write([each])
                return
            for each in items:
                _refuse(each, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers get it, and the next batch may work
            self._failures += 1
            self._forget_delay_seconds = FORGET_RETRY_SECONDS
            for each in items:
                _refuse(each, error)
        else:
            self._forget_delay_seconds = FORGET_DELAY_SECONDS
            for event_id in forgotten:
                del self._forgotten[event_id]
            self._commits += 1
            self._commit_seconds += loop.time() - began
            self._units += len(units)
            self._units_per_commit_max = max(self._units_per_commit_max, len(units))
            for each, outcome in zip(units, result.units, strict=True):
                _answer(each, outcome)
            for each, tries in zip(attempts, result.attempts, strict=True):
                _answer(each, tries)
            for each in writes:
                _answer(each, None)


def _answer(waiting: _Queued, value: CommitResult | int | None) -> None:
    if not waiting.answer.done():
        waiting.answer.set_result(value)


def _refuse(waiting: _Queued, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
