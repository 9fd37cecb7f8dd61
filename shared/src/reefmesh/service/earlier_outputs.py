"""Outputs of a reef that were decided before the message in hand, and may not be out."""

import asyncio
from itertools import takewhile
from typing import Any, Final

import structlog

from reefmesh.broker.port import Broker, Publication
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service.outbox import send_unsent
from reefmesh.service.reefs import Reef
from reefmesh.service.stop_event import is_set_within
from reefmesh.store.port import Store

log = structlog.get_logger()

NOTED_WITHIN_SECONDS: Final = (0.1, 0.4)
"""Waits before outputs that another process left are sent: it notes that they are out with its next transaction."""


class EarlierOutputs:
    """They go out first, or the message's own would overtake them. What goes twice is skipped by whoever applied it."""

    def __init__(self, *, store: Store, broker: Broker, metrics: Metrics, draining: asyncio.Event) -> None:
        self._store = store
        self._broker = broker
        self._metrics = metrics
        self._draining = draining

    async def send(self, reef: Reef[Any], message: Envelope) -> None:
        """Send what was decided for a locked reef and may not have been sent, by another process or over a connection that was
        lost.

        Raises:
            BrokerUnavailable, PublishRefused: they are in the outbox as before.
        """
        if not reef.has_outputs and not reef.unsent:
            return
        earlier = await self._unsent_before(reef, message)
        if not reef.unsent:  # another process left them: one that gave the reef away cleanly is about to note that they are out
            for seconds in NOTED_WITHIN_SECONDS:
                if not earlier or await is_set_within(self._draining, seconds):
                    break
                earlier = await self._unsent_before(reef, message)
        if earlier:
            await send_unsent(earlier, broker=self._broker, store=self._store)
            self._metrics.count(table.OUTPUTS_RESENT, amount=len(earlier))
            log.info("earlier outputs sent first", messages=len(earlier))
        reef.has_outputs = False
        reef.unsent &= {message.event_id}

    async def _unsent_before(self, reef: Reef[Any], message: Envelope) -> list[tuple[str, Publication]]:
        unsent = await self._store.unsent_outputs(reef.reef_id)
        return list(takewhile(lambda each: each[0] != message.event_id, unsent))
