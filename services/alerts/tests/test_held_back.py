"""Buoys that send batches: neither their silence nor an unknown verdict is told for the time between two of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reefmesh.contracts.flags import Flag
from reefmesh.contracts.scores import BuoyArrival, DiveInstant
from reefmesh_alerts.domain.buoy import BuoyWatch, expire_buoy, judge_buoy
from reefmesh_alerts.domain.dive import FACTORS, DiveWatch, expire_dive, judge_dive
from reefmesh_alerts.domain.reef_watch import ReefWatch, judge_score, look_at_deadlines
from reefmesh_alerts.domain.transition import SECOND_US, Transition, instant_of, microseconds

if TYPE_CHECKING:
    from services.alerts.tests.conftest import Samples

    from reefmesh.contracts.scores import DiveConditions, DiveVerdict, ReefScore

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
HALF_HOUR = timedelta(minutes=30)
BATCH = 3 * HOUR
HELD_BACK = BATCH - HALF_HOUR
FRESH = 3 * HALF_HOUR
"""Three report intervals."""


def verdict_at(samples: type[Samples], verdict: str, observed_at: datetime, *, known: bool = True) -> DiveConditions:
    """A verdict on a value of this instant; with ``known`` False the score calls it too old."""
    dive = samples.dive(verdict, valid_until=observed_at + FRESH if known else None)
    (factor,) = dive.factors
    return dive.model_copy(
        update={
            "verdict": verdict if known else "unknown",
            "factors": [
                factor.model_copy(update={"observed_at": observed_at, "verdict": verdict if known else "unknown"}),
            ],
        }
    )


def judge(
    samples: type[Samples], watch: DiveWatch, dive: DiveConditions, *, heard_at: datetime
) -> tuple[DiveWatch, list[Transition]]:
    return judge_dive(
        watch,
        dive,
        as_of=dive.factors[0].observed_at or heard_at,
        heard_us=microseconds(heard_at),
        buoys=[samples.buoy()],
        held_back_us={"b1": HELD_BACK // timedelta(microseconds=1)},
        measured_by={"sea_water_speed": "b1"},
    )


def told(transitions: list[Transition]) -> list[tuple[str, datetime]]:
    return [(each.to_state, each.occurred_at) for each in transitions]


class TestVerdict:
    def test_stands_for_as_long_as_its_buoy_holds_its_values_back_and_no_longer(self, samples: type[Samples]) -> None:
        at = samples.START
        watch, _ = judge(samples, DiveWatch(), verdict_at(samples, "no_go", at), heard_at=at)
        ends_us = microseconds(at + FRESH + HELD_BACK)
        assert expire_dive(watch, now_us=ends_us) == (watch, [])
        assert told(expire_dive(watch, now_us=ends_us + 1)[1]) == [("unknown", instant_of(ends_us))]

    def test_that_the_score_calls_unknown_by_age_is_told_after_the_same_time(self, samples: type[Samples]) -> None:
        """Another buoy of the reef reports, so scores come."""
        at = samples.START
        watch, _ = judge(samples, DiveWatch(), verdict_at(samples, "fair", at), heard_at=at)
        old = verdict_at(samples, "fair", at, known=False)
        same, changes = judge(samples, watch, old, heard_at=at + FRESH + HELD_BACK)
        assert (same, changes) == (watch, [])
        _, changes = judge(samples, watch, old, heard_at=at + FRESH + HELD_BACK + MINUTE)
        assert told(changes) == [("unknown", at + FRESH + HELD_BACK)]

    def test_begins_with_values_that_are_fresh_only(self, samples: type[Samples]) -> None:
        at = samples.START
        late = at + FRESH + MINUTE
        assert judge(samples, DiveWatch(), verdict_at(samples, "no_go", at), heard_at=late)[1] == []

    @pytest.mark.parametrize("after_the_unknown", [-MINUTE, MINUTE])
    def test_that_comes_back_is_never_told_of_an_earlier_instant(
        self, samples: type[Samples], after_the_unknown: timedelta
    ) -> None:
        watch, _ = judge(samples, DiveWatch(), verdict_at(samples, "no_go", samples.START), heard_at=samples.START)
        unknown_at = samples.START + FRESH + HELD_BACK
        watch, _ = expire_dive(watch, now_us=microseconds(unknown_at) + 1)
        observed_at, heard_at = unknown_at + after_the_unknown, unknown_at + HALF_HOUR
        _, changes = judge(samples, watch, verdict_at(samples, "no_go", observed_at), heard_at=heard_at)
        assert told(changes) == [("no_go", max(observed_at, heard_at) if observed_at < unknown_at else observed_at)]


def test_verdict_that_comes_back_is_told_once_and_as_it_is_now(samples: type[Samples]) -> None:
    """The batch that ends the unknown holds three changes of the hours in which nobody knew."""

    def dive(first: datetime, verdicts: list[DiveVerdict]) -> DiveConditions:
        newest = verdict_at(samples, verdicts[-1], first + (len(verdicts) - 1) * HALF_HOUR)
        instants = [
            DiveInstant(
                observed_at=first + place * HALF_HOUR,
                buoy_id="b1",
                quantity=quantity,
                value=1.0,
                verdict=each,
                best=each,
                worst=each,
            )
            for place, each in enumerate(verdicts)
            for quantity in FACTORS
        ]
        factors = [newest.factors[0].model_copy(update={"quantity": quantity}) for quantity in FACTORS]
        return newest.model_copy(update={"instants": instants, "factors": factors})

    watch, _ = judge(samples, DiveWatch(), dive(samples.START, ["fair", "fair"]), heard_at=samples.START + HALF_HOUR)
    unknown_at = samples.START + HALF_HOUR + FRESH + HELD_BACK
    watch, _ = expire_dive(watch, now_us=microseconds(unknown_at) + 1)
    late = dive(samples.START + HOUR, ["no_go", "no_go", "good", "good", "good", "good", "good", "good", "no_go", "no_go"])
    _, changes = judge(samples, watch, late, heard_at=samples.START + 6 * HOUR)
    assert told(changes) == [("no_go", samples.START + 5.5 * HOUR)]
    trembling = dive(samples.START + HOUR, ["fair", "fair", "fair", "fair", "fair", "fair", "fair", "fair", "fair", "good"])
    _, (change,) = judge(samples, watch, trembling, heard_at=samples.START + 6 * HOUR)
    assert change.to_state == "fair"
    assert change.evidence["reasons"] == "current 1.9 kn (1.00 m/s): good, after fair; visibility 1.0 m: good, after fair"


def batch(samples: type[Samples], number: int, *, of_scores_1: bool) -> tuple[ReefScore, datetime]:
    """The score of a batch of three hours, and when it was made."""
    newest = samples.START + number * BATCH
    heard_at = newest + 20 * timedelta(seconds=1)
    buoy = samples.buoy(seen=newest, sensors=None if of_scores_1 else {})
    value = samples.latest(Flag.PASS, at=newest, quantity="sea_water_speed")
    score = samples.score(
        as_of=newest, buoys=[buoy], dive=verdict_at(samples, "fair", newest), latest={"sea_water_speed": value}
    )
    held = BuoyArrival(buoy_id="b1", received_at=heard_at, held_back_seconds=(heard_at - newest + HELD_BACK).total_seconds())
    return (score if of_scores_1 else score.model_copy(update={"arrivals": [held]})), heard_at


@pytest.mark.parametrize("of_scores_1", [False, True])
def test_batches_raise_one_alert_and_end_in_silence_and_unknown(samples: type[Samples], of_scores_1: bool) -> None:
    """``scores/1`` tells of no arrival, so the first two batches have to pass before it is known that they are some."""
    watch, alerts = ReefWatch(), []
    numbers = [0, 1, 2, 3, 4, 6, 7]  # the fifth is lost
    for place, number in enumerate(numbers):
        score, heard_at = batch(samples, number, of_scores_1=of_scores_1)
        watch, changes = judge_score(watch, score, heard_at=heard_at, seq=place + 1)
        alerts += changes if number > 2 else []
        ahead = numbers[place + 1] if place + 1 < len(numbers) else number + 1
        for hours in range(1, 3 * (ahead - number)):
            watch, changes = look_at_deadlines(watch, now=heard_at + hours * HOUR)
            alerts += changes if number > 1 else []
    assert [(each.kind, each.to_state) for each in alerts] == [("dive", "unknown"), ("dive", "fair")]
    _, ends = look_at_deadlines(watch, now=heard_at + timedelta(days=1))
    assert {(each.kind, each.to_state) for each in ends} == {("dive", "unknown"), ("buoy_silent", "silent")}
    assert all(each.occurred_at > alerts[-1].occurred_at for each in ends)


@pytest.mark.parametrize(
    ("held_back", "waits", "missed"), [(timedelta(), FRESH, 3), (HELD_BACK, FRESH + 2 * HELD_BACK, 3 + 2 * 5)]
)
def test_silence_waits_for_two_transmissions_and_says_how_many_reports_are_missing(
    samples: type[Samples], held_back: timedelta, waits: timedelta, missed: int
) -> None:
    watch: BuoyWatch | None = None
    for number in range(4):
        seen = samples.START + number * (held_back + HALF_HOUR)
        arrival = BuoyArrival(buoy_id="b1", received_at=seen, held_back_seconds=held_back.total_seconds())
        watch, _ = judge_buoy(watch, samples.buoy(seen=seen, sensors={}), heard_us=microseconds(seen), arrival=arrival)
    assert watch is not None
    silent_us = microseconds(seen + waits)
    assert expire_buoy(watch, "b1", now_us=silent_us - SECOND_US)[1] == []
    _, (silence,) = expire_buoy(watch, "b1", now_us=silent_us)
    assert silence.occurred_at == seen + waits
    assert silence.evidence["intervals_missed"] == missed


def test_wait_for_a_buoy_that_holds_back_for_most_of_a_day_is_a_day(samples: type[Samples]) -> None:
    watch: BuoyWatch | None = None
    for number in range(4):
        seen = samples.START + number * 20 * HOUR
        arrival = BuoyArrival(buoy_id="b1", received_at=seen, held_back_seconds=19.5 * 3600)
        watch, _ = judge_buoy(watch, samples.buoy(seen=seen, sensors={}), heard_us=microseconds(seen), arrival=arrival)
    assert watch is not None
    assert watch.silent_after_us == microseconds(seen + FRESH + timedelta(days=1))
