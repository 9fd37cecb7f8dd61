"""Broker events in the metrics."""

from reefmesh.broker.port import BrokerEvent
from reefmesh.contracts.channels import ALERTING, SCORING
from reefmesh.observability import table
from reefmesh.observability.broker_events import broker_event_counter
from reefmesh.observability.metrics import Metrics


def test_events_are_counted_by_name_but_not_those_of_another_subscription() -> None:
    metrics = Metrics("scoring")
    count = broker_event_counter(metrics, [SCORING])
    count(BrokerEvent(name="lost", facts={"endpoint": "broker:61613"}))
    for subscription in (SCORING, SCORING, ALERTING):
        count(BrokerEvent(name="reef_isolated", facts={"subscription": str(subscription), "reef_id": "reef-a"}))
    assert metrics.value(table.BROKER_EVENTS, "lost") == 1
    assert metrics.value(table.BROKER_EVENTS, "reef_isolated") == 2
