"""The outbox relay shows what is overdue for as long as it is, and sends it once the broker is back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from reefmesh.broker.port import Broker, BrokerUnavailable, Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts.channels import SCORES
from reefmesh.contracts.envelope import Envelope
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh.service.relay import OutboxRelay
from reefmesh.store.connect import open_store
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Unit

START = datetime(2026, 3, 1, tzinfo=UTC)


class PublishingBroker:
    """Stands for a broker that comes and goes: only its publishing is asked for."""

    def __init__(self) -> None:
        self.away = True
        self.published: list[Publication] = []

    async def publish(self, publications: Sequence[Publication]) -> None:
        if self.away:
            raise BrokerUnavailable("away")
        self.published += publications


async def test_overdue_outputs_are_shown_until_they_are_out() -> None:
    clock, metrics, broker = ManualClock(START), Metrics("scoring"), PublishingBroker()
    output = Publication(
        channel=SCORES.name, message=Envelope(event_id="o1", reef_id="a", schema_id="x/1", produced_at=START, body=b"1", seq=1)
    )
    unit = Unit(
        reef_id="a", inbox="i", event_id="e1", expected_version=0, cursor=Cursor(), state=b"", writes=(), outputs=(output,)
    )
    store = open_store("sqlite://", migrations=[], clock=clock)
    await store.open()
    relay = OutboxRelay(store=store, broker=cast(Broker, broker), metrics=metrics)
    seen = []
    try:
        await store.commit(unit)
        await relay.relay_once()
        seen.append(metrics.value(table.OUTPUTS_OVERDUE))
        clock.advance(timedelta(seconds=31))
        with pytest.raises(BrokerUnavailable):
            await relay.relay_once()
        seen.append(metrics.value(table.OUTPUTS_OVERDUE))
        broker.away = False
        await relay.relay_once()
        seen.append(metrics.value(table.OUTPUTS_OVERDUE))
    finally:
        await store.close()
    assert [0, 1, 0] == seen
    assert [output] == broker.published
    assert metrics.value(table.OUTPUTS_RESENT) == 1
