"""Silence, drift, battery and sensor faults of single buoys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import LatestValue, SensorHealth
from reefmesh_alerts.domain.buoy import BuoyWatch, expire_buoy, judge_buoy
from reefmesh_alerts.domain.reef_watch import ReefWatch, judge_score
from reefmesh_alerts.domain.schedule import intervals_between, silent_after_us
from reefmesh_alerts.domain.sensor_fault import SENSORS_LIMIT, judge_sensors
from reefmesh_alerts.domain.transition import Transition, instant_of, microseconds

if TYPE_CHECKING:
    from services.alerts.tests.conftest import Samples

HALF_HOUR = timedelta(minutes=30)
TEMPERATURE = "sea_water_temperature"


def changes(transitions: list[Transition]) -> list[tuple[str, str]]:
    return [(each.kind, each.change) for each in transitions]


class TestSchedule:
    @pytest.mark.parametrize(
        ("waking", "interval_seconds", "seen", "silent"),
        [
            (None, 1800, "2024-03-01T12:00", "2024-03-01T13:30"),
            ((0, 24), 1800, "2024-03-01T23:30", "2024-03-02T01:00"),
            # Awake from 6 to 18: half an hour is left in the evening, an hour counts the next morning.
            ((6, 18), 1800, "2024-03-01T17:30", "2024-03-02T07:00"),
            ((6, 18), 1800, "2024-03-01T16:30", "2024-03-01T18:00"),
            # Awake over midnight.
            ((22, 4), 3600, "2024-03-01T23:00", "2024-03-02T02:00"),
            ((22, 4), 3600, "2024-03-02T03:00", "2024-03-03T00:00"),
            # Seen outside its hours: nothing is expected before they begin.
            ((6, 18), 1800, "2024-03-01T20:00", "2024-03-02T07:30"),
            ((6, 18), 1800, "2024-03-01T03:00", "2024-03-01T07:30"),
            # Three intervals are more than one day's waking hours.
            ((6, 8), 3600, "2024-03-01T07:00", "2024-03-02T08:00"),
            ((6, 8), 3600, "2024-03-01T06:00", "2024-03-02T07:00"),
            # One report a day, awake for an hour: three days, to the end of that hour.
            ((6, 7), 86_400, "2024-03-01T06:10", "2024-03-04T07:00"),
        ],
    )
    def test_silence_begins_after_three_intervals_awake(
        self, waking: tuple[int, int] | None, interval_seconds: int, seen: str, silent: str
    ) -> None:
        facts = BuoyFacts(buoy_id="b1", report_interval_seconds=interval_seconds, waking_hours_utc=waking)
        seen_at = datetime.fromisoformat(seen).replace(tzinfo=UTC)

        assert silent == instant_of(silent_after_us(facts, microseconds(seen_at))).strftime("%Y-%m-%dT%H:%M")

    @given(
        first=st.integers(0, 23),
        last=st.integers(0, 24),
        interval_minutes=st.integers(1, 60),
        seen_minutes=st.integers(0, 3 * 1440),
    )
    def test_silence_begins_where_counting_minutes_says(
        self, first: int, last: int, interval_minutes: int, seen_minutes: int
    ) -> None:
        facts = BuoyFacts(buoy_id="b1", report_interval_seconds=interval_minutes * 60, waking_hours_utc=(first, last))
        always = (last - first) % 24 == 0

        def awake(minute: int) -> bool:
            return always or (minute // 60 - first) % 24 < (last - first) % 24

        counted, minute = 0, seen_minutes
        while counted < 3 * interval_minutes:
            counted += awake(minute)
            minute += 1

        assert minute * 60_000_000 == silent_after_us(facts, seen_minutes * 60_000_000)
        assert 3 == intervals_between(facts, seen_minutes * 60_000_000, minute * 60_000_000)

    def test_reports_that_are_missing_are_those_of_its_waking_hours(self) -> None:
        facts = BuoyFacts(buoy_id="b1", report_interval_seconds=1800, waking_hours_utc=(22, 4))
        once_a_day = BuoyFacts(buoy_id="b1", report_interval_seconds=86_400, waking_hours_utc=(6, 7))
        hours = [microseconds(datetime(2024, 3, 1, 3, tzinfo=UTC) + timedelta(hours=each)) for each in range(80)]

        assert 2 == intervals_between(facts, hours[0], hours[19])
        assert 4 == intervals_between(facts, hours[0], hours[20])
        assert 14 == intervals_between(facts, hours[0], hours[25])
        assert 3 == intervals_between(once_a_day, hours[3], hours[75])


class TestSilence:
    def test_opens_at_the_deadline_and_not_before_and_closes_on_fresh_data(self, samples: type[Samples]) -> None:
        start_us = microseconds(samples.START)
        deadline_us = microseconds(samples.START + 3 * HALF_HOUR)
        watch, _ = judge_buoy(None, samples.buoy(), heard_us=start_us)

        assert (watch, []) == expire_buoy(watch, "b1", now_us=deadline_us - 1)
        watch, opened = expire_buoy(watch, "b1", now_us=deadline_us)
        assert (watch, []) == expire_buoy(watch, "b1", now_us=deadline_us + 1)
        back_at = samples.START + timedelta(hours=7)
        watch, closed = judge_buoy(watch, samples.buoy(seen=back_at), heard_us=microseconds(back_at))

        assert [("buoy_silent", "opened")] == changes(opened)
        assert samples.START + 3 * HALF_HOUR == opened[0].occurred_at
        assert [("buoy_silent", "closed")] == changes(closed)
        assert 7 * 3600 == closed[0].evidence["silence_seconds"]

    def test_old_data_neither_start_the_watch_nor_end_a_silence(self, samples: type[Samples]) -> None:
        """A replay raises no silence, and a backlog is no sign of life."""
        heard_us = microseconds(samples.START + timedelta(days=21))

        unwatched, _ = judge_buoy(None, samples.buoy(), heard_us=heard_us)
        silent = BuoyWatch(last_seen_us=0, silent=True)
        still_silent, transitions = judge_buoy(silent, samples.buoy(), heard_us=heard_us)

        assert unwatched.silent_after_us is None
        assert [] == transitions
        assert still_silent.silent

    def test_watched_buoy_that_sends_old_data_falls_silent(self, samples: type[Samples]) -> None:
        watch, _ = judge_buoy(None, samples.buoy(), heard_us=microseconds(samples.START))
        newer = samples.buoy(seen=samples.START + HALF_HOUR)

        watch, _ = judge_buoy(watch, newer, heard_us=microseconds(samples.START + timedelta(hours=9)))

        assert [("buoy_silent", "opened")] == changes(
            expire_buoy(watch, "b1", now_us=microseconds(samples.START + timedelta(hours=9)))[1]
        )


def run(
    samples: type[Samples], readings: list[dict[str, Any]], facts: dict[str, Any] | None = None
) -> list[tuple[int, str, str]]:
    """Judge one report after the other; returns (report, kind, change)."""
    watch: BuoyWatch | None = None
    found: list[tuple[int, str, str]] = []
    for number, reading in enumerate(readings):
        seen = samples.START + number * HALF_HOUR
        buoy = samples.buoy(seen=seen, facts=facts, **reading)
        watch, transitions = judge_buoy(watch, buoy, heard_us=microseconds(seen))
        found += [(number, each.kind, each.change) for each in transitions]
    return found


@pytest.mark.parametrize(
    ("metres", "expected"),
    [
        ([25.0, 25.1, 24.0, 25.2, 24.0, 26.0], []),
        ([25.0, 25.1, 26.0, 24.0, 21.0, 20.0, 19.0], [(2, "opened"), (6, "closed")]),
        ([25.0, 27.6, 20.0, 21.0, 20.0, 19.0], [(1, "opened"), (5, "closed")]),
        ([80.0, 3.0] * 5, [(0, "opened")]),
    ],
)
def test_drift_needs_two_positions_or_a_margin_and_closes_with_two_well_inside(
    samples: type[Samples], metres: list[float], expected: list[tuple[int, str]]
) -> None:
    found = run(samples, [{"drift_metres": each} for each in metres])

    assert [(number, "buoy_drift", change) for number, change in expected] == found


def test_drift_without_a_position_changes_nothing(samples: type[Samples]) -> None:
    readings: list[dict[str, Any]] = [{"drift_metres": metres} for metres in (80.0, None, 3.0, None, 3.0)]

    assert [(0, "buoy_drift", "opened"), (4, "buoy_drift", "closed")] == run(samples, readings)


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("battery_volts", [3.5, 3.49, 3.52, 3.61], []),
        ("battery_volts", [3.5, 3.49, 3.48, 3.55, 3.61, 3.61], [(2, "opened"), (5, "closed")]),
        ("battery_volts", [3.6, 3.39, 3.61, 3.39, 3.61, 3.61], [(1, "opened"), (5, "closed")]),
        ("battery_percent", [20.0, 19.9, 24.0, 25.0], []),
        ("battery_percent", [20.0, 19.9, 19.0, 24.0, 25.0, 25.0], [(2, "opened"), (5, "closed")]),
        ("battery_percent", [20.0, 14.9, 60.0, 60.0], [(1, "opened"), (3, "closed")]),
    ],
)
def test_battery_needs_two_low_values_or_a_margin_and_closes_with_two_well_above(
    samples: type[Samples], key: str, values: list[float], expected: list[tuple[int, str]]
) -> None:
    """One low value among good ones is the radio that transmits."""
    found = run(samples, [{key: value} for value in values])

    assert [(number, "buoy_battery", change) for number, change in expected] == found


def test_battery_value_that_is_told_again_is_no_second_one(samples: type[Samples]) -> None:
    """The buoy's later reports say nothing of its battery, so its score repeats the last value with its instant."""
    low = {"battery_volts": 3.45, "battery_at": samples.START}

    assert [] == run(samples, [low, low, low])


