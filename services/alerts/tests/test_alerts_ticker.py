"""What becomes true because time passes, with several processes looking, and beside the lanes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from reefmesh.broker.port import BrokerStatistics, Publication, SubscriptionStatistics
from reefmesh.contracts.channels import ALERTING, ALERTS, Subscription
from reefmesh.contracts.envelope import Envelope
from reefmesh.store.migrations import read_migrations
from reefmesh.store.port import Unit
from reefmesh.store.sqlite import SqliteDatabase
from reefmesh_alerts import queries
from reefmesh_alerts.bootstrap import MIGRATIONS
from reefmesh_alerts.ticker import INBOX, Ticker
from reefmesh_components.worker_bench import ContestedStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from services.alerts.tests.conftest import AlertsBench, Samples

HOUR = timedelta(hours=1)
LISTENER = Subscription("listener", ALERTS)


async def ledger(bench: AlertsBench) -> list[tuple[str, str, str]]:
    return [(each.kind, each.change, each.to_state) async for each in queries.export_alerts(bench.store)]


async def deadlines(bench: AlertsBench) -> int:
    ((count,),) = await bench.store.fetch("SELECT COUNT(*) FROM deadlines")
    return int(count)


async def published_seqs(bench: AlertsBench, count: int) -> list[int | None]:
    """The numbers of the next alerts on the channel."""
    consumer = bench.broker.consumer(LISTENER, lanes=1)
    await consumer.start()
    seqs = []
    async with asyncio.timeout(60):
        for _ in range(count):
            delivery = await consumer.lanes[0].receive()
            assert delivery is not None
            seqs.append(delivery.message.seq)
            await consumer.lanes[0].settle(delivery, [])
    await consumer.close()
    return seqs


async def test_silent_buoy_and_stale_verdict_are_told_when_their_time_comes(bench: AlertsBench, samples: type[Samples]) -> None:
    await bench.broker.declare([LISTENER])
    until = samples.START + 2 * HOUR
    await bench.send(samples.score(dive=samples.dive("good", valid_until=until), buoys=[samples.buoy()]))

    assert 0 == await bench.ticker.look_once()
    bench.clock.advance(1.5 * HOUR)
    assert 1 == await bench.ticker.look_once()
    bench.clock.advance(HOUR)
    assert 1 == await bench.ticker.look_once()
    assert 0 == await bench.ticker.look_once()

    assert [("buoy_silent", "opened", "silent"), ("dive", "changed", "unknown")] == await ledger(bench)
    assert 0 == await deadlines(bench)
    assert [1, 2] == await published_seqs(bench, 2)


async def test_order_alerts_that_another_process_left_go_out_before_later_ones(
    bench: AlertsBench, samples: type[Samples]
) -> None:
    """Law 1: alerts are published in the order of their numbers, whoever decided them."""
    await bench.broker.declare([LISTENER])
    await bench.send(samples.score(buoys=[samples.buoy()]))
    row = await bench.store.load(samples.REEF)
    assert row.state is not None
    left = Envelope(event_id="left", reef_id=samples.REEF, schema_id="alert/1", produced_at=samples.START, body=b"{}", seq=1)
    await bench.store.commit(
        Unit(
            reef_id=samples.REEF,
            inbox="x",
            event_id="x",
            expected_version=row.version,
            cursor=replace(row.cursor, published={ALERTS.name: 1}),
            state=row.state,
            outputs=[Publication(channel=ALERTS.name, message=left)],
        )
    )
    bench.clock.advance(2 * HOUR)
    assert 1 == await bench.ticker.look_once()

    assert [1, 2] == await published_seqs(bench, 2)


async def test_several_processes_that_look_at_once_raise_one_alert(bench: AlertsBench, samples: type[Samples]) -> None:
    for number in range(100):
        await bench.send(samples.score(buoys=[samples.buoy()], reef_id=f"reef-{number}"))
    others = [
        Ticker(store=bench.store, broker=bench.broker, clock=bench.clock, handler=bench.handler, recipients=bench.recipients)
        for _ in range(3)
    ]
    bench.clock.advance(2 * HOUR)

    raised = await asyncio.gather(*(ticker.look_once() for ticker in others))

    assert 100 == sum(raised)
    assert 100 == len(await ledger(bench))


async def test_report_that_comes_first_moves_the_deadline_at_the_cost_of_one_empty_look(
    bench: AlertsBench, samples: type[Samples]
) -> None:
    await bench.send(samples.score(buoys=[samples.buoy()]))
    for _ in range(6):
        bench.clock.advance(HOUR / 2)
        await bench.send(samples.score(buoys=[samples.buoy(seen=bench.clock.now())]))
        assert 0 == await bench.ticker.look_once()

    assert [] == await ledger(bench)
    bench.clock.advance(1.5 * HOUR)
    assert 1 == await bench.ticker.look_once()


async def test_replay_of_old_data_is_never_called_silent(bench: AlertsBench, samples: type[Samples]) -> None:
    old = samples.START - timedelta(days=9000)
    dive = samples.dive("no_go", valid_until=old + HOUR)
    await bench.send(samples.score(as_of=old, days=[samples.day(-9000, 0)], dive=dive, buoys=[samples.buoy(seen=old)]))

    bench.clock.advance(timedelta(days=2))
    await bench.ticker.look_once()

    assert [] == await ledger(bench)


async def test_last_day_of_a_file_is_judged_an_hour_after_it_came(bench: AlertsBench, samples: type[Samples]) -> None:
    days = [samples.day(-900, 0, readings=24), samples.day(-899, 3, readings=3)]
    assert [] == await bench.send(samples.score(days=days))

    bench.clock.advance(HOUR)

    assert 1 == await bench.ticker.look_once()
    assert [("heat", "opened", "Alert Level 1")] == await ledger(bench)


async def test_reef_whose_state_cannot_be_read_does_not_keep_the_others(bench: AlertsBench, samples: type[Samples]) -> None:
    for reef_id in ("a-reef", "b-reef"):
        await bench.send(samples.score(buoys=[samples.buoy()], reef_id=reef_id))
    row = await bench.store.load("a-reef")
    assert row.state is not None
    await bench.store.commit(
        Unit(reef_id="a-reef", inbox="x", event_id="x", expected_version=row.version, cursor=row.cursor, state=b"{broken")
    )
    bench.clock.advance(2 * HOUR)

    assert 1 == await bench.ticker.look_once()
    assert ["b-reef"] == [each.reef_id for each in await queries.open_episodes(bench.store)]


async def test_contested_reef_does_not_keep_the_others_from_being_looked_at(
    benches: Callable[..., AbstractAsyncContextManager[AlertsBench]], samples: type[Samples], tmp_path: Path
) -> None:
    """Law 2: whoever writes a reef's row faster than the ticker delays the look at that reef alone."""
    path = tmp_path / "alerts.db"
    async with benches(url=f"sqlite:///{path}") as bench:
        await bench.send(samples.score(buoys=[samples.buoy()], reef_id="a-reef"))
        await bench.send(samples.score(buoys=[samples.buoy()], reef_id="b-reef"))
        sets = (read_migrations("store", "reefmesh.store"), *MIGRATIONS)
        contested = ContestedStore(
            INBOX, refusals=1, clock=bench.clock, database=SqliteDatabase(path, migrations=sets, clock=bench.clock)
        )
        await contested.open()
        ticker = Ticker(
            store=contested, broker=bench.broker, clock=bench.clock, handler=bench.handler, recipients=bench.recipients
        )
        bench.clock.advance(2 * HOUR)
        assert 1 == await ticker.look_once()
        assert 1 == await ticker.look_once()
        assert 2 == len(await ledger(bench))
        await contested.close()


