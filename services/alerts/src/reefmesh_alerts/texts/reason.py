"""Why an alert was raised, and how sure that is: what was measured, what it is compared with, what it rests on."""

from datetime import datetime
from typing import Final, assert_never

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.flags import SCORED
from reefmesh.contracts.quantities import SEA_WATER_SPEED, VISIBILITY
from reefmesh.contracts.scores import Level
from reefmesh.figures import decisive
from reefmesh_alerts.domain.alert_text import age, plain
from reefmesh_alerts.texts.evidence import IGNORED_AT, Evidence, count, is_of_ignored, number, word
from reefmesh_alerts.texts.headline import words
from reefmesh_alerts.texts.measured import DHW_LIMITS, battery, dhw, distance, hotspot, saturation
from reefmesh_alerts.texts.site_clock import SiteClock

FACTORS: Final = ((SEA_WATER_SPEED, "Current"), (VISIBILITY, "Visibility"))
DHW_DAYS: Final = 84
BY_REGISTER: Final = "by the register, which an operator keeps"
_LIMITS: Final = {
    Level.WATCH.title: "from a HotSpot above 0 degC on",
    Level.WARNING.title: "from a HotSpot of 1 degC on",
} | {
    level.title: f"from {limit:g} degC-weeks on, on a day with a HotSpot of at least 1 degC"
    for level, limit in zip(list(Level)[Level.ALERT_1 :], DHW_LIMITS, strict=True)
}
"""NOAA Coral Reef Watch, table of December 2023."""


def why(alert: Alert, clock: SiteClock) -> list[str]:
    """Return the reason in sentences, at least one."""
    evidence = alert.evidence
    match alert.kind:
        case "heat":
            return _why_heat(alert)
        case "dive":
            return _why_dive(alert, clock)
        case "chemistry":
            omega, low, high = saturation(evidence), number(evidence, "omega_low"), number(evidence, "omega_high")
            band = f" (between {low:.2f} and {high:.2f})" if low is not None and high is not None else ""
            date = plain(word(evidence, "date") or "an unknown day")
            measured = f"{omega or 'A saturation that is not on record'}{band} by the daily means of {date}."
            assumed = ["Its salinity is assumed, not measured."] if evidence.get("salinity_assumed") == "yes" else []
            return [measured, *assumed]
        case "buoy_silent":
            shown = _instant(word(evidence, "last_seen_at"), clock)
            if alert.change == "closed":
                seconds = number(evidence, "silence_seconds")
                return [f"Fresh data of {shown}" + ("." if seconds is None else f", after {age(seconds)} without any.")]
            missed = count(evidence, "intervals_missed")
            return [f"Last seen {shown}; " + ("no report since." if missed is None else f"{missed} reports are missing.")]
        case "buoy_drift":
            return [f"{distance(evidence) or 'Its distance is not on record'}."]
        case "buoy_battery":
            return [f"{battery(evidence) or 'Its charge is not on record'}."]
        case "sensor_fault":
            return _why_sensor(alert, clock)
        case "quantity_silent":
            return _why_quantity(alert, clock)
        case _:
            assert_never(alert.kind)


def how_sure(alert: Alert) -> list[str]:
    """Return what the state rests on and what weakens it, at least one sentence."""
    evidence = alert.evidence
    match alert.kind:
        case "heat":
            said = _rests_on(alert)
        case "chemistry":
            error = number(evidence, "relative_uncertainty")
            known = "its uncertainty is not on record" if error is None else f"+-{100 * error:.0f} %"
            indicative = evidence.get("status") == "indicative"
            said = [f"indicative: {known}; two bands may be possible" if indicative else f"ok: {known}"]
        case "dive":
            said = ["guidance from the newest values of current and visibility; no safety verdict"]
        case "buoy_silent":
            said = ["the buoy, its modem or its network: a silence does not tell which"]
        case "buoy_drift":
            good = count(evidence, "position_flag") in (1, None)
            said = ["by its own position" + ("" if good else ", which quality control does not fully trust")]
        case "buoy_battery":
            said = ["by the buoy's own report"]
        case "sensor_fault":
            said = [_who_says_of_sensor(alert)]
        case "quantity_silent":
            said = [_who_says_of_quantity(alert)]
        case _:
            assert_never(alert.kind)
    if revised := word(evidence, "revised"):
        said.append(f"revised: {plain(revised)}")
    return said


def _who_says_of_sensor(alert: Alert) -> str:
    if is_of_ignored(alert.evidence):
        return BY_REGISTER
    by_device = word(alert.evidence, "fault") and (alert.change != "closed" or not _is_value_good(alert.evidence))
    return "the device says so itself" if by_device else "by quality control of its values"


def _who_says_of_quantity(alert: Alert) -> str:
    if is_of_ignored(alert.evidence):
        return BY_REGISTER
    if alert.change == "closed":
        return "by the buoy's own reports"
    return "by the buoy's other reports: it goes on, this quantity does not"


def _instant(iso: str | None, clock: SiteClock) -> str:
    if iso is None:
        return "an unknown time"
    try:
        instant = datetime.fromisoformat(iso)
    except ValueError:
        return plain(iso)
    return plain(iso) if instant.tzinfo is None else clock.when(instant)