def test_battery_that_says_nothing_changes_nothing(samples: type[Samples]) -> None:
    assert [(0, "buoy_battery", "opened")] == run(samples, [{"battery_volts": 3.0}, {}, {"battery_volts": 3.2}])


class TestSensorFault:
    def judge(
        self, samples: type[Samples], reports: list[tuple[dict[str, str], LatestValue | None]]
    ) -> list[tuple[int, str, str]]:
        watch = BuoyWatch(last_seen_us=0)
        found: list[tuple[int, str, str]] = []
        for number, (faults, value) in enumerate(reports):
            latest = {} if value is None else {TEMPERATURE: value}
            watch, transitions = judge_sensors(watch, samples.buoy(faults=faults), latest)
            found += [(number, each.subject, each.change) for each in transitions]
        return found

    def test_fault_text_opens_and_a_good_value_closes(self, samples: type[Samples]) -> None:
        bad = ({TEMPERATURE: "Sensor not found"}, samples.latest(Flag.MISSING))
        good: tuple[dict[str, str], LatestValue | None] = ({}, samples.latest(Flag.PASS))

        found = self.judge(samples, [good, bad, bad, good])

        assert [(1, f"b1/{TEMPERATURE}", "opened"), (3, f"b1/{TEMPERATURE}", "closed")] == found

    def test_three_failing_values_in_a_row_open(self, samples: type[Samples]) -> None:
        values = [samples.latest(Flag.FAIL, at=samples.START + number * HALF_HOUR) for number in range(4)]
        good = samples.latest(Flag.PASS, at=samples.START + 5 * HALF_HOUR)

        found = self.judge(samples, [({}, value) for value in [*values, good]])

        assert [(2, f"b1/{TEMPERATURE}", "opened"), (4, f"b1/{TEMPERATURE}", "closed")] == found

    def test_the_same_failing_value_seen_again_does_not_count_again(self, samples: type[Samples]) -> None:
        assert [] == self.judge(samples, [({}, samples.latest(Flag.FAIL))] * 9)

    def test_a_good_value_between_starts_the_run_again(self, samples: type[Samples]) -> None:
        flags = [Flag.FAIL, Flag.FAIL, Flag.PASS, Flag.FAIL, Flag.FAIL]
        values = [samples.latest(flag, at=samples.START + number * HALF_HOUR) for number, flag in enumerate(flags)]

        assert [] == self.judge(samples, [({}, value) for value in values])

    def test_suspect_value_closes_nothing(self, samples: type[Samples]) -> None:
        bad = ({TEMPERATURE: "broken"}, samples.latest(Flag.MISSING))

        found = self.judge(samples, [bad, ({}, samples.latest(Flag.SUSPECT)), ({}, samples.latest(Flag.NOT_EVALUATED))])

        assert [0, 2] == [number for number, _, _ in found]

    def test_other_buoys_newer_value_says_nothing_of_this_buoys_run(self, samples: type[Samples]) -> None:
        values = [samples.latest(Flag.FAIL, at=samples.START + number * HALF_HOUR) for number in range(3)]
        other = samples.latest(Flag.PASS, buoy_id="b2", at=samples.START + 4 * HALF_HOUR)

        found = self.judge(samples, [({}, value) for value in [*values, other]])

        assert [(2, f"b1/{TEMPERATURE}", "opened")] == found

    def test_sensors_watched_are_bounded(self, samples: type[Samples]) -> None:
        faults = {f"sensor-{number}": "broken" for number in range(SENSORS_LIMIT + 10)}

        assert len(self.judge(samples, [(faults, None)])) == SENSORS_LIMIT


@pytest.mark.parametrize(("fault", "kinds"), [("sensor not reachable", ["sensor_fault"]), (None, ["quantity_silent"])])
def test_dead_probe_is_told_once(samples: type[Samples], fault: str | None, kinds: list[str]) -> None:
    """Its quantity has no values, which the fault of its sensor says already."""
    quantity, watch, told = TEMPERATURE, ReefWatch(), []
    for number in range(24):
        at = samples.START + number * HALF_HOUR
        last_value_at = min(at, samples.START + HALF_HOUR)
        faults = {quantity: fault} if fault and at > last_value_at else {}
        health = SensorHealth(last_value_at=last_value_at, failing_since=None)
        buoy = samples.buoy(seen=at, faults=faults, sensors={quantity: health})
        flag = Flag.PASS if at == last_value_at else Flag.MISSING
        score = samples.score(as_of=at, buoys=[buoy], latest={quantity: samples.latest(flag, at=at)})
        watch, changes = judge_score(watch, score, heard_at=at, seq=number + 1)
        told += [each.kind for each in changes]
    assert told == kinds
