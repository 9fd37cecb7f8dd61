"""The outbox relay: sends what was committed and never confirmed, when no redelivery will come to heal it.

Needed for units that no broker message caused (a deadline that passed), and for a crash between the broker's confirmation
and ours. A repeat is harmless: consumers skip what they applied.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from reefmesh.broker.port import Broker, Publication
from reefmesh.errors import TransientError
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service.outbox import send_unsent
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store

log = structlog.get_logger()

BATCH_LIMIT: Final = 500


class OutboxRelay:
    """Looks every ``interval`` for outputs older than ``overdue_after``."""

    def __init__(
        self,
        *,
        store: Store,
        broker: Broker,
        interval: timedelta = timedelta(seconds=5),
        overdue_after: timedelta = timedelta(seconds=30),
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._broker = broker
        self._interval = interval
        self._overdue_after = overdue_after
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until ``stop``; a broker or store that is away only delays it."""
        while not stop.is_set():
            try:
                await self.relay_once()
            except TransientError as error:
                log.warning("outbox relay waits", reason=str(error))
            await is_set_within(stop, self._interval.total_seconds())

    async def relay_once(self) -> int:
        """Send what is overdue now; returns how many messages that were."""
        sent = 0
        while overdue := await self._overdue():
            await send_unsent(overdue, broker=self._broker, store=self._store)
            sent += len(overdue)
            if self._metrics is not None:
                self._metrics.count(table.OUTPUTS_RESENT, amount=len(overdue))
                self._metrics.set(table.OUTPUTS_OVERDUE, 0)
            log.info("outbox relayed", messages=len(overdue))
            if len(overdue) < BATCH_LIMIT:
                break
        return sent

    async def _overdue(self) -> Sequence[tuple[str, Publication]]:
        overdue = await self._store.overdue_outputs(self._overdue_after, limit=BATCH_LIMIT)
        if self._metrics is not None:
            self._metrics.set(table.OUTPUTS_OVERDUE, len(overdue))
        return overdue