class LaggingBroker:
    """A broker on which scores wait for so long."""

    def __init__(self, age_seconds: float) -> None:
        self.age_seconds = age_seconds
        self.asked = asyncio.Event()

    async def statistics(self) -> BrokerStatistics:
        self.asked.set()
        own = SubscriptionStatistics(
            waiting_messages=9, in_flight_messages=0, oldest_age_seconds=self.age_seconds, lanes=1, lanes_busy=0
        )
        return BrokerStatistics(
            connected=True, last_heard_seconds=0, publishes_in_flight=0, reconnects=0, subscriptions={ALERTING: own}
        )

    async def publish(self, publications: object) -> None:
        """Take it."""


async def test_nobody_is_called_silent_while_scores_wait_to_be_heard(bench: AlertsBench, samples: type[Samples]) -> None:
    """After a stop of three hours the backlog comes first: the buoys reported, it was we who did not listen."""
    await bench.send(samples.score(buoys=[samples.buoy()]))
    bench.clock.advance(3 * HOUR)
    broker = LaggingBroker(age_seconds=7200)
    ticker = Ticker(
        store=bench.store,
        broker=broker,  # type: ignore[arg-type]  # it has what a ticker asks of a broker
        clock=bench.clock,
        handler=bench.handler,
        recipients=bench.recipients,
        interval_seconds=0.001,
        grace_seconds=0,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(ticker.run(stop))

    for _ in range(3):
        broker.asked.clear()
        await broker.asked.wait()
    waited = await ledger(bench)
    broker.age_seconds = 1.0
    while not await ledger(bench):
        broker.asked.clear()
        await broker.asked.wait()
    stop.set()
    await running

    assert [] == waited
    assert [("buoy_silent", "opened", "silent")] == await ledger(bench)
