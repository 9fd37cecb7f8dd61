"""No text contradicts its numbers, no name is too long for a subject, and nothing that the ledger may hold breaks a text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reefmesh.contracts.alerts import Alert, Change, Kind
from reefmesh.contracts.flags import Flag
from reefmesh.contracts.scores import CarbonateBand, DiveVerdict, HeatStatus, Level, SensorHealth
from reefmesh.figures import decisive
from reefmesh_alerts.domain.alert_text import plain, zulu
from reefmesh_alerts.domain.reef_watch import ReefWatch, judge_score, look_at_deadlines
from reefmesh_alerts.domain.transition import Transition
from reefmesh_alerts.recording import make_alert
from reefmesh_alerts.texts.account import Account, account_of
from reefmesh_alerts.texts.background import Background
from reefmesh_alerts.texts.headline import alert_subject, summarise, words
from reefmesh_alerts.texts.letter import describe
from reefmesh_alerts.texts.measured import DHW_LIMITS, HOTSPOT_LIMITS, SATURATION_LIMITS
from reefmesh_alerts.texts.page import alert_page
from reefmesh_alerts.texts.room import cut
from reefmesh_alerts.texts.site_clock import SiteClock

if TYPE_CHECKING:
    from services.alerts.tests.conftest import Samples

NUMBER = r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)"
LONG_NAMES = (
    "North Wall",
    "Gili Trawangan Biorock restoration garden, north-eastern slope below the old jetty",
    "Taman Nasional Bali Barat Menjangan Utara Pos Dua",
    "サンゴ礁の北の壁" * 9,
    "हिन्द महासागर की प्रवाल भित्ति का उत्तरी किनारा और उसके पास का गहरा ढलान वाला भाग",
    "e\u0301" * 60,
    "👩\u200d👩\u200d👧" * 40,
)


NAMES = [
    "date",
    "level",
    "level_7day_max",
    "status",
    "day_status",
    "source",
    "revised",
    "caution",
    "coverage_days",
    "whole_days",
    "suspect_days",
    "episode_since",
    "dhw_celsius_weeks",
    "dhw_low_celsius_weeks",
    "dhw_high_celsius_weeks",
    "hotspot_celsius",
    "episode_peak_level",
    "reasons",
    "sea_water_speed",
    "sea_water_speed_verdict",
    "sea_water_speed_observed_at",
    "omega_aragonite",
    "omega_low",
    "omega_high",
    "relative_uncertainty",
    "last_seen_at",
    "silence_seconds",
    "intervals_missed",
    "drift_metres",
    "limit_metres",
    "position_flag",
    "battery_volts",
    "limit_volts",
    "fault",
    "value",
    "failing_in_a_row",
]
FIRST_WORDS = ("Last known", "Alert", "Bleaching", "No Stress", "Diving", "Aragonite", "Buoy", "Battery", "Sensor", "No ")


def near(*limits: float) -> list[float]:
    """Values around limits, at every distance that a measurement may have, and some far from them."""
    beside = [limit + sign * 10.0**power for limit in limits for sign in (-1, 0, 1) for power in range(-8, 1)]
    return [*(value for value in beside if value >= 0), *(limit * factor for limit in limits for factor in (0.2, 0.9, 1.1, 4))]


DHWS, HOTSPOTS, SATURATIONS = near(*DHW_LIMITS), near(*HOTSPOT_LIMITS), near(*SATURATION_LIMITS)
DRIFTS: list[float | None] = [None, *near(25.0, 20.0)]
VOLTS: list[float | None] = [None, *near(3.5, 3.605)]
PERCENTS: list[float | None] = [None, *near(20.0, 25.0)]
AWAY = "mailto:reefs@example.org?subject=unsubscribe%20harbour"
UNHURRIED = settings(deadline=None)  # a loaded machine is no fault of a text
SEEDS = st.integers(0, 2**32 - 1)


def told(samples: type[Samples], seed: int) -> list[Alert]:
    """The alerts of a reef through a few scores, as the service itself raises them."""
    draw = Random(seed).choice
    watch, transitions = ReefWatch(), []
    clear_water_at = samples.START
    for number in range(6):
        at = samples.START + timedelta(days=number)
        clear_water_at = at if number < 2 else draw([at, clear_water_at, clear_water_at])
        day = samples.day(
            number,
            draw(list(Level)),
            dhw_celsius_weeks=draw(DHWS),
            hotspot_celsius=draw(HOTSPOTS),
            status=draw(list(HeatStatus)),
        )
        health: dict[str, Any] = {
            "drift_metres": draw(DRIFTS),
            "battery_volts": draw(VOLTS),
            "battery_percent": draw(PERCENTS),
            "faults": draw([{}, {"sea_water_temperature": "no answer"}]),
            "sensors": {"underwater_visibility": SensorHealth(last_value_at=clear_water_at, failing_since=None)},
        }
        carbonate = samples.carbonate(draw(get_args(CarbonateBand)), day.date)
        score = samples.score(
            as_of=at,
            days=[day],
            dive=samples.dive(draw(get_args(DiveVerdict)), valid_until=at + timedelta(hours=1)),
            carbonate=carbonate.model_copy(update={"omega_aragonite": draw(SATURATIONS)}),
            buoys=[samples.buoy(seen=at, **health)],
            latest={"sea_water_temperature": samples.latest(draw([Flag.PASS, Flag.FAIL]), at=at)},
        )
        watch, changes = judge_score(watch, score, heard_at=at)
        transitions += changes
        watch, changes = look_at_deadlines(watch, now=at + timedelta(hours=draw([0, 3])))
        transitions += changes
    raised_at = at + timedelta(days=draw([1, 30]))
    return [
        make_alert("north-wall", "North Wall", transition, number=number, raised_at=raised_at)
        for number, transition in enumerate(transitions)
    ]


def row(account: Account, label: str) -> str:
    return " ".join(sentence for name, said in account.rows if name == label for sentence in said)


def side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)


def numbers_agree(alert: Alert, account: Account) -> None:
    """Whoever knows the limits and reads the text alone comes to the state that the alert reports."""
    why, opens = row(account, "Why"), alert.change != "closed"
    evidence: dict[str, Any] = alert.evidence
    match alert.kind:
        case "heat":
            for text, key, limits in (("DHW", "dhw_celsius_weeks", DHW_LIMITS), ("HotSpot", "hotspot_celsius", HOTSPOT_LIMITS)):
                for shown in re.findall(rf"{text} {NUMBER}", f"{why} {account.subject} {alert.summary}"):
                    assert all(side(float(shown), limit) == side(evidence[key], limit) for limit in limits), (shown, evidence)
            assert alert.to_state in account.subject
            assert f"is {alert.to_state}." in why
            assert f"{evidence['status']}" in row(account, "How sure")
        case "dive":
            assert f"Diving {words(alert.to_state)}" in account.subject
        case "chemistry":
            (shown, *_) = re.findall(rf"Omega {NUMBER}", why)
            assert all(side(float(shown), limit) == side(evidence["omega_aragonite"], limit) for limit in SATURATION_LIMITS)
            assert f"saturation {alert.to_state}" in account.subject
        case "buoy_drift":
            (away, limit), *_ = re.findall(rf"{NUMBER} m from its mooring, limit {NUMBER} m", why)
            assert float(away) > float(limit) or not opens
            assert side(float(away), 25.0) == side(evidence["drift_metres"], 25.0)
            assert opens == ("adrift" in account.subject)
        case "buoy_battery":
            pairs = [
                (float(value), float(limit)) for value, limit in re.findall(rf"{NUMBER} [V%] \(limit {NUMBER} [V%]\)", why)
            ]
            assert opens == any(value < limit for value, limit in pairs)
            assert opens == ("low" in account.subject)
        case "buoy_silent":
            assert opens == ("silent at" in account.subject)
        case "sensor_fault":
            assert opens == ("faulty" in account.subject)
        case "quantity_silent":
            assert opens == account.subject.startswith("No underwater visibility from buoy")
            assert zulu(datetime.fromisoformat(evidence["last_value_at"])) in why
    if not opens and alert.kind not in ("heat", "dive", "chemistry"):
        assert account.advice[0].startswith("Nothing now.")


@UNHURRIED
@given(SEEDS)
def test_no_text_contradicts_its_numbers(samples: type[Samples], seed: int) -> None:
    for alert in told(samples, seed):
        numbers_agree(alert, account_of(alert, SiteClock()))


def test_every_kind_is_generated(samples: type[Samples]) -> None:
    """What the property above says of a kind, it says of alerts that there are."""
    seen = {(alert.kind, alert.change == "closed") for seed in range(50) for alert in told(samples, seed)}
    assert set(get_args(Kind)) == {kind for kind, _ in seen}
    episodes = {"buoy_drift", "buoy_battery", "sensor_fault", "buoy_silent", "quantity_silent"}
    assert episodes <= {kind for kind, closed in seen if closed}


@pytest.mark.parametrize(
    ("fault", "flag", "why", "sure"),
    [
        ("no answer", 1, "A good value came; before, the device said: no answer.", "by quality control of its values"),
        ("no answer", None, "The device no longer says: no answer.", "the device says so itself"),
        ("no answer", 4, "The device no longer says: no answer.", "the device says so itself"),
        (None, 2, "A good value came; the values before failed quality control.", "by quality control of its values"),
        (None, 4, "Its failing values are over.", "by quality control of its values"),
    ],
)
def test_end_of_a_sensor_fault_says_what_was_and_not_that_it_stands(fault: str, flag: int, why: str, sure: str) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    ended = Transition(
        kind="sensor_fault",
        change="closed",
        from_state="faulty",
        to_state="working",
        severity=0,
        worst_severity=1,
        occurred_at=at,
        evidence_at=at,
        stands=False,
        subject="b1/sea_water_temperature",
        buoy_id="b1",
        evidence={"fault": fault, "failing_in_a_row": None, "value": None if flag is None else 28.1, "flag": flag},
    )
    alert = make_alert("north-wall", "North Wall", ended, number=1, raised_at=at)
    account = account_of(alert, SiteClock())

    assert (why, sure) == (row(account, "Why"), row(account, "How sure"))
    assert "Sensor works again: sea water temperature of buoy b1 at North Wall" == account.subject
    assert alert.summary == account.subject + (f" (before: {fault})" if fault else "")
    shown = dict(account.evidence)
    assert (fault, None) == (shown.get("fault_before"), shown.get("fault"))
    assert "failing_in_a_row" not in shown


@UNHURRIED
@given(SEEDS)
def test_subject_has_less_than_78_characters_and_says_the_state_first(samples: type[Samples], seed: int) -> None:
    for alert in told(samples, seed):
        for name in LONG_NAMES:
            subject = alert_subject(alert.model_copy(update={"reef_name": name}))
            assert len(subject) < 78
            assert subject.partition(" at ")[2][:4] == plain(name)[:4]
            assert plain(subject) == subject
            assert subject.startswith(FIRST_WORDS)


@UNHURRIED
@given(data=st.data(), kind=st.sampled_from(get_args(Kind)), change=st.sampled_from(get_args(Change)))
def test_text_of_whatever_the_ledger_holds_is_made_and_shows_no_invisible_character(
    kind: Kind, change: Change, data: st.DataObject
) -> None:
    """Older versions wrote other evidence, devices write what they like, and a name in a register may be a wrong one."""
    names = st.sampled_from(NAMES)
    values = st.none() | st.text(max_size=40) | st.floats(allow_nan=False, allow_infinity=False) | st.integers()
    instants = st.datetimes(timezones=st.just(UTC))
    alert = Alert(
        alert_id="id",
        reef_id="north-wall",
        reef_name=data.draw(st.text(max_size=300)),
        kind=kind,
        subject=data.draw(st.text(max_size=80)),
        buoy_id=data.draw(st.none() | st.just("x" * 64)),
        change=change,
        from_state=data.draw(st.text(max_size=20)),
        to_state=data.draw(st.text(max_size=20)),
        severity=data.draw(st.integers(0, 99)),
        occurred_at=data.draw(instants),
        raised_at=data.draw(instants),
        data_age_seconds=data.draw(st.floats(0, 1e12)),
        summary="",
        evidence=data.draw(st.dictionaries(names, values)),
    )
    zone = data.draw(st.none() | st.text(max_size=20) | st.sampled_from(["Asia/Makassar", "../etc/passwd", "Asia", "", "/"]))
    clock = SiteClock(time_zone=zone)
    background = Background(clocks={"north-wall": clock}, link="https://reefs.example.org/{reef_id}")
    text = describe(alert, background)
    subject, page = alert_subject(alert), alert_page(alert, background, recipient="harbour", away=AWAY)
    assert len(subject) < 78
    assert len(summarise(alert)) <= 200
    assert plain(subject) == subject
    assert all(line == line.rstrip("\r") and "\x1b" not in line for line in text.split("\n"))
    assert "\x00" not in page


@UNHURRIED
@given(st.text(max_size=60), st.integers(0, 40))
def test_cut_text_is_a_beginning_of_it_in_its_room(text: str, room: int) -> None:
    shown = cut(text, room)
    assert len(shown) <= max(room, 0)
    assert shown == text or text.startswith(shown.removesuffix("…"))


def test_cut_parts_no_character_from_its_marks_and_ends_at_a_word() -> None:
    assert "North…" == cut("North Wall of Menjangan", 8)
    assert "Menjan…" == cut("Menjangan", 7)
    assert "aé…"[:1] + "…" == cut("ae\u0301e\u0301", 3)


INSTANT = datetime(2024, 3, 1, 22, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time_zone", "expected"),
    [
        ("Asia/Makassar", "2024-03-02 06:30 (Asia/Makassar, UTC+08:00) = 2024-03-01T22:30:00Z"),
        ("America/St_Johns", "2024-03-01 19:00 (America/St_Johns, UTC-03:30) = 2024-03-01T22:30:00Z"),
        ("Asia/Nowhere", "2024-03-01T22:30:00Z"),
        ("Asia", "2024-03-01T22:30:00Z"),
        (None, "2024-03-01T22:30:00Z"),
    ],
)
def test_instant_is_on_the_clock_of_the_site_and_in_utc(time_zone: str | None, expected: str) -> None:
    assert expected == SiteClock(time_zone=time_zone).when(INSTANT)


@pytest.mark.parametrize(
    ("value", "limits", "expected"),
    [
        (0.256, (0.257,), "0.256"),
        (0.2568, (0.257,), "0.2568"),
        (0.26, (0.257,), "0.26"),
        (3.996, DHW_LIMITS, "3.996"),
        (4.0, DHW_LIMITS, "4.00"),
        (4.0000001, DHW_LIMITS, "4.0000001"),
        (4.5, (), "4.50"),
    ],
)
def test_number_has_the_digits_that_explain_the_verdict(value: float, limits: tuple[float, ...], expected: str) -> None:
    assert expected == decisive(value, limits, decimals=2)


@UNHURRIED
@given(st.sampled_from(DHWS) | st.floats(0, 30))
def test_shown_number_is_on_the_same_side_of_every_limit(value: float) -> None:
    shown = float(decisive(value, DHW_LIMITS, decimals=1))
    assert all(side(shown, limit) == side(value, limit) for limit in DHW_LIMITS)


@pytest.mark.parametrize("level", list(Level))
def test_each_level_has_something_to_do_that_no_other_has(samples: type[Samples], level: Level) -> None:
    def advice(of: Level) -> tuple[str, ...]:
        other = Level.NO_STRESS if of is not Level.NO_STRESS else Level.ALERT_5
        watch, _ = judge_score(ReefWatch(), samples.score(days=[samples.day(0, other)]), heard_at=samples.START)
        _, (*_, transition) = judge_score(watch, samples.score(days=[samples.day(1, of)]), heard_at=samples.START)
        at = samples.START + timedelta(days=2)
        alert = make_alert("x", "X", transition, number=1, raised_at=at)
        return tuple(account_of(alert, SiteClock()).advice)

    assert advice(level)
    assert advice(level) not in [advice(other) for other in Level if other is not level]
