"""Shared transactions: all jobs that wait are written in one, and the journal is read when no job waits.

All of it runs on the event loop except the two calls that block: the fsync of COMMIT, and the wait for another process's
transaction. Statements run on the loop because switching to a second busy thread would cost more than they take.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from reefmesh.broker.embedded.errors import failure_of
from reefmesh.broker.embedded.fifo import QueuedMessage
from reefmesh.broker.embedded.job import Job
from reefmesh.broker.embedded.journal import Journal
from reefmesh.broker.embedded.record import Record, microseconds, record_of
from reefmesh.broker.port import BrokerUnavailable, PublishRefused
from reefmesh.clock import Clock
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import TransientError

T = TypeVar("T")

TRANSACTION_JOBS: Final = 1000
TRANSACTION_BYTES: Final = 16 * 1024 * 1024
POLL_SECONDS: Final = 0.02
"""How often an owner whose lanes wait polls for other processes' messages: one pragma of some microseconds."""
RETRY_SECONDS: Final = 1.0
_ROW_BYTES: Final = 400  # what a message takes besides its body, about
_SETTLE_RESERVE: Final = 8  # the last eighth of the limit is for settlements, so that a full journal can drain


class BacklogKeeper(Protocol):
    """The part of the session that the writer uses: it keeps the backlogs in memory."""

    def noticed(self, after: int) -> None:
        """There are messages behind position ``after`` that will not be committed through ``committed``."""
        ...

    def committed(self, jobs: Iterable[Job], offers: list[tuple[Record, Envelope]]) -> None:
        """These are durable."""
        ...

    def read(self) -> bool:
        """Read a page of the journal for each backlog that has room; return whether one has room for more."""
        ...

    def has_waiters(self) -> bool:
        """Return whether a lane waits for a message."""
        ...


