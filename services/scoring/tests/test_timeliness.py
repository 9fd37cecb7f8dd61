"""The objective of scoring, 99.9 % of readings scored within 60 s, is computed from what is counted here."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from reefmesh.clock import ManualClock
from reefmesh.contracts.readings import Reading
from reefmesh.observability import table
from reefmesh.observability.metrics import Metrics
from reefmesh_scoring.timeliness import Timeliness

RECEIVED = datetime(2026, 3, 1, tzinfo=UTC)
MakeReading = Callable[..., Reading]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("scoring")


@pytest.fixture
def timeliness(metrics: Metrics) -> Timeliness:
    return Timeliness(metrics, ManualClock(RECEIVED + timedelta(seconds=60)))


def counted(metrics: Metrics) -> tuple[float, float]:
    return metrics.value(table.READINGS_SCORED, "in_time"), metrics.value(table.READINGS_SCORED, "late")


def observed(metrics: Metrics, le: str) -> float | None:
    return metrics.registry.get_sample_value("reefmesh_scoring_latency_seconds_bucket", {"service": "scoring", "le": le})


def test_reading_is_in_time_up_to_the_very_second(metrics: Metrics, timeliness: Timeliness, make_reading: MakeReading) -> None:
    timeliness.note([make_reading(RECEIVED), make_reading(RECEIVED - timedelta(microseconds=1))])
    assert (1, 1) == counted(metrics)


def test_message_is_observed_once_at_the_age_of_its_oldest_reading(
    metrics: Metrics, timeliness: Timeliness, make_reading: MakeReading
) -> None:
    timeliness.note([make_reading(RECEIVED + timedelta(seconds=50)), make_reading(RECEIVED + timedelta(seconds=40))])
    assert [0, 1] == [observed(metrics, le) for le in ("15.0", "30.0")]


def test_revisions_and_withdrawn_readings_say_nothing_of_speed(
    metrics: Metrics, timeliness: Timeliness, make_reading: MakeReading
) -> None:
    """A reading of last month whose flag changes today was scored last month."""
    old = RECEIVED - timedelta(days=30)
    timeliness.note([make_reading(old, revision=2), make_reading(old, withdrawn=True)])
    assert ((0, 0), 0) == (counted(metrics), observed(metrics, "+Inf"))


def test_telemetry_of_the_past_is_counted_apart(metrics: Metrics, timeliness: Timeliness, make_reading: MakeReading) -> None:
    """A replay after weeks, or a simulated year, is no failure of the objective."""
    timeliness.note([make_reading(RECEIVED - timedelta(days=2)), make_reading(RECEIVED + timedelta(seconds=59))])
    timeliness.note([make_reading(RECEIVED - timedelta(days=2))])
    assert ((1, 0), 2) == (counted(metrics), metrics.value(table.READINGS_SCORED, "backlog"))
    assert observed(metrics, "+Inf") == 1


def test_broker_whose_clock_is_ahead_makes_no_negative_latency(
    metrics: Metrics, timeliness: Timeliness, make_reading: MakeReading
) -> None:
    timeliness.note([make_reading(RECEIVED + timedelta(hours=1))])
    assert ((1, 0), 1) == (counted(metrics), observed(metrics, "0.05"))
