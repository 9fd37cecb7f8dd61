"""Messages leave a parking for their age: a few at a time, counted by reason."""

import asyncio
from typing import Final

import structlog

from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import Broker
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.errors import ConfigurationError, TransientError
from reefmesh.observability import table
from reefmesh.observability.folded_log import FoldedLog
from reefmesh.observability.metrics import Metrics
from reefmesh.service.stop_event import is_set_within

log = structlog.get_logger()

INTERVAL_SECONDS: Final = 600.0
"""ActiveMQ shows everything that is old enough for each look; an age counts days."""
MESSAGES_AT_ONCE: Final = 200


class ParkingRemoval:
    """A background task for one subscription; each process of a service runs it. ``quota`` says what is too old."""

    def __init__(
        self, *, subscription: Subscription, broker: Broker, quota: ParkingQuota, clock: Clock, metrics: Metrics
    ) -> None:
        self._subscription = subscription
        self._parking = broker.parking(subscription)
        self._quota = quota
        self._clock = clock
        self._metrics = metrics
        self._folded = FoldedLog(log, subscription=str(subscription))

    async def run(self, stop: asyncio.Event) -> None:
        """Remove until ``stop``. A broker that is away or refuses only delays it."""
        while not stop.is_set():
            try:
                while await self.remove_some() == MESSAGES_AT_ONCE and not stop.is_set():
                    continue
            except (TransientError, ConfigurationError) as error:
                log.warning("parking removal waits", subscription=str(self._subscription), reason=str(error))
            await is_set_within(stop, INTERVAL_SECONDS)

    async def remove_some(self) -> int:
        """Remove at most ``MESSAGES_AT_ONCE`` messages; return how many. Raises BrokerUnavailable."""
        removed = await self._parking.remove_old(self._quota, now=self._clock.now(), limit=MESSAGES_AT_ONCE)
        for reason, messages in removed.items():
            self._metrics.count(table.PARKED_REMOVED, str(self._subscription), reason, amount=messages)
            self._folded.write(
                "info", "parked messages removed for their age", kind=reason, subscription=str(self._subscription),
                reason=reason, messages=messages,
            )  # fmt: skip
        return sum(removed.values())
