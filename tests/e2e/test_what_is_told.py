"""What people are told of the same readings, however they arrive: scoring and alerts behind each other, message by message."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reefmesh.clock import ManualClock
from reefmesh.contracts.alerts import READERS, Alert
from reefmesh.contracts.channels import ALERTS, SCORES
from reefmesh.contracts.envelope import Envelope, event_id_of
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.quantities import PH_TOTAL_SCALE, SEA_WATER_SPEED, SEA_WATER_TEMPERATURE, VISIBILITY
from reefmesh.contracts.readings import ChannelReading, DeviceStatus, Reading, Readings, ignored_key
from reefmesh.contracts.register import BuoyFacts, ReefFacts
from reefmesh.contracts.schema import ALERT_1, ALERT_2, READINGS_1
from reefmesh.observability.metrics import Metrics
from reefmesh.service.assembly import Parts
from reefmesh.service.handler import Handler
from reefmesh.store.connect import open_store
from reefmesh.store.cursor import Cursor
from reefmesh.store.port import Store, Unit
from reefmesh_alerts.domain.reef_watch import look_at_deadlines
from reefmesh_alerts.handler import AlertsHandler
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.recording import record
from reefmesh_alerts.texts.letter import describe
from reefmesh_scoring import bootstrap as scoring
from reefmesh_scoring.settings import ScoringSettings

START = datetime(2026, 3, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
REEF = ReefFacts(reef_id="amed", name="Amed", latitude_degrees=-8.33, longitude_degrees=115.64, mmm_celsius=29.0)
URLS = {
    "REEFMESH_BROKER_URL": "embedded://",
    "REEFMESH_STORE_URL": "sqlite://",
    "REEFMESH_SCORING_SCORES_SCHEMA": "scores/2",
}

QUIET: dict[str, Any] = {"max_examples": 60, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


Value = float | tuple[float | None, Flag] | None


def reading(at: datetime, *, buoy: str = "b1", received_at: datetime | None = None, values: Mapping[str, Value]) -> Reading:
    """A reading; a value passes, or is a pair of value and flag."""
    channels = {}
    for name, each in values.items():
        value, judged = each if isinstance(each, tuple) else (each, Flag.PASS)
        channels[name] = ChannelReading(value=value, raw=value, flag=Flag.MISSING if value is None else judged)
    return Reading(buoy_id=buoy, observed_at=at, received_at=received_at or at, channels=channels)


class Line:
    """Scoring's handler on its own store, and alerts' handler behind it; ``alerts`` is all that was told."""

    def __init__(self, store: Store, interval: timedelta, buoys: Sequence[str]) -> None:
        self.store = store
        self.clock = ManualClock(START)
        self.facts = [BuoyFacts(buoy_id=each, report_interval_seconds=int(interval.total_seconds())) for each in buoys]
        self.recipients = Recipients(None)
        self.told = AlertsHandler(clock=self.clock, recipients=self.recipients)
        self.alerts: list[Alert] = []
        self.versions = 0
        self.scores = 0

    async def open(self) -> None:
        blueprint = scoring.blueprint(ScoringSettings.load(environment=URLS))
        parts = Parts(store=self.store, broker=None, clock=self.clock, metrics=Metrics("test"))  # type: ignore[arg-type]  # handlers publish by their outputs
        (make_handler,) = blueprint.handlers.values()
        self.scored: Handler[Any] = make_handler(parts)
        self.state = await self.scored.load(REEF.reef_id, None)
        self.watch = await self.told.load(REEF.reef_id, None)

    async def send(self, readings: Sequence[Reading], *, now: datetime) -> list[Alert]:
        """Handle one message of readings at ``now``; return what was told."""
        self.clock.set(now)
        body = Readings(reef=REEF, buoys=self.facts, readings=list(readings)).model_dump_json().encode()
        self.versions += 1
        message = Envelope(
            event_id=f"readings-{self.versions}",
            reef_id=REEF.reef_id,
            schema_id=READINGS_1,
            produced_at=now,
            seq=self.versions,
            body=body,
        )
        change = await self.scored.handle(message, self.state)
        self.state = change.state
        state = self.scored.dump(self.state)
        await self.store.commit(
            Unit(
                reef_id=REEF.reef_id,
                inbox="test",
                event_id=message.event_id,
                expected_version=self.versions - 1,
                cursor=Cursor(),
                state=state,
                writes=change.writes,
            )
        )
        before = len(self.alerts)
        for output in change.outputs:
            assert output.channel is SCORES
            self.scores += 1
            score = Envelope(
                event_id=event_id_of(message.event_id, output.step),
                reef_id=REEF.reef_id,
                schema_id=output.schema_id,
                produced_at=now,
                seq=self.scores,
                body=output.body,
            )
            judged = await self.told.handle(score, self.watch)
            self.watch = await self.told.load(REEF.reef_id, self.told.dump(judged.state))
            for each in judged.outputs:
                assert each.channel is ALERTS
                READERS[each.schema_id].validate_json(each.body)
                alert = Alert.model_validate_json(each.body)
                assert each.schema_id == (ALERT_2 if alert.kind == "quantity_silent" else ALERT_1)
                self.alerts.append(alert)
        return self.alerts[before:]

    def tick(self, now: datetime) -> list[Alert]:
        """Look at the deadlines, as the ticker does."""
        watch, transitions = look_at_deadlines(self.watch, now=now)
        self.watch, _, outputs = record(REEF.reef_id, watch, transitions, raised_at=now, recipients=self.recipients.entries)
        told = [Alert.model_validate_json(output.body) for output in outputs]
        self.alerts += told
        return told

    def of(self, kind: str) -> list[tuple[str, str, str, datetime]]:
        return [(each.subject, each.change, each.to_state, each.occurred_at) for each in self.alerts if each.kind == kind]


@asynccontextmanager
async def open_line(interval: timedelta = HALF_HOUR, buoys: Sequence[str] = ("b1",)) -> AsyncIterator[Line]:
    blueprint = scoring.blueprint(ScoringSettings.load(environment=URLS))
    store = open_store("sqlite://", migrations=blueprint.migrations)
    await store.open()
    try:
        line = Line(store, interval, buoys)
        await line.open()
        yield line
    finally:
        await store.close()


def cut(readings: Sequence[Reading], sizes: Iterable[int]) -> list[Sequence[Reading]]:
    messages, start = [], 0
    for size in sizes:
        messages.append(readings[start : start + size])
        start += size
        if start >= len(readings):
            break
    else:
        messages.append(readings[start:])
    return [message for message in messages if message]


# --- dive


async def test_field_08_current_that_alternates_around_a_limit_raises_at_most_one_alert() -> None:
    """FIELD 8: 0.25 and 0.26 m/s in turns for five hours, visibility 12 m."""
    async with open_line() as line:
        for step in range(600):
            at = START + step * HALF_HOUR / 60
            await line.send([reading(at, values={SEA_WATER_SPEED: 0.25 + step % 2 / 100, VISIBILITY: 12.0})], now=at)
        assert len(line.of("dive")) <= 1


@pytest.mark.parametrize(
    ("knots", "expected"),
    [
        # worse beyond the margin of 0.5 kn: at once; better: once it holds
        ([0.2, 0.2, 0.6, 0.2, 0.2], [(2, "worsened", "fair"), (4, "eased", "good")]),
        # worse within the margin: once it holds
        ([0.2, 0.2, 0.52, 0.2, 0.52, 0.52, 0.2], [(5, "worsened", "fair")]),
        # a single report between good ones is told at once and ends when good holds
        ([0.2, 0.2, 2.5, 0.2, 2.5, 0.2, 0.2], [(2, "worsened", "no_go"), (6, "eased", "good")]),
        # what holds of two better ones is the worse of them
        ([2.5, 0.8, 0.2, 0.2], [(0, "changed", "no_go"), (2, "eased", "fair"), (3, "eased", "good")]),
    ],
)
async def test_field_08_dive_verdict_is_told_beyond_its_margin_or_when_it_holds(
    knots: list[float], expected: list[tuple[int, str, str]]
) -> None:
    async with open_line() as line:
        for step, each in enumerate(knots):
            at = START + step * HALF_HOUR
            await line.send([reading(at, values={SEA_WATER_SPEED: each * 0.514444, VISIBILITY: 20.0})], now=at)
        told = [((at - START) // HALF_HOUR, change, state) for _, change, state, at in line.of("dive")]
        assert told == expected


async def test_field_08_reason_has_the_digits_that_explain_the_verdict() -> None:
    async with open_line() as line:
        for step, speed in enumerate((0.2, 0.2, 0.26, 0.26, 0.256, 0.256)):
            at = START + step * HALF_HOUR
            await line.send([reading(at, values={SEA_WATER_SPEED: speed, VISIBILITY: 20.0})], now=at)
        assert [alert.summary for alert in line.alerts] == [
            "Diving fair at Amed, was good: current 0.51 kn (0.26 m/s): above 0.5 kn",
            "Diving good at Amed, was fair: current 0.498 kn (0.256 m/s): at most 0.5 kn; visibility 20.0 m: at least 10 m",
        ]


async def test_late_value_that_changes_what_holds_is_told_once_at_its_instant() -> None:
    """0.55 kn is fair within the margin, and held at two instants only when the reading between came."""
    async with open_line() as line:
        late: list[Reading] = []
        for step, knots in enumerate((0.2, 0.2, 0.53, 0.53)):
            at = START + step * HALF_HOUR
            one = reading(at, values={SEA_WATER_SPEED: knots * 0.514444, VISIBILITY: 20.0})
            if step == 2:
                late.append(one)
            else:
                await line.send([one], now=at)
        assert line.of("dive") == []
        await line.send(late, now=START + 3 * HALF_HOUR)
        assert line.of("dive") == [("", "worsened", "fair", START + 3 * HALF_HOUR)]


KNOTS = st.sampled_from([0.2, 0.46, 0.49, 0.51, 0.54, 0.6, 0.95, 1.05, 1.5, 2.5])
METRES = st.sampled_from([2.0, 2.9, 3.1, 4.8, 5.2, 9.5, 10.5, 20.0])
WATER = st.lists(st.tuples(KNOTS, METRES, st.sampled_from(["b1", "b2"])), min_size=1, max_size=12)


def water(values: list[tuple[float, float, str]]) -> list[Reading]:
    return [
        reading(START + step * HALF_HOUR, buoy=buoy, values={SEA_WATER_SPEED: knots * 0.514444, VISIBILITY: metres})
        for step, (knots, metres, buoy) in enumerate(values)
    ]


@settings(**QUIET)
@given(values=WATER, sizes=st.lists(st.integers(1, 6), max_size=12))
async def test_any_cutting_into_messages_tells_the_same_of_dives(
    values: list[tuple[float, float, str]], sizes: list[int]
) -> None:
    """Kind, subject, change and event time, however the readings of six hours were cut; the reports are hours apart by their
    schedule, so none is too old."""
    readings = water(values)
    now = readings[-1].observed_at
    told = []
    for messages in ([[each] for each in readings], cut(readings, sizes)):
        async with open_line(timedelta(hours=12), ("b1", "b2")) as line:
            for message in messages:
                await line.send(message, now=now)
            told.append([(each.alert_id, each.kind, each.change, each.to_state, each.occurred_at) for each in line.alerts])
    assert told[0] == told[1]


@settings(**QUIET)
@given(values=WATER, seed=st.integers(0, 2**32), size=st.integers(1, 4))
async def test_order_of_arrival_makes_no_difference_to_what_is_told_of_dives_in_the_end(
    values: list[tuple[float, float, str]], seed: int, size: int
) -> None:
    readings = water(values)
    now = readings[-1].observed_at
    shuffled = Random(seed).sample(readings, len(readings))
    ends = []
    for arriving in (readings, shuffled):
        async with open_line(timedelta(hours=12), ("b1", "b2")) as line:
            for start in range(0, len(arriving), size):
                await line.send(sorted(arriving[start : start + size], key=lambda each: each.observed_at), now=now)
            ends.append((line.watch.dive.verdict, line.watch.dive.factors))
    assert ends[0] == ends[1]


@settings(**QUIET)
@given(values=WATER, last=st.tuples(KNOTS, METRES))
async def test_no_margin_hides_a_dive_verdict_that_holds_at_two_instants(
    values: list[tuple[float, float, str]], last: tuple[float, float]
) -> None:
    async with open_line(timedelta(hours=12), ("b1", "b2")) as line:
        for one in water([*values, (*last, "b1"), (*last, "b1")]):
            await line.send([one], now=one.observed_at)
        body = await line.store.fetch("SELECT body FROM scores")
        verdict = read_score(body[0][0])["dive"]["verdict"]
        assert line.watch.dive.verdict == verdict


@settings(**QUIET)
@given(values=WATER)
async def test_dive_verdict_never_eases_within_its_dwell_time(values: list[tuple[float, float, str]]) -> None:
    """What worsened is told as eased two instants later at the earliest."""
    async with open_line(timedelta(hours=12), ("b1", "b2")) as line:
        for one in water(values):
            await line.send([one], now=one.observed_at)
        for before, after in pairwise(each for each in line.alerts if each.kind == "dive"):
            if before.change == "worsened" and after.change == "eased":
                assert after.occurred_at - before.occurred_at >= 2 * HALF_HOUR


def read_score(body: Any) -> dict[str, Any]:
    score: dict[str, Any] = json.loads(body)
    return score


# --- sensor faults


def stuck(*, fails_from: int, count: int) -> list[Reading]:
    """A probe that is stuck, every 20 minutes; quality control fails its values from a day on."""
    return [
        reading(
            START + step * timedelta(minutes=20),
            values={SEA_WATER_TEMPERATURE: (28.6, Flag.FAIL if step >= fails_from else Flag.PASS), PH_TOTAL_SCALE: 8.1},
        )
        for step in range(count)
    ]


@pytest.mark.parametrize("size", [1, 48, 144])
@pytest.mark.parametrize("second_buoy", [False, True])
async def test_field_06_failing_values_are_a_fault_at_the_third_however_they_were_cut(size: int, second_buoy: bool) -> None:
    """FIELD 6: a probe stuck for 48 h in 144 readings: one a message, 48 a message, all in one; and beside a second buoy of the
    reef with newer values."""
    readings = stuck(fails_from=72, count=144)
    async with open_line(timedelta(minutes=20), ("b1", "b2")) as line:
        now = readings[-1].observed_at + HALF_HOUR
        if second_buoy:
            await line.send([reading(now, buoy="b2", values={SEA_WATER_TEMPERATURE: 29.0})], now=now)
        for start in range(0, len(readings), size):
            await line.send(readings[start : start + size], now=now)
        at = readings[74].observed_at
        assert line.of("sensor_fault") == [(f"b1/{SEA_WATER_TEMPERATURE}", "opened", "faulty", at)]


async def test_field_06_run_that_began_and_ended_in_one_message_is_told_as_opened_and_closed() -> None:
    readings = [
        reading(START + step * HALF_HOUR, values={SEA_WATER_TEMPERATURE: (28.6, Flag.FAIL if 3 <= step < 8 else Flag.PASS)})
        for step in range(20)
    ]
    async with open_line() as line:
        await line.send(readings, now=readings[-1].observed_at)
        subject = f"b1/{SEA_WATER_TEMPERATURE}"
        assert line.of("sensor_fault") == [
            (subject, "opened", "faulty", readings[5].observed_at),
            (subject, "closed", "working", readings[9].observed_at),
        ]


FLAGS = st.lists(st.sampled_from([Flag.PASS, Flag.NOT_EVALUATED, Flag.SUSPECT, *[Flag.FAIL] * 4, Flag.MISSING]), max_size=40)


@settings(**QUIET)
@given(flags=FLAGS, sizes=st.lists(st.integers(1, 12), max_size=40))
async def test_any_cutting_into_messages_tells_the_same_of_sensor_faults(flags: list[Flag], sizes: list[int]) -> None:
    readings = [
        reading(
            START + step * HALF_HOUR,
            values={SEA_WATER_TEMPERATURE: (None if flag is Flag.MISSING else 28.6, flag), PH_TOTAL_SCALE: 8.1},
        )
        for step, flag in enumerate(flags)
    ]
    told = []
    for messages in ([[each] for each in readings], cut(readings, sizes)):
        async with open_line() as line:
            for message in messages:
                await line.send(message, now=START + timedelta(days=9))
            told.append([(each.alert_id, each.change, each.occurred_at) for each in line.alerts if each.kind == "sensor_fault"])
    assert told[0] == told[1]
    for (_, opened, began_at), (_, closed, ended_at) in pairwise(told[0]):
        assert opened != closed
        assert ended_at > began_at


# --- a quantity that stops


async def test_field_07_quantity_that_stops_while_its_buoy_reports_is_silent() -> None:
    """FIELD 7: temperature stops two days ago, pH goes on every 30 minutes."""
    async with open_line() as line:
        for step in range(48 * 3):
            at = START + step * HALF_HOUR
            values = {PH_TOTAL_SCALE: 8.1} | ({SEA_WATER_TEMPERATURE: 28.6} if step < 48 else {})
            await line.send([reading(at, values=values)], now=at)
        last_value_at = START + 47 * HALF_HOUR
        subject = f"b1/{SEA_WATER_TEMPERATURE}"
        assert line.of("quantity_silent") == [(subject, "opened", "silent", last_value_at + timedelta(hours=6))]
        assert line.alerts[-1].evidence["missing"] == "heat stress of later days is not known"
        back_at = START + 200 * HALF_HOUR
        await line.send([reading(back_at, values={PH_TOTAL_SCALE: 8.1, SEA_WATER_TEMPERATURE: 28.6})], now=back_at)
        assert line.of("quantity_silent")[1:] == [(subject, "closed", "reporting", back_at)]


async def test_field_07_quantity_without_a_value_is_silent_though_it_is_named_in_each_report() -> None:
    async with open_line() as line:
        for step in range(48):
            at = START + step * HALF_HOUR
            await line.send(
                [reading(at, values={PH_TOTAL_SCALE: 8.1, SEA_WATER_TEMPERATURE: 28.6 if step < 5 else None})], now=at
            )
        ((subject, change, _, at),) = line.of("quantity_silent")
        assert (subject, change, at) == (f"b1/{SEA_WATER_TEMPERATURE}", "opened", START + 4 * HALF_HOUR + timedelta(hours=6))


@pytest.mark.parametrize("every", [2, 7, 48])
async def test_quantity_that_is_measured_seldom_is_not_silent(every: int) -> None:
    """A nutrient sensor may measure once a day."""
    async with open_line() as line:
        for step in range(48 * 8):
            at = START + step * HALF_HOUR
            await line.send(
                [reading(at, values={PH_TOTAL_SCALE: 8.1} | ({VISIBILITY: 9.0} if step % every == 0 else {}))], now=at
            )
        assert line.of("quantity_silent") == []


async def test_quantity_that_never_had_a_value_or_only_one_is_not_watched() -> None:
    async with open_line() as line:
        for step in range(48 * 3):
            at = START + step * HALF_HOUR
            await line.send(
                [reading(at, values={PH_TOTAL_SCALE: 8.1, VISIBILITY: 9.0 if step == 3 else None, "turbidity": None})], now=at
            )
        assert line.of("quantity_silent") == []


async def test_silent_buoy_has_no_silent_quantities_and_its_first_reports_again_are_given_time() -> None:
    async with open_line() as line:
        for step in range(10):
            at = START + step * HALF_HOUR
            await line.send([reading(at, values={PH_TOTAL_SCALE: 8.1, SEA_WATER_TEMPERATURE: 28.6})], now=at)
        line.tick(START + timedelta(days=3))
        back_at = START + timedelta(days=3)
        for step in range(6):
            at = back_at + step * HALF_HOUR
            await line.send(
                [reading(at, values={PH_TOTAL_SCALE: 8.1} | ({SEA_WATER_TEMPERATURE: 28.6} if step == 5 else {}))], now=at
            )
        assert [change for _, change, _, _ in line.of("buoy_silent")] == ["opened", "closed"]
        assert line.of("quantity_silent") == []


async def test_quantity_that_was_dropped_on_purpose_is_told_once_and_ends_after_a_month() -> None:
    interval = timedelta(hours=3)
    async with open_line(interval) as line:
        for step in range(8 * 40):
            at = START + step * interval
            values = {PH_TOTAL_SCALE: 8.1} | ({SEA_WATER_TEMPERATURE: 28.6} if step < 4 else {})
            await line.send([reading(at, values=values)], now=at)
        assert [(change, state) for _, change, state, _ in line.of("quantity_silent")] == [
            ("opened", "silent"),
            ("closed", "dropped"),
        ]


def ignoring(quantity: str, one: Reading) -> Reading:
    """The reading as ingest publishes it once the register ignores the sensor of a quantity."""
    channels = {name: each for name, each in one.channels.items() if name != quantity}
    status = DeviceStatus(report="data", detail={"KIT0021": "28.6 C", ignored_key(quantity): "KIT0021"})
    return one.model_copy(update={"channels": channels, "status": status})


@pytest.mark.parametrize("silent_for", [0, 20])
async def test_quantity_that_the_register_ignores_is_told_once_as_what_it_is(silent_for: int) -> None:
    """Neither as a silence, nor after a month as one that was dropped; a silence that stood ends with it."""
    interval = timedelta(hours=3)
    async with open_line(interval) as line:
        for step in range(8 * 40):
            at = START + step * interval
            one = reading(at, values={PH_TOTAL_SCALE: 8.1} | ({SEA_WATER_TEMPERATURE: 28.6} if step < 4 else {}))
            await line.send([ignoring(SEA_WATER_TEMPERATURE, one) if step >= 4 + silent_for else one], now=at)
        *before, (_, *told) = line.of("quantity_silent")
        assert [(change, state) for _, change, state, _ in before] == ([("opened", "silent")] if silent_for else [])
        assert told == ["closed", "dropped", START + (4 + silent_for) * interval]
        assert line.alerts[-1].from_state == ("silent" if silent_for else "reporting")
        assert "No longer used: sea water temperature of buoy b1" in line.alerts[-1].summary
        assert "ignored by the register" in line.alerts[-1].summary


async def test_quantity_that_the_register_gives_back_is_watched_again() -> None:
    async with open_line() as line:
        for step in range(60):
            at = START + step * HALF_HOUR
            one = reading(at, values={PH_TOTAL_SCALE: 8.1} | ({SEA_WATER_TEMPERATURE: 28.6} if step < 30 else {}))
            await line.send([ignoring(SEA_WATER_TEMPERATURE, one) if 10 <= step < 20 else one], now=at)
        assert [(change, state) for _, change, state, _ in line.of("quantity_silent")] == [
            ("closed", "dropped"),
            ("opened", "silent"),
        ]


async def test_late_value_from_before_changes_nothing_of_a_quantity_that_is_ignored() -> None:
    async with open_line() as line:
        steps = [0, 1, 2, 4, 5, 3, 6]
        for place, step in enumerate(steps):
            one = reading(START + step * HALF_HOUR, values={PH_TOTAL_SCALE: 8.1, SEA_WATER_TEMPERATURE: 28.6})
            now = START + max(steps[: place + 1]) * HALF_HOUR
            await line.send([ignoring(SEA_WATER_TEMPERATURE, one) if step >= 4 else one], now=now)
        assert [(change, state) for _, change, state, _ in line.of("quantity_silent")] == [("closed", "dropped")]


async def test_fault_of_a_sensor_ends_when_the_register_ignores_it_and_that_is_told_once() -> None:
    async with open_line() as line:
        for step in range(40):
            at = START + step * HALF_HOUR
            judged = (40.0, Flag.FAIL) if step >= 5 else 28.6
            one = reading(at, values={PH_TOTAL_SCALE: 8.1, SEA_WATER_TEMPERATURE: judged})
            await line.send([ignoring(SEA_WATER_TEMPERATURE, one) if step >= 12 else one], now=at)
        assert [(each.kind, each.change, each.to_state) for each in line.alerts] == [
            ("sensor_fault", "opened", "faulty"),
            ("sensor_fault", "closed", "dropped"),
        ]
        assert "No longer used: sea water temperature of buoy b1" in line.alerts[-1].summary
        told = describe(line.alerts[-1])
        assert "The register ignores this sensor" in told
        assert "by the register, which an operator keeps" in told


async def test_sensor_that_is_known_to_be_faulty_is_not_silent_too() -> None:
    async with open_line() as line:
        for step in range(48):
            at = START + step * HALF_HOUR
            one = reading(at, values={PH_TOTAL_SCALE: 8.1, SEA_WATER_TEMPERATURE: 28.6 if step < 4 else None})
            if step >= 4:
                broken = one.channels[SEA_WATER_TEMPERATURE].model_copy(update={"fault": "Sensor not found"})
                one = one.model_copy(update={"channels": {**one.channels, SEA_WATER_TEMPERATURE: broken}})
            await line.send([one], now=at)
        assert [(alert.kind, alert.change) for alert in line.alerts] == [("sensor_fault", "opened")]


async def test_old_data_raise_no_silence_of_a_quantity() -> None:
    async with open_line() as line:
        for step in range(48):
            at = START + step * HALF_HOUR
            values = {PH_TOTAL_SCALE: 8.1} | ({SEA_WATER_TEMPERATURE: 28.6} if step < 4 else {})
            await line.send([reading(at, values=values)], now=START + timedelta(days=300))
        assert line.of("quantity_silent") == []


# --- batches


def batch(until: datetime, *, hours: float = 3.0) -> list[Reading]:
    """The readings of a buoy that measures every half hour and transmits now."""
    count = int(hours * 2)
    return [
        reading(until - step * HALF_HOUR, received_at=until, values={SEA_WATER_TEMPERATURE: 28.6})
        for step in range(count - 1, -1, -1)
    ]


@pytest.mark.parametrize("size", [1, 2, 6])
async def test_field_20_reports_that_arrive_in_batches_are_no_silence(size: int) -> None:
    """FIELD 20: reports every 30 min that arrive in batches of 3 h, in one message or in several."""
    async with open_line() as line:
        for number in range(1, 30):
            now = START + number * timedelta(hours=3)
            line.tick(now)
            readings = batch(now)
            for start in range(0, len(readings), size):
                await line.send(readings[start : start + size], now=now)
        assert line.of("buoy_silent") == []
        line.tick(now + timedelta(hours=12))
        assert [change for _, change, _, _ in line.of("buoy_silent")] == ["opened"], "and a silence is still found"


@pytest.mark.parametrize("size", [1, 48, 1008])
async def test_backlog_after_an_outage_of_weeks_delays_no_alarm_for_weeks(size: int) -> None:
    async with open_line() as line:
        for step in range(10):
            at = START + step * HALF_HOUR
            await line.send([reading(at, values={SEA_WATER_TEMPERATURE: 28.6})], now=at)
        now = START + timedelta(days=21)
        line.tick(now)
        backlog = batch(now, hours=20 * 24)
        for start in range(0, len(backlog), min(size, 480)):
            await line.send(backlog[start : start + min(size, 480)], now=now)
        line.tick(now + 4 * HALF_HOUR)
        assert [change for _, change, _, _ in line.of("buoy_silent")] == ["opened", "closed", "opened"]


async def test_device_that_lies_about_its_delay_cannot_hold_an_alarm_off_for_more_than_a_day() -> None:
    async with open_line() as line:
        now = START + timedelta(days=400)
        for number in range(6):
            at = now + number * timedelta(days=30)
            old = reading(at - timedelta(days=29), received_at=at, values={SEA_WATER_TEMPERATURE: 28.6})
            await line.send([old, reading(at, values={SEA_WATER_TEMPERATURE: 28.6})], now=at)
            line.tick(at + timedelta(days=1, hours=2))
        silences = [change for _, change, _, _ in line.of("buoy_silent")]
        assert silences == ["opened", "closed"] * 5 + ["opened"]


@settings(**QUIET)
@given(delays=st.lists(st.integers(0, 12), min_size=2, max_size=20), missing=st.lists(st.booleans(), min_size=20, max_size=20))
async def test_field_20_no_silence_ends_before_it_began(delays: list[int], missing: list[bool]) -> None:
    """Reports that are late by any number of quarter hours, some lost: each silence has a length."""
    reports = sorted(
        (START + step * HALF_HOUR + delay * HALF_HOUR / 2, START + step * HALF_HOUR)
        for step, (delay, lost) in enumerate(zip(delays, missing, strict=False))
        if not lost
    )
    async with open_line() as line:
        now = START
        for received_at, at in reports:
            while now < received_at:
                line.tick(now)
                now += timedelta(minutes=5)
            await line.send([reading(at, received_at=received_at, values={SEA_WATER_TEMPERATURE: 28.6})], now=received_at)
        line.tick(now + timedelta(days=3))
        silences = line.of("buoy_silent")
        assert [change for _, change, _, _ in silences] == (["opened", "closed"] * len(silences))[: len(silences)]
        for (_, _, _, began_at), (_, change, _, ended_at) in pairwise(silences):
            assert ended_at > began_at or change == "opened"
        for alert in line.alerts:
            if alert.kind == "buoy_silent" and alert.change == "closed":
                seconds = alert.evidence["silence_seconds"]
                assert isinstance(seconds, int)
                assert seconds > 0
