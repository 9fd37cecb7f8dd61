"""Broker events in the log and in the metrics."""

from collections.abc import Callable, Collection
from typing import Final

import structlog

from reefmesh.broker.port import ADVISORY_IGNORED, UNREADABLE_PARKED, BrokerEvent
from reefmesh.contracts.channels import Subscription
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics

WARNINGS: Final = frozenset({"lost", UNREADABLE_PARKED, ADVISORY_IGNORED})

log = structlog.get_logger()


def log_broker_event(event: BrokerEvent) -> None:
    write = log.warning if event.name in WARNINGS else log.info
    write(f"broker {event.name}", **event.facts)


def broker_event_counter(metrics: Metrics, subscriptions: Collection[Subscription]) -> Callable[[BrokerEvent], None]:
    """Return a listener that counts a service's events: those of the connection and of its own ``subscriptions``, not those of
    other services on the same connection."""
    own = {None, *map(str, subscriptions)}

    def count(event: BrokerEvent) -> None:
        if event.facts.get("subscription") in own:
            metrics.count(table.BROKER_EVENTS, event.name, amount=float(event.facts.get("times", 1)))

    return count
