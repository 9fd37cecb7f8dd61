"""What people are told of dive verdicts and of the water's chemistry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefmesh.contracts.scores import Carbonate
from reefmesh_alerts.domain.chemistry import ChemistryWatch, judge_chemistry
from reefmesh_alerts.domain.dive import DiveWatch, expire_dive, judge_dive
from reefmesh_alerts.domain.transition import Transition, microseconds

if TYPE_CHECKING:
    from services.alerts.tests.conftest import Samples

    from reefmesh.contracts.scores import DiveVerdict

HOUR = timedelta(hours=1)


class TestDive:
    def judge(self, samples: type[Samples], watch: DiveWatch, verdict: str) -> tuple[DiveWatch, list[Transition]]:
        dive = samples.dive(verdict, valid_until=None if verdict == "unknown" else samples.START + HOUR)
        return judge_dive(watch, dive, as_of=samples.START, heard_us=microseconds(samples.START))

    @pytest.mark.parametrize(
        ("before", "after", "change"),
        [
            ("good", "fair", "worsened"),
            ("no_go", "good", "eased"),
            ("good", "unknown", "changed"),
            ("unknown", "good", "changed"),
        ],
    )
    def test_changed_verdict_is_told(self, samples: type[Samples], before: DiveVerdict, after: str, change: str) -> None:
        watch = DiveWatch(verdict=before, met=True)

        watch, transitions = self.judge(samples, watch, after)

        assert [(before, after, change)] == [(each.from_state, each.to_state, each.change) for each in transitions]
        assert after == watch.verdict

    def test_same_verdict_is_not_told_but_lasts_longer(self, samples: type[Samples]) -> None:
        watch, transitions = self.judge(samples, DiveWatch(verdict="good", valid_until_us=1, met=True), "good")

        assert [] == transitions
        assert microseconds(samples.START + HOUR) == watch.valid_until_us

    def test_first_verdict_if_good_is_no_change(self, samples: type[Samples]) -> None:
        assert [] == self.judge(samples, DiveWatch(), "good")[1]
        assert 1 == len(self.judge(samples, DiveWatch(), "no_go")[1])

    def test_verdict_becomes_unknown_when_its_values_are_too_old_and_not_before(self, samples: type[Samples]) -> None:
        watch, _ = self.judge(samples, DiveWatch(), "good")
        until_us = microseconds(samples.START + HOUR)

        assert (watch, []) == expire_dive(watch, now_us=until_us)
        watch, (transition,) = expire_dive(watch, now_us=until_us + 1)

        assert ("good", "unknown", samples.START + HOUR) == (transition.from_state, transition.to_state, transition.occurred_at)
        assert [] == expire_dive(watch, now_us=until_us + 2)[1]

    def test_verdict_that_was_too_old_on_arrival_tells_nothing(self, samples: type[Samples]) -> None:
        """A replay of last year's currents tells nobody to dive today."""
        dive = samples.dive("no_go", valid_until=samples.START)

        watch, transitions = judge_dive(
            DiveWatch(), dive, as_of=samples.START, heard_us=microseconds(samples.START + timedelta(days=300))
        )

        assert (DiveWatch(), []) == (watch, transitions)


class TestChemistry:
    def test_worse_band_is_told_at_once_on_the_same_day(self, samples: type[Samples]) -> None:
        watch, _ = judge_chemistry(ChemistryWatch(), samples.carbonate("good"), as_of=samples.START)

        _, transitions = judge_chemistry(watch, samples.carbonate("low"), as_of=samples.START)

        assert [("good", "low", "worsened", 2)] == [
            (each.from_state, each.to_state, each.change, each.severity) for each in transitions
        ]

    def test_better_band_waits_for_another_day(self, samples: type[Samples]) -> None:
        today = samples.START.date()
        watch, _ = judge_chemistry(ChemistryWatch(), samples.carbonate("low", today), as_of=samples.START)

        watch, same_day = judge_chemistry(watch, samples.carbonate("adequate", today), as_of=samples.START)
        _, next_day = judge_chemistry(watch, samples.carbonate("adequate", today + timedelta(days=1)), as_of=samples.START)

        assert [] == same_day
        assert ["eased"] == [each.change for each in next_day]

    def test_unknown_is_no_change_to_good(self, samples: type[Samples]) -> None:
        watch = ChemistryWatch(band="marginal", changed_on=samples.START.date() - timedelta(days=9))

        assert (watch, []) == judge_chemistry(watch, samples.carbonate(None, status="unknown"), as_of=samples.START)

    def test_first_band_if_good_is_no_change(self, samples: type[Samples]) -> None:
        assert [] == judge_chemistry(ChemistryWatch(), samples.carbonate("good"), as_of=samples.START)[1]
        assert 1 == len(judge_chemistry(ChemistryWatch(), samples.carbonate("marginal"), as_of=samples.START)[1])

    def test_field_19_change_inside_its_own_error_is_none(self, samples: type[Samples]) -> None:
        """FIELD 19: 3.98, 4.02 and 3.99, each known to 52 %, around the limit of 4."""
        watch, told = ChemistryWatch(), []
        for day, omega in enumerate((4.02, 3.98, 4.02, 3.99, 3.98, 4.01)):
            watch, transitions = judge_chemistry(watch, saturation(samples, day, omega, 0.52), as_of=samples.START)
            told += transitions

        assert [] == told

    def test_change_that_lasts_is_told_on_its_third_date_however_uncertain(self, samples: type[Samples]) -> None:
        watch, days_told = ChemistryWatch(), []
        for day, omega in enumerate((4.02, 3.9, 3.9, 3.9, 3.9)):
            for _ in range(3):  # several scores a day
                watch, transitions = judge_chemistry(watch, saturation(samples, day, omega, 0.52), as_of=samples.START)
                days_told += [(day, each.change) for each in transitions]

        assert [(3, "worsened")] == days_told

    @pytest.mark.parametrize(("omega", "days_told"), [(3.7, [1]), (3.9, [3])])
    def test_change_beyond_its_uncertainty_is_told_at_once(
        self, samples: type[Samples], omega: float, days_told: list[int]
    ) -> None:
        watch, told = ChemistryWatch(), []
        for day, each in enumerate((4.02, omega, omega, omega)):
            watch, transitions = judge_chemistry(watch, saturation(samples, day, each, 0.05), as_of=samples.START)
            told += [day] * len(transitions)

        assert days_told == told


def saturation(samples: type[Samples], day: int, omega: float, uncertainty: float) -> Carbonate:
    """A day's mean with its relative uncertainty; the band changes at 4."""
    return samples.carbonate("good" if omega >= 4 else "adequate", samples.START.date() + timedelta(days=day)).model_copy(
        update={
            "omega_aragonite": omega,
            "omega_low": omega * (1 - uncertainty),
            "omega_high": omega * (1 + uncertainty),
            "relative_uncertainty": uncertainty,
        }
    )


@given(omegas=st.lists(st.floats(2.0, 6.0), max_size=20), last=st.floats(2.0, 6.0), uncertainty=st.floats(0.0, 0.6))
def test_no_uncertainty_hides_a_band_that_lasts(omegas: list[float], last: float, uncertainty: float) -> None:
    from services.alerts.tests.conftest import Samples

    watch = ChemistryWatch()
    for day, omega in enumerate([*omegas, last, last, last]):
        watch, _ = judge_chemistry(watch, saturation(Samples, day, omega, uncertainty), as_of=Samples.START)
    assert watch.band == ("good" if last >= 4 else "adequate")
