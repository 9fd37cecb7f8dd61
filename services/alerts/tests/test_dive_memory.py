"""What alerts remember of dive instants between scores saves work and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from reefmesh.contracts.quantities import SEA_WATER_SPEED, VISIBILITY
from reefmesh.contracts.register import BuoyFacts
from reefmesh.contracts.scores import BuoyHealth, DiveConditions, DiveFactor, DiveInstant
from reefmesh_alerts.domain.dive import DiveWatch, expire_dive, judge_dive
from reefmesh_alerts.domain.dive_told import FactorWatch, verdict_of
from reefmesh_alerts.domain.transition import SECOND_US, Transition, microseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

START: Final = datetime(2026, 3, 1, tzinfo=UTC)
STATE: Final = TypeAdapter(DiveWatch)
HELD_BACK_US: Final = 3600 * SECOND_US

Value = tuple[str, str, int, int]
"""A buoy, a quantity, a severity up to 4 (5: taken back) and how many of the next better verdicts are within the margin."""

value = st.tuples(st.sampled_from("ab"), st.sampled_from((SEA_WATER_SPEED, VISIBILITY)), st.integers(0, 5), st.integers(0, 1))
usual = st.integers(0, 1).map(lambda severity: [("a", SEA_WATER_SPEED, severity, 0), ("a", VISIBILITY, 0, 0)])
"""One value of each factor, which often has the verdict of the last."""
scores = st.lists(
    st.tuples(
        st.sampled_from((10, 10, 10, 20, 40, 0, -10, -40, 400)),  # minutes after the newest instant
        st.one_of(st.lists(value, min_size=1, max_size=4), usual),
        st.sampled_from((True, True, True, True, False)),  # newest
        st.sampled_from((600, 600, 1800)),  # report interval
        st.sampled_from((0, 0, 0, 25, 100)),  # minutes until it is heard
    ),
    max_size=25,
)


class Reef:
    """A reef whose buoys measure; ``values`` are those that count."""

    def __init__(self) -> None:
        self.newest_at = START
        self.values: dict[tuple[str, datetime, str], int] = {}

    def measure(self, minutes: int, values: Sequence[Value]) -> DiveConditions:
        at = max(START, self.newest_at + timedelta(minutes=minutes))
        self.newest_at = max(self.newest_at, at)
        instants = {}
        for buoy_id, quantity, severity, margin in values:
            key = (quantity, at, buoy_id)
            instants[key] = DiveInstant(
                observed_at=at,
                buoy_id=buoy_id,
                quantity=quantity,
                value=None if severity > 4 else float(severity),
                verdict=verdict_of(severity),
                best=verdict_of(max(0, severity - margin) if severity <= 4 else 5),
                worst=verdict_of(severity),
            )
            self.values.pop(key, None)
            if severity <= 4:
                self.values[key] = severity
        factors = [self._factor(SEA_WATER_SPEED), self._factor(VISIBILITY)]
        verdicts = [factor.verdict for factor in factors]
        known = [] if "unknown" in verdicts else [severity for severity in range(5) if verdict_of(severity) in verdicts]
        return DiveConditions(
            verdict=verdict_of(max(known, default=5)),
            reasons=[],
            factors=factors,
            valid_until=self.newest_at + timedelta(hours=1) if known else None,
            advice=None,
            instants=[instants[key] for key in sorted(instants, key=lambda each: (each[1], each[2]))],
        )

    def _factor(self, quantity: str) -> DiveFactor:
        newest = max((key for key in self.values if key[0] == quantity), default=None)
        severity = 5 if newest is None else self.values[newest]
        return DiveFactor(
            quantity=quantity,
            value=None if newest is None else float(severity),
            unit="m",
            verdict=verdict_of(severity),
            observed_at=None if newest is None else newest[1],
            age_seconds=None if newest is None else 0.0,
            reason="",
        )


@given(scores)
def test_state_in_memory_and_state_that_is_read_again_tell_the_same(
    taken: list[tuple[int, list[Value], bool, int, int]],
) -> None:
    reef, kept, read = Reef(), DiveWatch(), DiveWatch()
    for minutes, values, newest, interval_seconds, late_minutes in taken:
        dive = reef.measure(minutes, values)
        facts = [BuoyFacts(buoy_id=each, report_interval_seconds=interval_seconds) for each in "ab"]
        buoys = [BuoyHealth.model_construct(facts=each, last_seen_at=reef.newest_at) for each in facts]
        heard_us = microseconds(reef.newest_at + timedelta(minutes=late_minutes))

        def judge(watch: DiveWatch) -> tuple[DiveWatch, list[Transition]]:
            watch, expired = expire_dive(watch, now_us=heard_us - 1)  # noqa: B023  # called in this turn
            watch, changes = judge_dive(
                watch,
                dive,  # noqa: B023
                as_of=reef.newest_at,
                heard_us=heard_us,  # noqa: B023
                buoys=buoys,  # noqa: B023
                held_back_us={"a": HELD_BACK_US},
                newest=newest,  # noqa: B023
            )
            return watch, expired + changes

        kept, told = judge(kept)
        read, told_again = judge(STATE.validate_json(STATE.dump_json(read, exclude_defaults=True)))

        assert told_again == told
        assert read == kept


def test_instants_of_scores_that_were_handled_late_are_told_with_the_next_score() -> None:
    reef, watch, told = Reef(), DiveWatch(), []
    buoys = [BuoyHealth.model_construct(facts=BuoyFacts(buoy_id="a", report_interval_seconds=600), last_seen_at=START)]
    for severity, newest in ((0, True), (0, True), (2, False), (0, False), (0, False), (0, True)):
        dive = reef.measure(10, [("a", SEA_WATER_SPEED, severity, 0), ("a", VISIBILITY, 0, 0)])
        at_us = microseconds(reef.newest_at)
        watch, changes = judge_dive(watch, dive, as_of=reef.newest_at, heard_us=at_us, buoys=buoys, newest=newest)
        told.append([each.to_state for each in changes])
    assert [[], [], [], [], [], ["poor", "good"]] == told


def test_instants_that_an_earlier_version_stored_as_lists_are_read() -> None:
    stored = {"factors": {VISIBILITY: {"instants": [[1_000_000, "a", 12.5, 0, 1, 2], [2_000_000, "b-2", 8, 1, 1, 1]]}}}
    factor = STATE.validate_python(stored).factors[VISIBILITY]
    assert [(each.at_us, each.instant.buoy_id, each.instant.value, each.told) for each in factor.told({})] == [
        (1_000_000, "a", 12.5, 1),
        (2_000_000, "b-2", 8.0, 1),
    ]
    assert STATE.validate_json(STATE.dump_json(DiveWatch(factors={VISIBILITY: factor}))).factors == {VISIBILITY: factor}


def test_what_is_told_is_found_anew_when_the_report_interval_changes() -> None:
    """By the shorter interval nothing is told across the gap of 40 minutes; by the longer one, fair was told all the time."""
    factor = FactorWatch()
    for minutes, severity, fresh_minutes in ((0, 1, 30), (40, 0, 30), (50, 1, 90)):
        at = START + timedelta(minutes=minutes)
        new = DiveInstant(
            observed_at=at,
            buoy_id="a",
            quantity=VISIBILITY,
            value=1.0,
            verdict=verdict_of(severity),
            best="good",
            worst=verdict_of(severity),
        )
        fresh_us = {"a": fresh_minutes * 60 * SECOND_US}
        factor = factor.after([new], as_of_us=microseconds(at), fresh_us=fresh_us, newest=True)
    assert [1, 1, 1] == [each.told for each in factor.told_recently]
