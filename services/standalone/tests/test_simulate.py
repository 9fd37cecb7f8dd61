"""The fleet without an end: what it says, when, and how far it came."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reefmesh.broker.connect import open_broker
from reefmesh.clock import SystemClock
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope
from reefmesh.errors import ConfigurationError
from reefmesh_standalone.commands.simulate import PLACE_FILE, SaidUntil, SimulatedFleet
from reefmesh_standalone.home import Home
from reefmesh_standalone.simulator.endless import endless_sites, said_after
from reefmesh_standalone.simulator.pace import Pace
from reefmesh_standalone.simulator.water import HeatWave, RecurringHeatWave

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
SITES = endless_sites(9, report_interval=HALF_HOUR, seed="test")


@given(since_begin=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3650)))
def test_recurring_heat_wave_at_any_time_is_the_single_wave_of_its_period(since_begin: timedelta) -> None:
    """Each wave is the first one again, a whole number of periods later."""
    every, lasts = timedelta(days=120), timedelta(days=60)
    recurring = RecurringHeatWave(first_begins_at=BEGIN, every=every, lasts=lasts, anomaly_celsius=1.0)
    number = since_begin // every
    begins_at = BEGIN + number * every
    single = HeatWave(begins_at=begins_at, ends_at=begins_at + lasts, anomaly_celsius=1.0)
    assert single.weight(BEGIN + since_begin) == pytest.approx(recurring.weight(BEGIN + since_begin))


def test_endless_fleet_when_it_speaks_is_in_order_and_of_every_generation() -> None:
    """What comes first was said first, and no event id stands for two messages."""
    said = list(islice(said_after(SITES, BEGIN), 3000))
    assert sorted(arrival.received_at for arrival in said) == [arrival.received_at for arrival in said]
    assert {site.device.generation for site in SITES} == {arrival.device.generation for arrival in said}
    assert len(said) == len({arrival.envelope().event_id for arrival in said})


@settings(max_examples=20, deadline=None)  # a day of nine buoys each
@given(after=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1)))
def test_endless_fleet_when_started_again_later_says_what_it_would_have_said(after: timedelta) -> None:
    """A simulation that goes on where it was neither leaves out a message nor says another one."""
    horizon = BEGIN + timedelta(days=1)
    whole = list(takewhile(lambda each: each.received_at < horizon, said_after(SITES, BEGIN)))
    resumed = list(takewhile(lambda each: each.received_at < horizon, said_after(SITES, BEGIN + after)))
    assert [each for each in whole if each.received_at > BEGIN + after] == resumed


@given(
    past=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=100)),
    speed=st.floats(min_value=1, max_value=100_000),
    elapsed=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10)),
    ahead=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10)),
)
def test_pace_after_the_wait_it_tells_has_reached_the_instant(
    past: timedelta, speed: float, elapsed: timedelta, ahead: timedelta
) -> None:
    """No message is sent before its time, nor waits for ever: after ``until`` simulated time is there, and never beyond now."""
    pace = Pace(started_at=BEGIN, begins_at=BEGIN - past, speed=speed)
    now = BEGIN + elapsed
    instant = pace.simulated(now) + ahead
    then = now + pace.until(instant, now)
    assert pace.simulated(then) <= then
    step = timedelta(microseconds=1 + speed)  # of simulated time, in a microsecond
    assert abs(pace.simulated(then) - instant) <= step


async def test_simulated_fleet_when_stopped_has_published_in_order_what_it_confirmed(tmp_path: Path) -> None:
    """Every message that is counted as confirmed is in the broker, and the next start goes on behind the last of them."""
    clock = SystemClock()
    broker = open_broker(f"embedded://{tmp_path}/journal.db", clock=clock)
    await broker.connect()
    await broker.declare([channels.INGEST])
    said_until = SaidUntil(Home(path=tmp_path), key="test")
    now = clock.now()
    fleet = SimulatedFleet(
        broker,
        clock=clock,
        pace=Pace(started_at=now, begins_at=now - timedelta(days=4), speed=1_000_000.0),
        said_until=said_until,
    )
    stop = asyncio.Event()
    sending = asyncio.create_task(fleet.send(said_after(SITES, now - timedelta(days=4)), stop=stop))
    consumer = broker.consumer(channels.INGEST, lanes=1)
    await consumer.start()
    (lane,) = consumer.lanes
    taken: list[Envelope] = []

    async def take(count: int) -> None:
        while len(taken) < count:
            delivery = await lane.receive()
            assert delivery is not None
            taken.append(delivery.message)
            await lane.settle(delivery, [])

    await take(500)
    stop.set()
    await sending
    await take(fleet.confirmed)
    await consumer.close()
    await broker.close()
    until = said_until.read()
    assert until is not None
    said = said_after(SITES, now - timedelta(days=4))
    expected = [each.envelope() for each in takewhile(lambda each: each.received_at <= until + timedelta.resolution, said)]
    for site in SITES:
        said_there = [each.event_id for each in expected if each.reef_id == site.reef_id]
        assert said_there == [each.event_id for each in taken if each.reef_id == site.reef_id]


def test_said_until_of_another_fleet_begins_anew(tmp_path: Path) -> None:
    """How far one fleet came says nothing of another."""
    SaidUntil(Home(path=tmp_path), key="nine").write(BEGIN)
    assert BEGIN - timedelta.resolution == SaidUntil(Home(path=tmp_path), key="nine").read()
    assert SaidUntil(Home(path=tmp_path), key="ten").read() is None


@pytest.mark.parametrize("text", ["", "[]", '{"fleet": "nine"}', '{"fleet": "nine", "until": "soon"}'])
def test_said_until_when_damaged_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    """Bad input gets one line that names the file and says what to do."""
    (tmp_path / PLACE_FILE).write_text(text)
    with pytest.raises(ConfigurationError, match="remove it"):
        SaidUntil(Home(path=tmp_path), key="nine").read()
