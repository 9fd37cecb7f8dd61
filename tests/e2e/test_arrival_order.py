"""Law 9: shuffled, duplicated, late telemetry of a fleet ends in the same scores as clean telemetry."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from reefmesh.clock import ManualClock
from reefmesh.contracts import channels
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.handler import Handler
from reefmesh.store.connect import open_store
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Store, Unit
from reefmesh_ingest import bootstrap as ingest
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry
from reefmesh_ingest.register.table import Register
from reefmesh_ingest.settings import IngestSettings
from reefmesh_scoring import bootstrap as scoring
from reefmesh_scoring.queries import day_scores, latest_scores
from reefmesh_scoring.settings import ScoringSettings
from reefmesh_standalone.simulator.arrivals import Arrival, Span, Troubles, arrivals_of
from reefmesh_standalone.simulator.devices import Device, Generation
from reefmesh_standalone.simulator.water import HeatWave, Water

BEGINS_AT = datetime(2026, 1, 1, tzinfo=UTC)
LONGITUDE_DEGREES = 114.5
SOLAR_AHEAD = timedelta(hours=LONGITUDE_DEGREES / 15)
ENDS_AT = BEGINS_AT + timedelta(days=21) - SOLAR_AHEAD  # midnight at the reef
REEF = "one-reef"
OF_THE_LAST_MESSAGE: Any = {
    "heat": {"changed"},
    "dive": {"instants", "all_instants"},
    "failed_runs": True,
    "arrivals": True,
}
"""What a score says of its own message alone. (That all messages' instants together are the same is a test of scoring's.)"""
URLS = {"REEFMESH_BROKER_URL": "embedded://", "REEFMESH_STORE_URL": "sqlite://"}

Scores = tuple[list[dict[str, Any]], dict[str, Any]]


class Stage:
    """One service's handler on its own store, one message after the other: the worker without lanes."""

    def __init__(self, blueprint: Blueprint, clock: ManualClock) -> None:
        self.blueprint = blueprint
        self.store: Store = open_store("sqlite://", migrations=blueprint.migrations, clock=clock)
        self.clock = clock
        self.sent = 0
        self.version = 0

    async def open(self) -> None:
        await self.store.open()
        parts = Parts(store=self.store, broker=None, clock=self.clock, metrics=Metrics("test"))  # type: ignore[arg-type]  # handlers publish by their outputs
        (make_handler,) = self.blueprint.handlers.values()
        self.handler: Handler[Any] = make_handler(parts)
        self.state = await self.handler.load(REEF, None)

    async def take(self, message: Envelope, channel: str) -> list[Envelope]:
        """Apply one message, commit, and return what it makes for ``channel``."""
        change = await self.handler.handle(message, self.state)
        self.state = change.state
        unit = Unit(
            reef_id=REEF,
            inbox="test",
            event_id=message.event_id,
            expected_version=self.version,
            cursor=Cursor(),
            state=self.handler.dump(change.state),
            writes=change.writes,
        )
        await self.store.commit(unit)
        self.version += 1
        outputs = []
        for output in change.outputs:
            if output.channel.name == channel:
                self.sent += 1
                outputs.append(
                    Envelope(
                        event_id=event_id_of(message.event_id, output.step),
                        reef_id=REEF,
                        schema_id=output.schema_id,
                        produced_at=self.clock.now(),
                        body=output.body,
                        seq=self.sent,
                    )
                )
        return outputs


def telemetry() -> list[Envelope]:
    """Three generations of devices on one reef, with a dead probe, a clock at 1970 and an outage with its backlog."""
    wave = HeatWave(begins_at=BEGINS_AT + timedelta(days=6), ends_at=ENDS_AT + timedelta(days=9), anomaly_celsius=1.4)
    water = Water(seed="law 9", mmm_celsius=29.5, waves=(wave,))
    plan = (
        (Generation.AGENT, "agent-1", 60, Troubles(offline=(span(3, 8),), clock_at_1970=(span(12, 13),))),
        (Generation.NEMOPI_MQTT, "867740030000001", 180, Troubles(dead_probe=(span(10, 11),), duplicate_share=0.1)),
        (Generation.NEMOPI_2021, "1000000000000002", 360, Troubles(duplicate_share=0.1)),
    )
    arrivals = []
    for generation, buoy_id, minutes, troubles in plan:
        device = Device(
            buoy_id=buoy_id,
            reef_id=REEF,
            generation=generation,
            water=water,
            latitude_degrees=-8.1,
            longitude_degrees=LONGITUDE_DEGREES,
            report_interval=timedelta(minutes=minutes),
        )
        own = arrivals_of(device, troubles, begins_at=BEGINS_AT, ends_at=ENDS_AT, seed="law 9")
        arrivals += own
        if generation is Generation.NEMOPI_MQTT:
            arrivals += copies_across_midnight(own)
    return [arrival.envelope() for arrival in sorted(arrivals, key=lambda each: each.received_at)]


