"""The service as it is assembled for production, on a broker and a database on disk, with lanes and deadlines side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker, Publication
from reefmesh.clock import ManualClock
from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.channels import ALERTING, ALERTS, SCORES, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import SCORES_2
from reefmesh.contracts.scores import ReefScore
from reefmesh.service.assembly import Assembled, assemble
from reefmesh_alerts import queries
from reefmesh_alerts.bootstrap import blueprint
from reefmesh_alerts.settings import AlertsSettings

if TYPE_CHECKING:
    from services.alerts.tests.conftest import Samples

LISTENER = Subscription("listener", ALERTS)


def settings(folder: Path) -> AlertsSettings:
    return AlertsSettings(
        broker_url="embedded://",
        store_url=f"sqlite:///{folder}/alerts.db",
        lanes=4,
        tick_seconds=0.01,
        tick_grace_seconds=0,
        delivery_poll_seconds=0.01,
    )


@asynccontextmanager
async def running(folder: Path, broker: Broker, clock: ManualClock) -> AsyncIterator[Assembled]:
    chosen = settings(folder)
    async with assemble(blueprint(chosen), chosen, broker=broker, clock=clock) as assembled:
        stop = asyncio.Event()
        task = asyncio.create_task(assembled.service.run(stop))
        yield assembled
        stop.set()
        assert await task  # a clean drain


def publication(score: ReefScore, seq: int, clock: ManualClock) -> Publication:
    message = Envelope(
        event_id=f"{score.reef_id}-{seq}",
        reef_id=score.reef_id,
        schema_id=SCORES_2,
        produced_at=clock.now(),
        seq=seq,
        body=score.model_dump_json().encode(),
    )
    return Publication(channel=SCORES.name, message=message)


async def receive(broker: Broker, count: int) -> list[Alert]:
    """Listen on ``reef.alerts`` until so many alerts have come; each reef's in the order of their numbers."""
    consumer = broker.consumer(LISTENER, lanes=1)
    await consumer.start()
    alerts: list[Alert] = []
    last: dict[str, int] = {}
    while len(alerts) < count:
        delivery = await consumer.lanes[0].receive()
        assert delivery is not None
        message = delivery.message
        assert message.seq is not None
        alerts.append(Alert.model_validate_json(message.body))
        assert last.get(message.reef_id, 0) < message.seq
        last[message.reef_id] = message.seq
        await consumer.lanes[0].settle(delivery, [])
    await consumer.close()
    return alerts


async def test_lanes_and_deadlines_work_side_by_side_and_every_alert_comes_once(tmp_path: Path, samples: type[Samples]) -> None:
    clock = ManualClock(samples.START)
    broker = open_broker("embedded://", clock=clock)
    await broker.connect()
    await broker.declare([ALERTING, LISTENER])
    reefs = [f"reef-{number}" for number in range(10)]
    async with running(tmp_path, broker, clock) as assembled:
        quiet = [samples.score(reef_id=reef, days=[samples.day(-1, 0)], buoys=[samples.buoy()]) for reef in reefs]
        await broker.publish([publication(score, 1, clock) for score in quiet])
        while (await broker.statistics()).subscriptions[ALERTING].waiting_messages:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        clock.advance(timedelta(hours=2))  # from here on the deadlines' look and the lanes are after the same reefs
        hot = [samples.score(reef_id=reef, days=[samples.day(0, 3)]) for reef in reefs]
        await broker.publish([publication(score, 2, clock) for score in hot])

        alerts = await asyncio.wait_for(receive(broker, 20), timeout=60)

        ledger = [alert async for alert in queries.export_alerts(assembled.store)]
    await broker.close()

    assert {"heat", "buoy_silent"} == {alert.kind for alert in alerts}
    assert 20 == len({alert.alert_id for alert in alerts})
    assert sorted(alerts, key=lambda alert: alert.alert_id) == sorted(ledger, key=lambda alert: alert.alert_id)


async def test_alert_is_told_on_the_console_when_no_file_says_more(tmp_path: Path, samples: type[Samples]) -> None:
    clock = ManualClock(samples.START)
    broker = open_broker("embedded://", clock=clock)
    await broker.connect()
    await broker.declare([ALERTING])
    async with running(tmp_path, broker, clock) as assembled:
        score = samples.score(days=[samples.day(-1, 0), samples.day(0, 3)])
        await broker.publish([publication(score, 1, clock)])

        async with asyncio.timeout(60):
            while await queries.count_deliveries(assembled.store) != {"console": {"sent": 1}}:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
    await broker.close()
