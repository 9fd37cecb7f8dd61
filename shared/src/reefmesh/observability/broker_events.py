"""What happens between a process and its broker, in the log and in the metrics."""

from collections.abc import Callable

import structlog

from reefmesh.broker.port import BrokerEvent
from reefmesh.contracts.channels import Subscription
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics

log = structlog.get_logger()


def log_broker_event(event: BrokerEvent) -> None:
    write = log.warning if event.name == "lost" else log.info
    write(f"broker {event.name}", **event.facts)


def broker_event_counter(metrics: Metrics, subscription: Subscription) -> Callable[[BrokerEvent], None]:
    """Return what counts the events of a service: all but those of another's subscription on the same connection."""

    def count(event: BrokerEvent) -> None:
        if event.facts.get("subscription", str(subscription)) == str(subscription):
            metrics.count(table.BROKER_EVENTS, event.name)

    return count
