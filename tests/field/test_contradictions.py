"""The checker of a year's ledger sees what it is to see, and lets pass what is right."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reefmesh.contracts.alerts import Alert
from reefmesh_standalone.simulator.fleet import demonstration

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from alert_contradictions import contradictions, untold

ENDS_AT = datetime(2025, 6, 1, tzinfo=UTC)
AT = ENDS_AT - timedelta(days=10)
FLEET = demonstration(ENDS_AT, days=126)
SILENCE = {"last_seen_at": "2025-05-30T00:00:00+00:00"}


def alert(
    kind: str, change: str, states: str, summary: str, *, at: datetime = AT, reef: str = "crystal-bay", **evidence: Any
) -> Alert:
    before, _, after = states.partition(" -> ")
    return Alert.model_validate(
        {
            "alert_id": f"{kind}/{at.isoformat()}/{change}",
            "reef_id": reef,
            "reef_name": reef,
            "kind": kind,
            "change": change,
            "from_state": before,
            "to_state": after,
            "severity": 1,
            "occurred_at": at,
            "raised_at": at,
            "data_age_seconds": 0,
            "summary": summary,
            "evidence": evidence,
        }
    )


def dive(states: str, reason: str, *, at: datetime = AT, reef: str = "crystal-bay") -> Alert:
    verdict = states.rpartition(" ")[2]
    return alert("dive", "changed", states, f"dive verdict ({reason})", at=at, reef=reef, sea_water_speed_verdict=verdict)


def heat(change: str, states: str, dhw: float, said: str, *, at: datetime = AT) -> Alert:
    summary = f"heat stress (2025-05-22, DHW {said} degC-weeks)"
    return alert("heat", change, states, summary, at=at, date="2025-05-22", dhw_celsius_weeks=dhw)


def silent(at: datetime, *, change: str = "opened", reef: str = "padang-bai") -> Alert:
    states = "reporting -> silent" if change == "opened" else "silent -> reporting"
    return alert("buoy_silent", change, states, "buoy", at=at, reef=reef, **SILENCE)


WRONG = {
    "a limit that the printed number does not exceed": (
        "0.5 kn' is not so",
        [dive("good -> fair", "current 0.5 kn (0.26 m/s): above 0.5 kn")],
    ),
    "a verdict that is not that of its number": ("no_go' is not so", [dive("good -> no_go", "current 0.125 m/s: no_go")]),
    "no number": ("gives no number", [dive("good -> fair", "the current is strong")]),
    "another DHW than the evidence": (
        "says DHW 0.57, which is 0.51",
        [heat("opened", "No Stress -> Bleaching Watch", 0.51, "0.57")],
    ),
    "a level that its DHW does not reach": (
        "Alert Level 1 begins at 4",
        [heat("worsened", "Bleaching Warning -> Alert Level 1", 3.998, "4.00")],
    ),
    "a fault that is over and told": (
        "is over, and says 'not reachable'",
        [alert("sensor_fault", "closed", "faulty -> working", "sensor closed (not reachable)", fault="not reachable")],
    ),
    "there and back within a report interval": (
        "0:30:00 after its opposite",
        [
            dive("good -> fair", "current 0.26 m/s: fair"),
            dive("fair -> good", "current 0.25 m/s: good", at=AT + timedelta(minutes=30)),
        ],
    ),
    "twice of a date in one direction": (
        "another one of 2025-05-22",
        [
            heat("worsened", "Bleaching Warning -> Alert Level 1", 4.01, "4.01"),
            heat("worsened", "Bleaching Warning -> Alert Level 1", 4.02, "4.02", at=AT + timedelta(hours=1)),
        ],
    ),
    "a silence of a buoy that reports": ("the simulation was not silent", [silent(AT)]),
    "a verdict that is unknown while values come": ("values came as usual", [dive("good -> unknown", "overdue")]),
    "a silence that was over before it began": (
        "over 1:00:00 before it began",
        [
            silent(FLEET.silence_at + timedelta(hours=3)),
            silent(FLEET.silence_at + timedelta(hours=2), change="closed"),
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_contradiction_of_a_ledger_is_seen(case: str) -> None:
    what, ledger = WRONG[case]
    assert [each.what for each in contradictions(ledger, FLEET) if what in each.what] != []


def test_ledger_without_contradictions_passes() -> None:
    ledger = [
        dive("good -> fair", "current 0.51 kn (0.262 m/s): above 0.5 kn"),
        dive("fair -> good", "current 0.5 kn (0.25 m/s): at most 0.5 kn", at=AT + timedelta(hours=2)),
        heat("worsened", "Bleaching Warning -> Alert Level 1", 4.0004, "4.0004"),
        heat("eased", "Alert Level 1 -> Bleaching Warning", 4.0004, "4.00"),
        silent(FLEET.silence_at + timedelta(hours=3)),
        dive("good -> unknown", "overdue", at=FLEET.silence_at + timedelta(hours=3), reef="padang-bai"),
    ]
    assert [] == contradictions(ledger, FLEET)


def test_outage_that_nobody_was_told_of_is_seen() -> None:
    told = [
        silent(FLEET.silence_at + timedelta(hours=3)),
        silent(FLEET.begins_at + timedelta(days=80.2), reef="menjangan-south"),
    ]
    assert [] == untold(told, FLEET)
    (lacking,) = untold(told[:1], FLEET)
    assert lacking.startswith("menjangan-south from ")
