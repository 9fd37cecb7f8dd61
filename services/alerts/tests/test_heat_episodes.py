"""What people are told of heat stress, day after day."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefmesh.contracts.scores import DayScore, HeatStatus
from reefmesh_alerts.domain.heat import HeatWatch, complete_day, day_deadline_us, judge_days
from reefmesh_alerts.domain.transition import Transition, microseconds

if TYPE_CHECKING:
    from services.alerts.tests.conftest import Samples

HOUR_US = 3_600_000_000


def told(samples: type[Samples], levels: list[int | None], **options: Any) -> list[tuple[int, str, str, str]]:
    """Judge days of these levels, in one message; returns (day, change, from, to)."""
    days = [samples.day(number, level) for number, level in enumerate(levels)]
    _, transitions = judge_days(HeatWatch(), days, as_of=samples.START, **options)
    return [shown(samples, each) for each in transitions]


def shown(samples: type[Samples], transition: Transition) -> tuple[int, str, str, str]:
    number = (transition.occurred_at.date() - samples.START.date()).days
    return number, transition.change, transition.from_state, transition.to_state


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0, 0, 0], []),
        ([0, 1, 1], [(1, "opened", "No Stress", "Bleaching Watch")]),
        (
            [0, 1, 2, 3],
            [
                (1, "opened", "No Stress", "Bleaching Watch"),
                (2, "worsened", "Bleaching Watch", "Bleaching Warning"),
                (3, "worsened", "Bleaching Warning", "Alert Level 1"),
            ],
        ),
        # Of the steps down only the first is told, and then the end.
        (
            [0, 4, 3, 2, 1, 0, 0],
            [
                (1, "opened", "No Stress", "Alert Level 2"),
                (2, "eased", "Alert Level 2", "Alert Level 1"),
                (5, "closed", "Bleaching Watch", "No Stress"),
            ],
        ),
        # A rise after a fall is told at once, and so is the fall after it.
        (
            [0, 3, 2, 1, 2, 1, 0],
            [
                (1, "opened", "No Stress", "Alert Level 1"),
                (2, "eased", "Alert Level 1", "Bleaching Warning"),
                (4, "worsened", "Bleaching Watch", "Bleaching Warning"),
                (5, "eased", "Bleaching Warning", "Bleaching Watch"),
                (6, "closed", "Bleaching Watch", "No Stress"),
            ],
        ),
        ([0, 4, 0, 0], [(1, "opened", "No Stress", "Alert Level 2"), (2, "closed", "Alert Level 2", "No Stress")]),
        # Unknown neither closes nor opens, and what comes after it is compared with what was known before.
        (
            [0, 2, None, None, 2, 0],
            [(1, "opened", "No Stress", "Bleaching Warning"), (5, "closed", "Bleaching Warning", "No Stress")],
        ),
        ([None, None, 1, 1], [(2, "opened", "unknown", "Bleaching Watch")]),
    ],
)
def test_levels_day_by_day_are_told_so(
    samples: type[Samples], levels: list[int | None], expected: list[tuple[int, str, str, str]]
) -> None:
    assert expected == told(samples, levels)


def test_opening_level_two_leaves_a_watch_untold(samples: type[Samples]) -> None:
    expected = [(2, "opened", "Bleaching Watch", "Bleaching Warning"), (3, "closed", "Bleaching Warning", "Bleaching Watch")]

    assert expected == told(samples, [0, 1, 2, 1, 0], opens_at=2)


def test_worst_severity_of_an_end_is_what_was_told_last_not_what_was_left_untold(samples: type[Samples]) -> None:
    days = [samples.day(number, level) for number, level in enumerate([0, 6, 5, 2, 0])]

    _, transitions = judge_days(HeatWatch(), days, as_of=samples.START)

    assert [6, 6, 5] == [each.worst_severity for each in transitions]
    assert [6, 5, 0] == [each.severity for each in transitions]


def test_day_without_data_does_not_ease(samples: type[Samples]) -> None:
    days = [samples.day(0, 0), samples.day(1, 3), samples.day(2, 0, source="missing", readings=0), samples.day(3, 3)]

    _, transitions = judge_days(HeatWatch(), days, as_of=samples.START)

    assert [(1, "opened", "No Stress", "Alert Level 1")] == [shown(samples, each) for each in transitions]


class TestTheNewestDay:
    """A day that lasts is not judged by its first readings."""

    def test_waits_while_it_has_fewer_readings_than_the_day_before(self, samples: type[Samples]) -> None:
        watch, _ = judge_days(
            HeatWatch(), [samples.day(0, 0, readings=24), samples.day(1, 0, readings=24)], as_of=samples.START
        )

        watch, early = judge_days(watch, [samples.day(2, 2, readings=2)], as_of=samples.START)
        watch, full = judge_days(watch, [samples.day(2, 2, readings=24)], as_of=samples.START)

        assert [] == early
        assert [(2, "opened", "No Stress", "Bleaching Warning")] == [shown(samples, each) for each in full]

    def test_is_judged_when_a_later_day_begins(self, samples: type[Samples]) -> None:
        watch, _ = judge_days(
            HeatWatch(), [samples.day(0, 0, readings=24), samples.day(1, 3, readings=20)], as_of=samples.START
        )

        _, transitions = judge_days(watch, [samples.day(2, 3, readings=1)], as_of=samples.START)

        assert [(1, "opened", "No Stress", "Alert Level 1")] == [shown(samples, each) for each in transitions]

    def test_is_judged_by_the_clock_when_nothing_more_comes(self, samples: type[Samples]) -> None:
        watch, nothing = judge_days(HeatWatch(), [samples.day(0, 3)], as_of=samples.START)
        heard_us = microseconds(samples.START)

        deadline_us = day_deadline_us(watch, heard_us=heard_us)
        watch, transitions = complete_day(watch, as_of=samples.START)

        assert [] == nothing
        assert deadline_us == heard_us + 24 * HOUR_US  # noon of the first, until the date is over at -180 degrees
        assert [(0, "opened", "unknown", "Alert Level 1")] == [shown(samples, each) for each in transitions]
        assert day_deadline_us(watch, heard_us=heard_us) is None

    def test_of_long_ago_is_given_an_hour_for_more_data(self, samples: type[Samples]) -> None:
        watch, _ = judge_days(HeatWatch(), [samples.day(-5000, 3)], as_of=samples.START)
        heard_us = microseconds(samples.START)

        assert heard_us + HOUR_US == day_deadline_us(watch, heard_us=heard_us)


class TestLateData:
    """Revisions matter when they change the level of now, and not otherwise."""

    @pytest.fixture
    def watch(self, samples: type[Samples]) -> HeatWatch:
        days = [samples.day(number, level) for number, level in enumerate([0, 2, 2, 2])]
        watch, _ = judge_days(HeatWatch(), days, as_of=samples.START)
        return watch

    def test_on_an_older_day_tell_nothing(self, samples: type[Samples], watch: HeatWatch) -> None:
        after, transitions = judge_days(watch, [samples.day(1, 6), samples.day(2, 0)], as_of=samples.START)

        assert [] == transitions
        assert watch == after

    @pytest.mark.parametrize(("level", "change"), [(3, "worsened"), (1, "eased"), (0, "closed")])
    def test_on_the_newest_day_tell_the_change_and_say_why(
        self, samples: type[Samples], watch: HeatWatch, level: int, change: str
    ) -> None:
        _, transitions = judge_days(watch, [samples.day(3, level)], as_of=samples.START)

        assert [change] == [each.change for each in transitions]
        assert "later changed it" in str(transitions[0].evidence["revised"])

    def test_field_21_day_that_trembles_at_a_limit_is_told_once_in_each_direction(
        self, samples: type[Samples], watch: HeatWatch
    ) -> None:
        """FIELD 21: DHW at 4.01, 3.99, 4.02 on revisions of one day. What it came to is told with the next day."""
        told_of_the_day = []
        for level in (3, 2, 3, 2, 3):
            watch, transitions = judge_days(watch, [samples.day(3, level)], as_of=samples.START)
            told_of_the_day += [each.change for each in transitions]
        watch, next_day = judge_days(watch, [samples.day(4, 3)], as_of=samples.START)

        assert ["worsened", "eased"] == told_of_the_day
        assert [(4, "worsened", "Bleaching Warning", "Alert Level 1")] == [shown(samples, each) for each in next_day]

    def test_field_21_episode_that_opens_and_closes_on_one_day_does_neither_again_that_day(
        self, samples: type[Samples]
    ) -> None:
        watch, _ = judge_days(HeatWatch(), [samples.day(0, 0)], as_of=samples.START)
        changes = []
        for level in (1, 0, 1, 0):
            watch, transitions = judge_days(watch, [samples.day(1, level)], as_of=samples.START)
            changes += [each.change for each in transitions]
        _, next_day = judge_days(watch, [samples.day(2, 0)], as_of=samples.START)

        assert ["opened", "closed"] == changes
        assert [] == next_day

    def test_make_an_unknown_newest_day_known(self, samples: type[Samples], watch: HeatWatch) -> None:
        watch, _ = judge_days(watch, [samples.day(4, None), samples.day(5, None)], as_of=samples.START)

        _, transitions = judge_days(watch, [samples.day(4, 4)], as_of=samples.START)

        assert [(4, "worsened", "Bleaching Warning", "Alert Level 2")] == [shown(samples, each) for each in transitions]


def test_evidence_names_what_weakens_it(samples: type[Samples]) -> None:
    days = [samples.day(0, 0), samples.day(1, 3, status=HeatStatus.LOWER_BOUND, coverage_days=60)]

    _, (transition,) = judge_days(HeatWatch(), days, as_of=samples.START)

    assert ("lower_bound", 60) == (transition.evidence["status"], transition.evidence["coverage_days"])
    assert "at least this" in str(transition.evidence["caution"])


@given(
    levels=st.lists(st.one_of(st.none(), st.integers(0, 7)), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 59), max_size=20),
)
def test_any_cutting_of_days_into_messages_tells_the_same(levels: list[int | None], cuts: list[int]) -> None:
    """Replays say the same whatever the batch sizes."""
    from services.alerts.tests.conftest import Samples

    days = [Samples.day(number, level) for number, level in enumerate(levels)]

    _, at_once = judge_days(HeatWatch(), days, as_of=Samples.START)
    watch, in_parts = HeatWatch(), []
    edges = sorted({0, len(days), *(cut for cut in cuts if cut < len(days))})
    for begin, end in pairwise(edges):
        watch, transitions = judge_days(watch, days[begin:end], as_of=Samples.START)
        in_parts += transitions

    assert at_once == in_parts


@given(levels=st.lists(st.integers(0, 7), min_size=2, max_size=80))
def test_any_season_tells_every_rise_once_and_never_two_easings_in_a_row(levels: list[int]) -> None:
    from services.alerts.tests.conftest import Samples

    days: list[DayScore] = [Samples.day(number, level) for number, level in enumerate(levels)]

    watch, transitions = judge_days(HeatWatch(), days, as_of=Samples.START)

    rises = [number for number in range(1, len(levels)) if levels[number] > levels[number - 1]]
    rises = [0, *rises] if levels[0] > 0 else rises
    told_rises = [shown(Samples, each)[0] for each in transitions if each.change in ("opened", "worsened")]
    assert rises == told_rises
    changes = [each.change for each in transitions]
    assert all(pair != ("eased", "eased") for pair in pairwise(changes))
    assert (watch.opened_on is not None) == (watch.level > 0)


@given(revisions=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7)), min_size=1, max_size=60))
def test_no_revisions_tell_a_day_twice_in_one_direction_and_the_last_day_tells_what_is_so(
    revisions: list[tuple[int, int]],
) -> None:
    """Whatever comes, in the end people know the level of the newest day: hysteresis hides no change that lasts."""
    from services.alerts.tests.conftest import Samples

    watch, told_days = HeatWatch(), []
    last = len(revisions) + 4
    for number, level in [*revisions, (last, revisions[-1][1]), (last + 1, revisions[-1][1])]:
        watch, transitions = judge_days(watch, [Samples.day(number, level)], as_of=Samples.START)
        told_days += [(shown(Samples, each)[0], each.change in ("opened", "worsened")) for each in transitions]
    assert len(told_days) == len(set(told_days))
    assert watch.level == revisions[-1][1]
    assert (watch.opened_on is not None) == (watch.level > 0)


def test_day_that_is_said_again_is_judged_by_the_level_at_which_episodes_open_now(samples: type[Samples]) -> None:
    days = [samples.day(0, 0), samples.day(1, 1), samples.day(2, 1)]
    watch, _ = judge_days(HeatWatch(), days, as_of=samples.START, opens_at=1)
    same, transitions = judge_days(watch, days[2:], as_of=samples.START, opens_at=1)
    assert (same, transitions) == (watch, [])
    _, transitions = judge_days(watch, days[2:], as_of=samples.START, opens_at=2)
    assert [each.change for each in transitions] == ["closed"]