def copies_across_midnight(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Copies of a report without a time of its own that reach the broker when another solar date has begun: on the first day,
    in the middle, and as the very last thing heard."""
    copies = []
    for days in (1, 10, 20, 21):
        midnight = BEGINS_AT + timedelta(days=days) - SOLAR_AHEAD
        before = max(
            (each for each in arrivals if each.received_at < midnight and not each.copy), key=lambda each: each.received_at
        )
        original = replace(before, received_at=midnight - timedelta(seconds=7), number=100_000 + days)
        copies += [original, replace(original, received_at=midnight + timedelta(seconds=9), copy=1)]
    return copies


def span(first_day: int, last_day: int) -> Span:
    return Span(begins_at=BEGINS_AT + timedelta(days=first_day), ends_at=BEGINS_AT + timedelta(days=last_day))


CLEAN = telemetry()


async def scores_of(messages: Sequence[Envelope]) -> Scores:
    """Every day's score and the reef's last score, after these messages in this order."""
    clock = ManualClock(ENDS_AT)
    first = Stage(ingest.blueprint(IngestSettings.load(environment=URLS)), clock)
    second = Stage(scoring.blueprint(ScoringSettings.load(environment=URLS)), clock)
    await first.open()
    await second.open()
    try:
        devices = dict.fromkeys(message.headers["device"] for message in CLEAN)
        await Register(first.store).upsert(
            reefs=[
                ReefEntry(id=REEF, name="One", latitude_degrees=-8.1, longitude_degrees=LONGITUDE_DEGREES, mmm_celsius=29.5)
            ],
            buoys=[BuoyEntry(id=device, reef=REEF) for device in devices],
        )
        for message in messages:
            for readings in await first.take(message, channels.READINGS.name):
                await second.take(readings, channels.SCORES.name)
        days = [day.model_dump() async for day in day_scores(second.store, REEF)]
        (score,) = await latest_scores(second.store)
        return days, score.model_dump(exclude=OF_THE_LAST_MESSAGE)
    finally:
        await first.store.close()
        await second.store.close()


@pytest.fixture(scope="module")
def expected() -> Scores:
    return asyncio.run(scores_of(CLEAN))


def test_clean_telemetry_gives_scores_worth_comparing(expected: Scores) -> None:
    """Otherwise the property below would hold of nothing."""
    days, score = expected
    assert len(days) >= 20
    assert max(day["dhw_celsius_weeks"] for day in days) > 1.0
    assert score["carbonate"]["omega_aragonite"] is not None
    assert score["dive"]["verdict"] != "unknown"
    assert len(score["buoys"]) == 3


@dataclass(frozen=True)
class Disorder:
    """Which messages come again, under new event ids; and a shuffle by seed, or a block that comes last, as it was or
    turned round."""

    twins: list[int]
    seed: int | None
    block: tuple[int, int]
    turned: bool

    def messages(self) -> list[Envelope]:
        messages = list(CLEAN)
        for number, index in enumerate(self.twins):
            messages.append(replace_id(CLEAN[index], f"{CLEAN[index].event_id}/again/{number}"))
        if self.seed is not None:
            Random(self.seed).shuffle(messages)
            return messages
        start, end = sorted(self.block)
        return messages[:start] + messages[end:] + messages[start:end][:: -1 if self.turned else 1]


PLACES = st.integers(0, len(CLEAN))
UNSHRUNK = tuple(phase for phase in Phase if phase is not Phase.shrink)  # a smaller example takes minutes and says no more
DISORDERS = st.builds(
    Disorder,
    twins=st.lists(st.integers(0, len(CLEAN) - 1), max_size=40),
    seed=st.none() | st.integers(0, 2**32),
    block=st.tuples(PLACES, PLACES),
    turned=st.booleans(),
)


def replace_id(message: Envelope, event_id: str) -> Envelope:
    return message.model_copy(update={"event_id": event_id})


@settings(max_examples=6, deadline=None, phases=UNSHRUNK, suppress_health_check=list(HealthCheck))
@example(disorder=Disorder(twins=[126], seed=510, block=(312, 289), turned=False))
@given(disorder=DISORDERS)
def test_scores_are_the_same_in_any_order_of_arrival(expected: Scores, disorder: Disorder) -> None:
    """Law 9: the score is a function of the set of telemetry, not of its arrival."""
    assert expected == asyncio.run(scores_of(disorder.messages()))


@pytest.mark.faults
@pytest.mark.timeout(3600)
@settings(max_examples=200, deadline=None, phases=UNSHRUNK, suppress_health_check=list(HealthCheck))
@given(disorder=DISORDERS)
def test_scores_are_the_same_in_hundreds_of_orders_of_arrival(expected: Scores, disorder: Disorder) -> None:
    assert expected == asyncio.run(scores_of(disorder.messages()))
