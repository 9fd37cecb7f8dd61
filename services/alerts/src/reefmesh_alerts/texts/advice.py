"""What to do about an alert, by its kind and state. Short: it is read on a telephone, on a boat."""

from collections.abc import Sequence
from typing import Final, assert_never

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.scores import Level, is_still_known
from reefmesh_alerts.texts.evidence import is_of_ignored, word

CARE: Final = "Ask boats to use moorings, and divers to keep off the corals; postpone dredging, building and planting."
GUIDANCE: Final = "This is guidance: whoever leads the dive judges the site itself, before anybody enters the water."


IF_IGNORED: Final = ["Nothing, if this was meant. Else give the sensor its quantity back in the register."]


def what_to_do(alert: Alert) -> Sequence[str]:
    """Return at least one sentence."""
    opens = alert.change != "closed"
    match alert.kind:
        case "heat":
            return _heat(alert)
        case "dive":
            return _dive(alert.to_state)
        case "chemistry":
            return _chemistry(alert)
        case "buoy_silent":
            if not opens:
                return ["Nothing now. What it stored meanwhile comes late, and revises the days that it is about."]
            return [
                "Check what others at this place still send: if all are silent, it is the network.",
                "Else visit the buoy: battery, antenna, SIM card, mooring. Until then its reef is judged without it.",
            ]
        case "buoy_drift":
            if not opens:
                return ["Nothing now. If it happens again, check chain and anchor."]
            return [
                "Fetch or secure it soon: a loose buoy is a danger to boats, and its anchor one to corals.",
                "If it was moved on purpose, register its new place.",
                "Its readings may be of other water: exclude them for the time that it was away.",
            ]
        case "buoy_battery":
            low = "Clean the solar panel, and plan to change the battery: the buoy falls silent when it is empty."
            return [low if opens else "Nothing now. A battery that often runs low is soon to be replaced."]
        case "sensor_fault":
            return _sensor_fault(alert)
        case "quantity_silent":
            return _quantity_silent(alert)
        case _:
            assert_never(alert.kind)


def _sensor_fault(alert: Alert) -> list[str]:
    if is_of_ignored(alert.evidence):
        return IF_IGNORED
    if alert.change == "closed":
        return ["Nothing now. Compare it with a second instrument at the next visit."]
    return [
        "Clean the sensor and check its cable at the next visit; replace it if the fault stays.",
        "Its failing values do not count; what rests on this sensor alone is unknown until good values come.",
    ]


def _quantity_silent(alert: Alert) -> list[str]:
    if is_of_ignored(alert.evidence):
        return IF_IGNORED
    if alert.to_state == "dropped":
        return ["Nothing, if the sensor was taken out. Else repair it: nothing is judged by it any more."]
    if alert.change == "closed":
        return ["Nothing now. Look whether its values are as before."]
    return [
        "Check the sensor and its cable at the next visit.",
        "If it was taken out on purpose, nothing is to be done: it is dropped after a month.",
    ]


def _heat(alert: Alert) -> list[str]:
    if not is_still_known(alert.occurred_at.date(), alert.raised_at):
        return ["This is no news of today: its data came late. Find out what the water does now before you act."]
    level = next((each for each in Level if each.title == alert.to_state), None)
    said = _by_level(level)
    if alert.change in ("eased", "closed"):
        said = ["The level falls; corals that bleached may still die of it in the weeks to come.", *said]
    if word(alert.evidence, "status") not in ("ok", None):
        said.append("Compare with NOAA's maps before you decide: this value does not rest on enough (see: how sure).")
    return said


def _by_level(level: Level | None) -> list[str]:
    """NOAA Coral Reef Watch names what each level stands for; what to do is the practice of those who respond to it."""
    match level:
        case None | Level.NO_STRESS:
            return ["No heat stress: nothing to do about it now."]
        case Level.WATCH:
            return ["No bleaching is expected yet. See that instruments work, and look at the forecast."]
        case Level.WARNING:
            return ["Bleaching is possible. Look at sensitive corals once a week, and tell those who would survey."]
        case Level.ALERT_1:
            return ["Bleaching of much of the reef is likely. Survey it within days, and report what you see.", CARE]
        case Level.ALERT_2:
            return ["Bleaching is likely, and heat-sensitive corals may die. Survey now, and again each week.", CARE]
        case Level.ALERT_3:
            return ["Corals of several species may die. Survey now; consider closing the site to visitors.", CARE]
        case Level.ALERT_4:
            return ["More than half of the corals may die. Survey now; close the site to visitors if you can.", CARE]
        case Level.ALERT_5:
            return ["Most corals (more than 80 %) may die. Survey now; close the site to visitors if you can.", CARE]
        case _:
            assert_never(level)


def _dive(verdict: str) -> list[str]:
    match verdict:
        case "good":
            return [GUIDANCE]
        case "fair":
            return ["Brief divers about the conditions, and stay near the entry with beginners.", GUIDANCE]
        case "poor":
            return ["Keep groups small and together, or choose another site.", GUIDANCE]
        case "experienced_only":
            return ["Take no beginners there; drift dives with a boat that follows.", GUIDANCE]
        case "no_go":
            return ["Do not dive there now.", GUIDANCE]
        case _:
            return ["Nobody knows the conditions now: do not rely on the last verdict.", GUIDANCE]


def _chemistry(alert: Alert) -> list[str]:
    said = (
        ["Nothing now."]
        if alert.to_state == "good"
        else ["Compare with a water sample (pH or alkalinity by titration) before you report it."]
    )
    if word(alert.evidence, "status") == "indicative":
        said.append("Take no decision by this value alone: it is indicative.")
    return said