def _why_heat(alert: Alert) -> list[str]:
    evidence = alert.evidence
    date = plain(word(evidence, "date") or alert.occurred_at.date().isoformat())
    said = [f"The highest level of the seven days to {date} is {alert.to_state}."]
    amount, spot, own = dhw(evidence), hotspot(evidence), count(evidence, "level")
    low, high = number(evidence, "dhw_low_celsius_weeks"), number(evidence, "dhw_high_celsius_weeks")
    known = "DHW unknown" if amount is None else f"DHW {amount} degC-weeks"
    if amount is not None and low is not None and high is not None:
        band = " to ".join(decisive(value, DHW_LIMITS, decimals=2) for value in (low, high))
        known += f" ({band} by the sensor's accuracy)"
    warm = "HotSpot unknown" if spot is None else f"HotSpot {spot} degC"
    level = "" if own is None or not 0 <= own < len(Level) else f": {Level(own).title} by itself"
    said.append(f"That day: {known}, {warm}{level}.")
    if (limit := _LIMITS.get(alert.to_state)) is not None:
        said.append(f"{alert.to_state} is {limit}.")
    since, peak = word(evidence, "episode_since"), count(evidence, "episode_peak_level")
    if since is not None:
        highest = f", at most {Level(peak).title} so far" if peak is not None and 0 < peak < len(Level) else ""
        said.append(f"The episode began on {plain(since)}{highest}.")
    return said


def _rests_on(alert: Alert) -> list[str]:
    evidence = alert.evidence
    status, day_status = word(evidence, "status") or "unknown", word(evidence, "day_status")
    said = [plain(status)]
    if nights := count(evidence, "coverage_days"):
        said[0] += f": DHW rests on {nights} nights of {DHW_DAYS} days"
    rests = [
        f"{days} {what}"
        for name, what in (
            ("whole_days", "with their daytime alone"),
            ("filled_days", "filled"),
            ("missing_days", "missing"),
            ("suspect_days", "with many readings left out as suspect"),
        )
        if (days := count(evidence, name))
    ]
    if rests:
        said[0] += f" ({', '.join(rests)})"
    if day_status is not None and day_status not in ("ok", status):
        said.append(f"the day itself: {plain(day_status)}")
    if caution := word(evidence, "caution"):
        said.append(plain(caution))
    return said


def _why_dive(alert: Alert, clock: SiteClock) -> list[str]:
    """What decides, then each factor with its verdict and when it was seen, in the words of the score."""
    evidence = alert.evidence
    said = [_sentence(word(evidence, "reasons") or "no reason is on record")]
    for quantity, name in FACTORS:
        value, verdict = word(evidence, quantity), word(evidence, f"{quantity}_verdict")
        if value is not None and verdict is not None:
            seen = word(evidence, f"{quantity}_observed_at")
            reason = word(evidence, f"{quantity}_reason")
            judged = f"{name} {value}: {words(verdict)}" if reason is None else f"{reason} ({words(verdict)})"
            said.append(_sentence(f"{judged}, seen {_instant(seen, clock)}" if seen else judged))
    return said


def _sentence(text: str) -> str:
    shown = plain(text)
    return f"{shown[:1].upper()}{shown[1:]}."


def _ignored(evidence: Evidence, clock: SiteClock) -> str:
    return _instant(word(evidence, IGNORED_AT), clock)


def _why_sensor(alert: Alert, clock: SiteClock) -> list[str]:
    evidence = alert.evidence
    fault, fails = plain(word(evidence, "fault") or ""), count(evidence, "failing_in_a_row")
    if is_of_ignored(evidence):
        before = f"before, the device said: {fault}" if fault else "its values before failed quality control"
        return [f"The register ignores this sensor since the report of {_ignored(evidence, clock)}; {before}."]
    if alert.change == "closed":
        good = _is_value_good(evidence)
        if fault:
            return [f"A good value came; before, the device said: {fault}." if good else f"The device no longer says: {fault}."]
        return ["A good value came; the values before failed quality control." if good else "Its failing values are over."]
    said = [f"The device says: {fault}."] if fault else []
    if fails:
        said.append(f"{fails} or more of its newest values in a row fail quality control.")
    value = number(evidence, "value")
    if value is not None:
        said.append(f"Newest value: {value:g}.")
    return said or ["Its values fail quality control."]


def _is_value_good(evidence: Evidence) -> bool:
    return count(evidence, "flag") in SCORED


def _why_quantity(alert: Alert, clock: SiteClock) -> list[str]:
    evidence = alert.evidence
    shown = _instant(word(evidence, "last_value_at"), clock)
    if is_of_ignored(evidence):
        since = _ignored(evidence, clock)
        return [f"The register ignores its sensor since the report of {since}; its last value that counts is of {shown}."]
    if alert.to_state == "dropped":
        return [f"Its last value is of {shown}; a quantity without a value for a month is taken as dropped."]
    if alert.change == "closed":
        seconds = number(evidence, "silence_seconds")
        return [f"A value of {shown}" + ("." if seconds is None else f", after {age(seconds)} without any.")]
    said = [f"Its last value is of {shown}, the buoy's last report of {_instant(word(evidence, 'last_report_at'), clock)}."]
    if missing := word(evidence, "missing"):
        said.append(f"Unless another buoy of the reef measures it, {plain(missing)}.")
    return said
