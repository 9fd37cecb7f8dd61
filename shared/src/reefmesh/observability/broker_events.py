"""Broker events in the log and in the metrics."""

from collections.abc import Callable, Collection
from typing import Final

import structlog

from reefmesh.broker.port import ADVISORY_IGNORED, PARKING_FOLDED, UNREADABLE_PARKED, BrokerEvent
from reefmesh.contracts.channels import Subscription
from reefmesh.observability import table
from reefmesh.observability.folded_log import FoldedLog
from reefmesh.observability.metrics import Metrics

WARNINGS: Final = frozenset({"lost", UNREADABLE_PARKED, PARKING_FOLDED, ADVISORY_IGNORED})
OF_SENDERS: Final = frozenset({UNREADABLE_PARKED, PARKING_FOLDED})
"""As many as somebody sends."""

log = structlog.get_logger()


def broker_event_log() -> Callable[[BrokerEvent], None]:
    """Return a listener that writes a line for each event; what senders bring about is folded."""
    folded = FoldedLog(log)

    def write(event: BrokerEvent) -> None:
        text = f"broker {event.name}"
        if event.name in OF_SENDERS:
            folded.write("warning", text, kind=str(event.facts.get("reason", "")), **event.facts)
        else:
            (log.warning if event.name in WARNINGS else log.info)(text, **event.facts)

    return write


def broker_event_counter(metrics: Metrics, subscriptions: Collection[Subscription]) -> Callable[[BrokerEvent], None]:
    """Return a listener that counts a service's events: those of the connection and of its own ``subscriptions``, not those of
    other services on the same connection."""
    own = {None, *map(str, subscriptions)}

    def count(event: BrokerEvent) -> None:
        if event.facts.get("subscription") in own:
            metrics.count(table.BROKER_EVENTS, event.name, amount=float(event.facts.get("times", 1)))

    return count
