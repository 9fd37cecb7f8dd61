"""A service's life: start, work, drain, stop. Each verb is idempotent, and safe before the verb that should precede it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from reefmesh.service.worker import Worker

log = structlog.get_logger()

Background = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""A task beside the lanes; it returns soon after the event is set."""


class Service:
    """Workers and background tasks under one task group. It does not own its broker and store: their opener closes them, after
    ``run`` has returned."""

    def __init__(
        self,
        *,
        name: str,
        workers: Sequence[Worker[Any]],
        background: Sequence[Background] = (),
        drain_timeout_seconds: float = 90.0,
    ) -> None:
        self.name = name
        self._workers = workers
        self._background = background
        self._drain_timeout_seconds = drain_timeout_seconds

    async def run(self, stop: asyncio.Event) -> bool:
        """Work until ``stop``, then drain: take nothing new, finish and acknowledge what is in flight, unsubscribe.

        The drain begins also when a worker or a background task ends by itself. Returns True after a clean drain, and False if
        the drain time-out passed first: then the messages that were still in hand will be redelivered. Outputs that are in the
        outbox by then are sent by another process, or by the next start.

        Raises:
            TooMuchPoison: a worker stopped itself; the other workers were drained.
            BrokerUnavailable: a worker could not subscribe.
        """
        halt = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(run(halt), name=f"{self.name}/background") for run in self._background]
            workers = [asyncio.create_task(worker.run(), name=f"{self.name}/{worker.subscription}") for worker in self._workers]
            stopped = asyncio.create_task(stop.wait(), name=f"{self.name}/stop")
            log.info("service started", service=self.name)
            try:
                await asyncio.wait({stopped, *workers, *background}, return_when=asyncio.FIRST_COMPLETED)
                clean = await self._drain(workers)
            finally:
                halt.set()
                for task in (stopped, *workers):
                    task.cancel()
                ended = await asyncio.gather(stopped, *workers, return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome
        log.info("service stopped", service=self.name, clean=clean)
        return clean

    async def _drain(self, workers: Sequence["asyncio.Task[None]"]) -> bool:
        log.info("draining", service=self.name, timeout_seconds=self._drain_timeout_seconds)
        try:
            async with asyncio.timeout(self._drain_timeout_seconds):
                await asyncio.gather(*(worker.drain() for worker in self._workers))
                await asyncio.gather(*workers, return_exceptions=True)
        except TimeoutError:
            log.warning("drain time-out: what is in hand is left to redelivery", service=self.name)
            return False
        return True
