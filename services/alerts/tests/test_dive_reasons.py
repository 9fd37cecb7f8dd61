"""What is told of a dive at an instant has the words of the score: the digits that explain it, and the limit."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reefmesh.contracts.quantities import SEA_WATER_SPEED, UNITS, VISIBILITY
from reefmesh.contracts.register import DiveLimits
from reefmesh.contracts.scores import DiveConditions, DiveFactor, DiveInstant
from reefmesh.dive_reasons import reason_of_current, reason_of_visibility
from reefmesh_alerts.domain.dive import DiveWatch, judge_dive
from reefmesh_alerts.domain.transition import Transition, microseconds
from reefmesh_alerts.recording import make_alert
from reefmesh_alerts.texts.headline import summarise
from reefmesh_alerts.texts.reason import why
from reefmesh_alerts.texts.site_clock import SiteClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.alerts.tests.conftest import Samples

    from reefmesh.contracts.alerts import Alert
    from reefmesh.contracts.scores import DiveVerdict

HALF_HOUR = timedelta(minutes=30)
Step = tuple[float, "DiveVerdict", "DiveVerdict"]
"""A current in m/s with its verdict, and the one that it has beyond the margin of the limit."""

ONE_FAIR: tuple[Step, ...] = ((0.2, "good", "good"), (0.284, "fair", "fair"), (0.256, "good", "good"), (0.2, "good", "good"))
CALMING: tuple[Step, ...] = ((1.1, "no_go", "no_go"), (0.3, "fair", "fair"), (0.256, "good", "good"))


def dive(samples: type[Samples], steps: Sequence[Step], *, limits: DiveLimits | None) -> DiveConditions:
    instants = []
    for number, (value, verdict, best) in enumerate(steps):
        at = samples.START + number * HALF_HOUR
        for quantity, measured, judged in ((SEA_WATER_SPEED, value, (verdict, best)), (VISIBILITY, 20.0, ("good", "good"))):
            said = {"observed_at": at, "buoy_id": "b1", "quantity": quantity, "value": measured}
            instants.append(DiveInstant(**said, verdict=judged[0], best=judged[1], worst=judged[0]))
    factors = [
        DiveFactor(
            quantity=each.quantity,
            value=each.value,
            unit=UNITS[each.quantity],
            verdict=each.verdict,
            observed_at=each.observed_at,
            age_seconds=0.0,
            reason=f"the score's reason of {each.quantity}",
        )
        for each in instants[-2:]
    ]
    return DiveConditions(
        verdict=steps[-1][1],
        reasons=["the score's reason"],
        factors=factors,
        valid_until=samples.START + len(steps) * HALF_HOUR + timedelta(hours=1),
        instants=instants,
        limits=limits,
    )


def told(samples: type[Samples], steps: Sequence[Step], *, limits: DiveLimits | None) -> list[Transition]:
    conditions, heard_at = dive(samples, steps, limits=limits), samples.START + len(steps) * HALF_HOUR
    buoys = [samples.buoy(seen=heard_at)]
    return judge_dive(DiveWatch(), conditions, as_of=heard_at, heard_us=microseconds(heard_at), buoys=buoys)[1]


def as_alert(transition: Transition) -> Alert:
    return make_alert("north-wall", "North Wall", transition, number=1, raised_at=transition.occurred_at)


def test_instant_is_told_in_the_words_of_the_score(samples: type[Samples]) -> None:
    fair, good = told(samples, ONE_FAIR, limits=DiveLimits())
    assert fair.evidence["reasons"] == reason_of_current(0.284, "fair", DiveLimits())
    assert good.evidence["reasons"] == "the score's reason"
    assert summarise(as_alert(fair)) == "Diving fair at North Wall, was good: current 0.6 kn (0.28 m/s): above 0.5 kn"


def test_limit_that_is_named_is_the_reefs_own(samples: type[Samples]) -> None:
    own = DiveLimits(current_good_knots=0.55, current_fair_knots=0.9)
    fair, _ = told(samples, ONE_FAIR, limits=own)
    assert fair.evidence["reasons"] == "current 0.6 kn (0.28 m/s): above 0.55 kn"


def test_verdict_that_holds_is_told_with_that_of_its_value_and_the_one_before(samples: type[Samples]) -> None:
    _, fair = told(samples, CALMING, limits=DiveLimits())
    assert fair.to_state == "fair"
    assert fair.evidence["reasons"] == "current 0.498 kn (0.256 m/s): at most 0.5 kn, good, after fair"


def test_without_the_limits_the_verdict_stands_in_their_place(samples: type[Samples]) -> None:
    """A score that was made before scores said their limits."""
    fair, _ = told(samples, ONE_FAIR, limits=None)
    assert fair.evidence["reasons"] == "current 0.6 kn (0.28 m/s): fair"
    assert reason_of_current(0.256, "good", None) == "current 0.498 kn (0.256 m/s): good"
    assert reason_of_visibility(9.96, "fair", None) == "visibility 9.96 m: fair"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (
            0,
            [
                "Current 0.6 kn (0.28 m/s): above 0.5 kn.",
                "Current 0.6 kn (0.28 m/s): above 0.5 kn (fair), seen 2024-06-01T12:30:00Z.",
                "Visibility 20.0 m: at least 10 m (good), seen 2024-06-01T12:30:00Z.",
            ],
        ),
        (
            1,
            [
                "The score's reason.",
                "Current 0.4 kn (0.20 m/s): at most 0.5 kn (good), seen 2024-06-01T13:30:00Z.",
                "Visibility 20.0 m: at least 10 m (good), seen 2024-06-01T13:30:00Z.",
            ],
        ),
    ],
)
def test_each_factor_has_its_reason_and_when_it_was_seen(samples: type[Samples], number: int, said: list[str]) -> None:
    alert = as_alert(told(samples, ONE_FAIR, limits=DiveLimits())[number])
    start = f"{samples.START:%Y-%m-%d}"
    assert why(alert, SiteClock()) == [each.replace("2024-06-01", start) for each in said]


def test_text_of_an_alert_that_has_no_reason_by_factor_says_its_value(samples: type[Samples]) -> None:
    """One that an older version raised."""
    alert = as_alert(told(samples, ONE_FAIR, limits=DiveLimits())[0])
    older = {name: value for name, value in alert.evidence.items() if not name.endswith("_reason")}
    assert why(alert.model_copy(update={"evidence": older}), SiteClock())[1].startswith("Current 0.284 m/s: fair, seen ")
