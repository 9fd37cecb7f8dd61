"""The service's own SQL on every database: SQLite in memory, on a file, and a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reefmesh_alerts import queries
from reefmesh_alerts.delivery.dispatcher import DeliveryDispatcher
from reefmesh_alerts.recipients.entries import Digest, RecipientEntry, SubscriptionsFile
from reefmesh_alerts.targets.entries import ConsoleEntry
from reefmesh_alerts.targets.port import Notice, SendResult, Sent
from reefmesh_alerts.ticker import Ticker

if TYPE_CHECKING:
    from services.alerts.tests.conftest import AlertsBench, Samples

FILE = SubscriptionsFile(
    target=[ConsoleEntry(type="console", name="pager", concurrency=3), ConsoleEntry(type="console", name="paper")],
    subscription=[
        RecipientEntry(name="at-once", targets=["pager"], minimum={"heat": 2}),
        RecipientEntry(name="daily", targets=["paper"], digest=Digest(at="07:00", timezone="UTC")),
    ],
)


class Tray:
    def __init__(self) -> None:
        self.notices: list[Notice] = []

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:
        self.notices.append(notice)
        return Sent()

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture(params=["sqlite-memory", "sqlite-file", "postgresql"])
async def any_bench(request: pytest.FixtureRequest, tmp_path: Path, benches: Callable[..., Any]) -> AsyncIterator[AlertsBench]:
    match request.param:
        case "sqlite-memory":
            url = "sqlite://"
        case "sqlite-file":
            url = f"sqlite:///{tmp_path}/alerts.db"
        case _:
            url = request.getfixturevalue("postgresql_schema_url")
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(benches(FILE, url))


async def test_alerts_from_score_to_people(any_bench: AlertsBench, samples: type[Samples]) -> None:
    bench, tray = any_bench, Tray()
    for number in range(20):
        reef_id = f"reef-{number:02}"
        await bench.send(samples.score(days=[samples.day(-1, 0), samples.day(0, 3)], reef_id=reef_id, buoys=[samples.buoy()]))
    await bench.send(samples.score(days=[samples.day(1, 1)], reef_id="reef-00"))
    await bench.send(samples.score(days=[samples.day(1, 0)], reef_id="reef-01"))

    def dispatcher() -> DeliveryDispatcher:
        return DeliveryDispatcher(
            store=bench.store,
            clock=bench.clock,
            recipients=bench.recipients,
            metrics=bench.metrics,
            opener=lambda _: tray,
        )

    def ticker() -> Ticker:
        return Ticker(
            store=bench.store, broker=bench.broker, clock=bench.clock, handler=bench.handler, recipients=bench.recipients
        )

    await asyncio.gather(*(dispatcher().deliver_due() for _ in range(3)))
    await dispatcher().deliver_due()
    at_once = [notice.idempotency_key for notice in tray.notices]
    bench.clock.advance(timedelta(hours=2))
    raised = await asyncio.gather(*(ticker().look_once() for _ in range(3)))
    bench.clock.set(samples.START + timedelta(hours=19))
    await asyncio.gather(*(dispatcher().deliver_due() for _ in range(3)))
    await dispatcher().deliver_due()
    digests = [notice for notice in tray.notices if notice.digest]

    assert 22 == len(at_once) == len(set(at_once))
    assert 20 == sum(raised)
    assert 42 == sum(len(notice.alerts) for notice in digests)
    assert {"pager": {"sent": 42}, "paper": {"sent": 42}} == await queries.count_deliveries(bench.store)
    exported = [alert async for alert in queries.export_alerts(bench.store)]
    assert 42 == len(exported)
    assert exported == sorted(exported, key=lambda alert: (alert.reef_id, alert.occurred_at, alert.alert_id))
    episodes = {(each.reef_id, each.kind): each for each in await queries.open_episodes(bench.store)}
    assert 39 == len(episodes)
    assert ("Bleaching Watch", samples.START.date()) == (
        episodes["reef-00", "heat"].state,
        episodes["reef-00", "heat"].since.date(),
    )
    assert exported[0] in await queries.newest_alerts(bench.store, limit=100)
    assert 1 == len(await queries.list_deliveries(bench.store, alert_id=exported[0].alert_id, limit=1))


async def test_what_nobody_takes_expires_once(any_bench: AlertsBench, samples: type[Samples]) -> None:
    bench = any_bench
    await bench.send(samples.score(days=[samples.day(-1, 0), samples.day(0, 3)]))
    bench.clock.advance(timedelta(days=9))
    dispatcher = DeliveryDispatcher(
        store=bench.store,
        clock=bench.clock,
        recipients=bench.recipients,
        metrics=bench.metrics,
        opener=lambda _: Tray(),
    )

    await dispatcher.deliver_due()
    await dispatcher.deliver_due()

    assert {"pager": {"expired": 1}, "paper": {"expired": 1}} == await queries.count_deliveries(bench.store)
    assert 2 == len(await queries.list_deliveries(bench.store, status="expired"))
