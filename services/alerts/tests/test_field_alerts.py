"""What an alert says of the days that it rests on, and of how old they are; from a score of either major."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.envelope import Envelope
from reefmesh.contracts.schema import SCORES_1, SCORES_2
from reefmesh.contracts.scores import HeatStatus, Level, ReefScore
from reefmesh.contracts.scores_1 import BuoyHealth1, DayScore1
from reefmesh_alerts.texts.letter import describe

if TYPE_CHECKING:
    from services.alerts.tests.conftest import AlertsBench, Samples

WEAK_DAYS = {
    "daytime": (
        {"status": HeatStatus.DAYTIME_ONLY, "day_status": "daytime_only", "source": "whole_day", "coverage_days": 0},
        {"whole_days": 84},
        "daytime_only",
        "84 of the last 84 days have no reading at night, and their daytime stands in",
    ),
    "few nights": (
        {"status": HeatStatus.DAYTIME_ONLY, "coverage_days": 42},
        {"filled_days": 42},
        "daytime_only",
        "only 42 of the last 84 days have readings at night",
    ),
    "first days without a night": (
        {"status": HeatStatus.WARMING_UP, "day_status": "daytime_only", "source": "whole_day", "coverage_days": 0},
        {"whole_days": 40},
        "warming_up, daytime_only",
        "DHW does not yet hold twelve weeks; this day has no reading at night",
    ),
    "suspect": (
        {"status": HeatStatus.SUSPECT_SHARE, "day_status": "suspect_share", "suspect_share": 0.5833},
        {"suspect_days": 30},
        "suspect_share",
        "30 of the last 84 days lost more than 25 % of their readings as suspect",
    ),
    "suspect today, and too few days": (
        {"status": HeatStatus.INSUFFICIENT, "day_status": "suspect_share", "suspect_share": 0.5833, "coverage_days": 50},
        {"suspect_days": 1, "missing_days": 34},
        "insufficient, suspect_share",
        "have data; 58% of this day's readings were left out as suspect",
    ),
}


@pytest.mark.parametrize("kind", WEAK_DAYS)
async def test_field_01_and_02_alert_says_what_its_level_rests_on(
    bench: "AlertsBench", samples: "type[Samples]", kind: str
) -> None:
    """The words of the score stand in the one line that everybody reads, the counts and a sentence in the evidence."""
    day, counts, words, caution = WEAK_DAYS[kind]
    await bench.send(samples.score(days=[samples.day(0, 0)]))
    (alert,) = await bench.send(samples.score(days=[samples.day(1, 7, **day, **counts)]))
    assert alert.summary.endswith(f"(2024-03-02, DHW 4.50 degC-weeks, {words})")
    assert caution in str(alert.evidence["caution"])
    assert counts == {name: alert.evidence[name] for name in counts}


async def test_alert_that_rests_on_nights_needs_no_caution(bench: "AlertsBench", samples: "type[Samples]") -> None:
    await bench.send(samples.score(days=[samples.day(0, 0)]))
    (alert,) = await bench.send(samples.score(days=[samples.day(1, 7)]))
    assert alert.summary.endswith("(2024-03-02, DHW 4.50 degC-weeks)")
    assert "caution" not in alert.evidence


@pytest.mark.parametrize(("days_later", "is_told"), [(7, False), (8, True), (36 * 365, True)])
async def test_field_18_alert_on_old_data_says_that_today_is_unknown(
    bench: "AlertsBench", samples: "type[Samples]", days_later: int, is_told: bool
) -> None:
    """A published level holds for seven days; then it is the last one known, with its date."""
    bench.clock.set(samples.START + timedelta(days=days_later))
    await bench.send(samples.score(days=[samples.day(0, 0)]))
    (alert,) = await bench.send(samples.score(days=[samples.day(1, Level.WATCH)]))
    said = "Today:     unknown; Bleaching Watch is the last level known, of 2024-03-02" in describe(alert)
    assert said == is_told


def as_scores_1(score: ReefScore) -> dict[str, Any]:
    """The same score as the version before wrote it."""
    body = score.model_dump(mode="json")
    for day in (body["heat"]["latest"], *body["heat"]["changed"]):
        for name in set(day) - set(DayScore1.model_fields):
            del day[name]
    del body["carbonate"]["days"], body["dive"]["instants"], body["dive"]["all_instants"], body["failed_runs"], body["arrivals"]
    del body["time_zone"], body["dive"]["limits"]
    for buoy in body["buoys"]:
        for name in set(buoy) - set(BuoyHealth1.model_fields):
            del buoy[name]
    return body


async def test_scores_of_both_majors_raise_the_same_alerts(benches: Callable[..., Any], samples: "type[Samples]") -> None:
    """Old messages wait in queues while a deployment rolls, and either service may be the first to be replaced."""
    levels = [0, 1, 2, 3, 2, 1, 0]
    told: dict[str, list[Alert]] = {}
    for schema_of in ({SCORES_1}, {SCORES_2}, {SCORES_1, SCORES_2}):
        async with benches() as bench:
            alerts: list[Alert] = []
            for number, level in enumerate(levels):
                score = samples.score(days=[samples.day(number, level)], dive=samples.dive("good"))
                is_older = SCORES_1 in schema_of and (len(schema_of) == 1 or number % 2 == 0)
                alerts += await bench.send(score, body=as_scores_1(score) if is_older else None)
            told["+".join(sorted(schema_of))] = alerts
    words = {name: [(each.alert_id, each.change, each.to_state, each.summary) for each in told[name]] for name in told}
    assert len(words[SCORES_2]) == 5
    assert words[SCORES_1] == words[SCORES_2] == words[f"{SCORES_1}+{SCORES_2}"]


async def test_day_that_waits_in_a_state_from_before_is_judged(bench: "AlertsBench", samples: "type[Samples]") -> None:
    state = (
        b'{"reef_name":"North Wall","as_of":"2024-03-02T12:00:00Z","heat":{"known_on":"2024-03-01","judged_on":"2024-03-01",'
        b'"waiting":{"date":"2024-03-02","source":"night","readings":1,"hotspot_celsius":1.5,"dhw_celsius_weeks":4.5,'
        b'"dhw_low_celsius_weeks":4.0,"dhw_high_celsius_weeks":5.0,"level":3,"level_7day_max":3,"coverage_days":84,'
        b'"status":"ok"}}}'
    )
    watch = await bench.handler.load(samples.REEF, state)
    message = Envelope(
        event_id="1",
        reef_id=samples.REEF,
        schema_id=SCORES_2,
        produced_at=datetime(2024, 3, 3, 12, tzinfo=UTC),
        seq=9,
        body=samples.score(days=[samples.day(2, 3)]).model_dump_json().encode(),
    )
    change = await bench.handler.handle(message, watch)
    assert len(change.outputs) == 1
    assert b"Alert Level 1 at North Wall, was No Stress (2024-03-02, DHW 4.50 degC-weeks)" in change.outputs[0].body
