"""Mutes: what they hold back, what breaks through, and what is told at their end, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reefmesh.contracts.flags import Flag
from reefmesh.observability import table
from reefmesh_alerts import queries
from reefmesh_alerts.delivery.dispatcher import DeliveryDispatcher
from reefmesh_alerts.delivery.ledger import Ledger
from reefmesh_alerts.muting.ending import MuteEnds
from reefmesh_alerts.muting.ledger import Mutes, acknowledge, acknowledgements, open_acknowledgements
from reefmesh_alerts.muting.mute import Mute
from reefmesh_alerts.recipients.entries import Digest, RecipientEntry, SubscriptionsFile
from reefmesh_alerts.targets.entries import ConsoleEntry
from reefmesh_alerts.targets.port import Notice, SendResult, Sent

if TYPE_CHECKING:
    from services.alerts.tests.conftest import AlertsBench, Samples

HOUR = timedelta(hours=1)
PAGER = SubscriptionsFile(
    target=[ConsoleEntry(type="console", name="pager")], subscription=[RecipientEntry(name="harbour", targets=["pager"])]
)
PAPER = SubscriptionsFile(
    target=[ConsoleEntry(type="console", name="paper")],
    subscription=[RecipientEntry(name="daily", targets=["paper"], digest=Digest(at="07:00", timezone="UTC"))],
)


class Tray:
    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()

    async def send(self, notice: Notice, *, at: datetime) -> SendResult:
        self.notices.append(notice)
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        return Sent()

    async def close(self) -> None:
        """Nothing to close."""


class Muted:
    """A bench with a tray for its target, and mutes."""

    def __init__(self, bench: AlertsBench, samples: type[Samples]) -> None:
        self.bench = bench
        self.samples = samples
        self.tray = Tray()
        self.mutes = Mutes(bench.store)
        self.dispatcher = self.another_dispatcher()

    def another_dispatcher(self) -> DeliveryDispatcher:
        bench, opener = self.bench, lambda _: self.tray
        return DeliveryDispatcher(
            store=bench.store, clock=bench.clock, recipients=bench.recipients, metrics=bench.metrics, opener=opener
        )

    def ends(self) -> MuteEnds:
        bench = self.bench
        return MuteEnds(store=bench.store, clock=bench.clock, recipients=bench.recipients, metrics=bench.metrics)

    async def mute(self, kind: str = "", hours: float = 2) -> Mute:
        now = self.bench.clock.now()
        until = now + hours * HOUR
        return await self.mutes.mute(self.samples.REEF, kind, now=now, until=until, reason="diver at work", made_by="ana")

    async def dive(self, *verdicts: str) -> None:
        """Say these verdicts one after another, a minute apart, and deliver what follows."""
        for verdict in verdicts:
            self.bench.clock.advance(timedelta(minutes=1))
            now = self.bench.clock.now()
            dive = self.samples.dive(verdict, valid_until=now + 24 * HOUR)
            await self.bench.send(self.samples.score(as_of=now, dive=dive))
            await self.dispatcher.deliver_due()

    def told(self) -> list[list[tuple[str, str]]]:
        """The (kind, state) of every message so far, which is forgotten then."""
        notices, self.tray.notices = self.tray.notices, []
        return [[(alert.kind, alert.to_state) for alert in notice.alerts] for notice in notices]

    async def statuses(self) -> list[str]:
        return sorted(row.status for row in await queries.list_deliveries(self.bench.store))


@pytest.fixture(params=["sqlite://", "postgresql"])
async def open_muted(
    request: pytest.FixtureRequest, benches: Callable[..., Any], samples: type[Samples]
) -> AsyncIterator[Callable[..., Any]]:
    url = request.param if request.param != "postgresql" else request.getfixturevalue("postgresql_schema_url")
    async with AsyncExitStack() as stack:

        async def opened(file: SubscriptionsFile = PAGER) -> Muted:
            return Muted(await stack.enter_async_context(benches(file, url)), samples)

        yield opened


async def test_muted_alert_is_in_the_ledger_and_not_sent_and_its_state_is_told_once_at_the_end(
    open_muted: Callable[..., Any],
) -> None:
    muted: Muted = await open_muted()
    await muted.dive("good", "fair")
    assert [[("dive", "fair")]] == muted.told()
    mute = await muted.mute()

    await muted.dive("poor", "fair", "no_go")

    assert [] == muted.told()
    assert ["muted", "muted", "muted", "sent"] == await muted.statuses()
    assert 4 == len([alert async for alert in queries.export_alerts(muted.bench.store)])
    assert 3 == muted.bench.metrics.value(table.DELIVERIES, "pager", "muted")
    assert 3 == await queries.count_muted(muted.bench.store, mute.mute_id)
    assert 0 == await muted.ends().look_once()  # it is not over yet

    muted.bench.clock.advance(2 * HOUR)
    again = await asyncio.gather(*(muted.ends().look_once() for _ in range(3)))
    await asyncio.gather(*(muted.another_dispatcher().deliver_due() for _ in range(3)))

    assert 1 <= sum(again)
    (notice,) = muted.tray.notices
    assert notice.subject.startswith("as it stands after the mute: ")
    assert [[("dive", "no_go")]] == muted.told()
    assert ["muted", "muted", "sent", "sent"] == await muted.statuses()
    assert 0 == await muted.ends().look_once()
    await muted.dispatcher.deliver_due()
    assert [] == muted.told()


async def test_end_says_nothing_when_things_stand_as_they_were_told(open_muted: Callable[..., Any]) -> None:
    muted: Muted = await open_muted()
    await muted.dive("good", "fair")
    await muted.mute()
    await muted.dive("no_go", "fair")
    muted.told()

    muted.bench.clock.advance(2 * HOUR)

    assert 0 == await muted.ends().look_once()
    assert ["muted", "muted", "sent"] == await muted.statuses()


async def test_end_of_an_episode_that_was_told_is_told_and_one_that_came_and_went_is_not(
    open_muted: Callable[..., Any],
) -> None:
    muted: Muted = await open_muted()
    await muted.dive("good", "fair")
    muted.told()
    await muted.mute()
    await muted.dive("good")
    for volts in (10.0, 13.0, 13.0):
        muted.bench.clock.advance(timedelta(minutes=1))
        now = muted.bench.clock.now()
        buoy = muted.samples.buoy(seen=now, battery_volts=volts, facts={"battery_low_volts": 11.0})
        dive = muted.samples.dive("good", valid_until=now + 24 * HOUR)
        await muted.bench.send(muted.samples.score(as_of=now, dive=dive, buoys=[buoy]))
    await muted.dispatcher.deliver_due()

    muted.bench.clock.advance(2 * HOUR)
    await muted.ends().look_once()
    await muted.dispatcher.deliver_due()

    assert [[("dive", "good")]] == muted.told()
    assert ["muted", "muted", "sent", "sent"] == await muted.statuses()


async def test_heat_from_alert_level_1_breaks_through_a_mute_of_the_reef_and_not_one_of_heat(
    open_muted: Callable[..., Any],
) -> None:
    muted: Muted = await open_muted()
    sample = muted.samples
    await muted.bench.send(sample.score(days=[sample.day(-1, 0)]))
    await muted.mute()
    await muted.bench.send(sample.score(days=[sample.day(0, 2)]))
    await muted.dispatcher.deliver_due()
    assert [] == muted.told()

    await muted.bench.send(sample.score(days=[sample.day(1, 3)]))
    await muted.dispatcher.deliver_due()
    assert [[("heat", "Alert Level 1")]] == muted.told()

    await muted.mute("heat")
    await muted.bench.send(sample.score(days=[sample.day(2, 4)]))
    await muted.dispatcher.deliver_due()
    assert [] == muted.told()


async def test_mute_of_a_kind_leaves_the_others_and_other_reefs(open_muted: Callable[..., Any]) -> None:
    muted: Muted = await open_muted()
    sample = muted.samples
    await muted.mute("sensor_fault")
    failing = {"sea_water_temperature": sample.latest(Flag.FAIL)}
    now = muted.bench.clock.now()
    for reef in (sample.REEF, "other"):
        dive = sample.dive("good", valid_until=now + HOUR)
        await muted.bench.send(
            sample.score(reef_id=reef, dive=dive, buoys=[sample.buoy(faults={"sea_water_temperature": "x"})])
        )
        dive = sample.dive("poor", valid_until=now + HOUR)
        await muted.bench.send(sample.score(reef_id=reef, dive=dive, latest=failing, buoys=[sample.buoy()]))
    await muted.dispatcher.deliver_due()

    told = [entry for message in muted.told() for entry in message]
    assert 2 == told.count(("dive", "poor"))
    assert 1 == len(await queries.list_deliveries(muted.bench.store, status="muted"))


async def test_lifted_mute_ends_at_once(open_muted: Callable[..., Any]) -> None:
    muted: Muted = await open_muted()
    await muted.dive("good")
    mute = await muted.mute(hours=100)
    await muted.dive("poor")
    assert [mute] == await muted.mutes.in_force(muted.bench.clock.now())

    await muted.mutes.lift([mute], now=muted.bench.clock.now(), lifted_by="ben")
    await muted.ends().look_once()
    await muted.dispatcher.deliver_due()

    assert [[("dive", "poor")]] == muted.told()
    assert [] == await muted.mutes.in_force(muted.bench.clock.now())


async def test_digest_after_the_mute_has_the_state_and_not_what_flapped_during_it(open_muted: Callable[..., Any]) -> None:
    muted: Muted = await open_muted(PAPER)
    await muted.dive("good")
    await muted.mute()
    await muted.dive("poor", "good", "poor", "good", "no_go")

    muted.bench.clock.advance(2 * HOUR)
    await muted.ends().look_once()
    await muted.dive("experienced_only")
    muted.bench.clock.advance(24 * HOUR)
    await muted.dispatcher.deliver_due()

    assert [[("dive", "experienced_only")], [("dive", "no_go")]] == sorted(muted.told())
    assert 4 == (await muted.statuses()).count("muted")


async def test_end_waits_for_an_attempt_under_way(open_muted: Callable[..., Any]) -> None:
    muted: Muted = await open_muted()
    mute = await muted.mute("heat")
    ledger = Ledger(muted.bench.store)
    sample = muted.samples
    await muted.bench.send(sample.score(days=[sample.day(-1, 0)]))
    await muted.bench.send(sample.score(days=[sample.day(0, 3)]))
    taken = await ledger.take("pager", token="other", now=muted.bench.clock.now(), lease=3 * HOUR, limit=10)
    assert taken is not None

    muted.bench.clock.advance(2 * HOUR)
    await muted.ends().look_once()
    assert [mute] == list(await muted.mutes.effective())  # its end is not told yet

    await ledger.mute("other", [(each.idempotency_key, mute) for each in taken.deliveries], at=muted.bench.clock.now())
    assert 1 == await muted.ends().look_once()
    await muted.dispatcher.deliver_due()
    assert [[("heat", "Alert Level 1")]] == muted.told()


async def test_acknowledgement_names_who_and_why_and_belongs_to_the_alert(open_muted: Callable[..., Any]) -> None:
    muted: Muted = await open_muted()
    await muted.dive("good", "poor")
    (alert,) = await queries.newest_alerts(muted.bench.store)
    now = muted.bench.clock.now()

    await acknowledge(muted.bench.store, alert.alert_id, now=now, made_by="ana", note="boats are called back")

    (known,) = await acknowledgements(muted.bench.store, raised_since=now - HOUR)
    assert (alert.alert_id, now, "ana", "boats are called back") == (known.alert_id, known.made_at, known.made_by, known.note)
    assert [known] == list(await open_acknowledgements(muted.bench.store))
    assert [] == list(await acknowledgements(muted.bench.store, raised_since=now + HOUR))
    await muted.dive("good")
    assert [] == list(await open_acknowledgements(muted.bench.store))
