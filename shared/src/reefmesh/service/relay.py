"""The outbox relay: sends outputs that nobody else will send, because no message of their reef comes any more."""

import asyncio
from datetime import timedelta

import structlog

from reefmesh.broker.port import Broker
from reefmesh.errors import TransientError
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service.outbox import OVERDUE_BATCH_LIMIT, Outbox, Unsent
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store

log = structlog.get_logger()


class OutboxRelay:
    """Polls the outbox every ``interval`` for outputs that are older than ``overdue_after``."""

    def __init__(
        self,
        *,
        store: Store,
        broker: Broker,
        interval: timedelta = timedelta(seconds=5),
        overdue_after: timedelta = timedelta(seconds=30),
        metrics: Metrics | None = None,
    ) -> None:
        self._outbox = Outbox(store=store, broker=broker, metrics=metrics)
        self._interval = interval
        self._overdue_after = overdue_after
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until ``stop``. A broker or store that is away only delays it."""
        while not stop.is_set():
            try:
                await self.relay_once()
            except TransientError as error:
                log.warning("outbox relay waits", reason=str(error))
            await is_set_within(stop, self._interval.total_seconds())

    async def relay_once(self) -> int:
        """Send all that is overdue; return how many messages that were. Raises TransientError: the rest is still there."""
        sent = 0
        while overdue := await self._overdue():
            await self._outbox.send(overdue)
            sent += len(overdue)
            if self._metrics is not None:
                self._metrics.set(table.OUTPUTS_OVERDUE, 0)
            log.info("outbox relayed", messages=len(overdue))
            if len(overdue) < OVERDUE_BATCH_LIMIT:
                break
        return sent

    async def _overdue(self) -> Unsent:
        overdue = await self._outbox.overdue(self._overdue_after)
        if self._metrics is not None:
            self._metrics.set(table.OUTPUTS_OVERDUE, len(overdue))
        return overdue