class Writer:
    """The only user of the journal once it is started."""

    def __init__(self, journal: Journal, keeper: BacklogKeeper, *, clock: Clock, limit_bytes: int, polls: bool) -> None:
        self.commits = 0
        self.unrouted_messages = 0
        self._journal = journal
        self._keeper = keeper
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._polls = polls
        self._jobs: deque[Job] = deque()
        self._writing: list[Job] = []
        self._duplicates: list[tuple[int, QueuedMessage[Envelope]]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._thread = ThreadPoolExecutor(1, "journal")
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._run(), name="journal writer")

    @property
    def jobs_waiting(self) -> int:
        return len(self._jobs)

    async def submit(self, job: Job) -> object:
        """Write the job with the next transaction; returns when it is durable.

        Raises:
            PublishRefused: the journal is full; nothing of the job was written.
            BrokerUnavailable: the journal cannot be written, or is closed.
        """
        if self._stopping:
            raise BrokerUnavailable("the embedded broker is closed")
        self._jobs.append(job)
        self._wake.set()
        return await job.future

    def forget(self, subscription: int, entry: QueuedMessage[Envelope]) -> None:
        """Delete a duplicate's row with one of the next transactions."""
        self._duplicates.append((subscription, entry))
        self._wake.set()

    def wake(self) -> None:
        """Look again: there may be something to read, or a lane that waits for other processes' messages."""
        self._wake.set()

    async def stop(self) -> None:
        """Write what waits, then end."""
        self._stopping = True
        self._wake.set()
        await asyncio.shield(self._task)

    def abort(self) -> None:
        """Write nothing more; what waits is not written. Returns once no thread uses the journal."""
        self._stopping = True
        self._task.cancel()
        self._thread.shutdown(wait=True)

    async def _run(self) -> None:
        try:
            while not self._stopping or self._jobs:
                self._wake.clear()
                if self._jobs or self._duplicates:
                    self._writing = self._next_jobs()
                    await self._write(self._writing)
                try:
                    if self._polls and self._journal.changed_elsewhere():
                        self._notice()
                    more = self._keeper.read()
                except sqlite3.Error:  # a read failed; what waits for it stays in the journal
                    self._look_again(RETRY_SECONDS)
                    more = False
                if self._jobs or more:
                    await asyncio.sleep(0)  # callers that were just served may submit their next job for the same transaction
                    continue
                if self._polls and self._keeper.has_waiters():
                    self._look_again(POLL_SECONDS)
                if not self._stopping:
                    await self._wake.wait()
        finally:
            self._stopping = True
            if self._timer is not None:
                self._timer.cancel()
            self._thread.shutdown(wait=True)
            for job in (*self._writing, *self._jobs):  # all are done, unless the writer itself broke
                job.fail(BrokerUnavailable("the embedded broker is closed"))

    def _look_again(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._wake.set)

    def _notice(self) -> None:
        before = self._journal.last_position
        if self._journal.notice():
            self._keeper.noticed(before)

    def _next_jobs(self) -> list[Job]:
        jobs: list[Job] = []
        size_bytes = 0
        while self._jobs and len(jobs) < TRANSACTION_JOBS and size_bytes < TRANSACTION_BYTES:
            jobs.append(self._jobs.popleft())
            size_bytes += jobs[-1].size_bytes
        return jobs

    async def _write(self, jobs: list[Job]) -> None:
        """One transaction for all; when one job brought what cannot be written, each has one of its own."""
        failure = await self._transact(jobs)
        if failure is None:
            return
        transient = failure if isinstance(failure, TransientError) else failure_of(failure)
        if transient is None and len(jobs) > 1:
            for job in jobs:
                await self._write([job])
            return
        for job in jobs:
            # each its own exception: raising one object in many tasks would tangle their tracebacks
            job.fail(type(transient)(str(transient)) if transient else _refusal(failure))
        if not jobs:  # only duplicates to forget: they wait for better times
            self._look_again(RETRY_SECONDS)

    async def _transact(self, jobs: list[Job]) -> Exception | None:
        journal = self._journal
        before: int | None = None
        duplicates, self._duplicates = self._duplicates, []
        try:
            if not journal.begin() and not await self._off_the_loop(journal.begin_patiently):
                raise BrokerUnavailable("the journal is locked by another program")  # noqa: TRY301 - one way to undo
            if journal.changed_elsewhere():
                self._notice()
            before = journal.last_position
            results, offers = self._apply(jobs, duplicates)
            if journal.durable:
                await self._off_the_loop(journal.commit)
            else:
                journal.commit()
        except Exception as error:  # noqa: BLE001 - whatever it was, no caller may be left waiting
            journal.rollback(to=before)
            self._duplicates = duplicates + self._duplicates
            return error
        self.commits += 1
        done = [job for job, _ in results]
        journal.count_added_for()
        for number, _ in duplicates:
            journal.count(number, -1)
        if journal.last_position != before + len(offers):
            self._keeper.noticed(before)  # an action gave positions too: read all of them back in order
        # Whoever settled goes on before a lane that is given the reef's next message: it notes that its outputs are out, and
        # the next message need not look for them in the outbox.
        for job, result in results:
            job.succeed(result)
        self._keeper.committed(done, offers)
        return None

    def _apply(
        self, jobs: list[Job], duplicates: list[tuple[int, QueuedMessage[Envelope]]]
    ) -> tuple[list[tuple[Job, object]], list[tuple[Record, Envelope]]]:
        """Write the jobs into the open transaction; those refused for want of room fail here and are left out."""
        journal = self._journal
        published_us = microseconds(self._clock.now())
        room_bytes = self._limit_bytes - journal.used_bytes()
        reserve_bytes = self._limit_bytes // _SETTLE_RESERVE
        results: list[tuple[Job, object]] = []
        offers: list[tuple[Record, Envelope]] = []
        records: list[Record] = []
        alone: list[tuple[int, str, int]] = [(number, entry.group, entry.position) for number, entry in duplicates]
        shared: list[tuple[int, str, int]] = []
        if duplicates:
            alone, shared = [], alone
        for job in jobs:
            dispatcher, held = job.dispatcher, job.held
            if job.publications:
                need_bytes = job.size_bytes + _ROW_BYTES * len(job.publications)
                if need_bytes > (room_bytes if held is not None else room_bytes - reserve_bytes):
                    job.fail(PublishRefused(f"the journal is full: its limit is {self._limit_bytes} bytes"))
                    continue
                room_bytes -= need_bytes
                for publication in job.publications:
                    if journal.subscription_ids(publication.channel):
                        message = publication.message
                        record = record_of(journal.give_position(), publication.channel, message, published_us)
                        records.append(record)
                        offers.append((record, message))
                    else:
                        self.unrouted_messages += 1
            result = job.action(journal) if job.action is not None else None
            if held is not None and dispatcher is not None:
                settlement = (dispatcher.number, held.entry.group, held.entry.position)
                (alone if len(journal.subscription_ids(dispatcher.subscription.channel.name)) == 1 else shared).append(
                    settlement
                )
            results.append((job, result))
        if records:
            journal.add(records)
        if alone:
            journal.settle(alone, shared=False)
        if shared:
            journal.settle(shared, shared=True)
        return results, offers

    async def _off_the_loop(self, blocking: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, blocking)


def _refusal(failure: Exception) -> Exception:
    """Return the error for the one job that cannot be written: a value that SQLite cannot take is refused, else it is a bug."""
    if isinstance(failure, (UnicodeError, OverflowError, sqlite3.Error)):
        return PublishRefused(f"the journal cannot take the message: {failure}")
    return failure
