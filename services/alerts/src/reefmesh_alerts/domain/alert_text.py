"""The text of an alert: the change, its states, its time, the evidence and the age of the data.

Instants are ISO 8601 in UTC and numbers carry their unit, so the text needs no locale. Names and fault texts come from
devices and files: ``reefmesh.visible_text`` decides which of their characters reach a mail header or a terminal.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, assert_never

from reefmesh.contracts.alerts import Alert, Kind
from reefmesh.contracts.scores import is_still_known
from reefmesh.visible_text import visible
from reefmesh_alerts.domain.transition import Transition

SUMMARY_CHARACTERS_LIMIT: Final = 200

_UNITS: Final = (
    ("_dhw_celsius_weeks", "degC-weeks"),
    ("_celsius_weeks", "degC-weeks"),
    ("_celsius", "degC"),
    ("_metres", "m"),
    ("_volts", "V"),
    ("_percent", "%"),
    ("_seconds", "s"),
    ("_days", "days"),
)

_AGES: Final = (("days", 86_400), ("h", 3600), ("min", 60))


def plain(text: str) -> str:
    """Return one line in which every character can be seen."""
    return " ".join(visible(text, instead=" ").split())


def summarise(transition: Transition, reef_name: str) -> str:
    """Return the alert in one line."""
    topic = _topic(transition.kind, transition.subject)
    change = f"{transition.change}: {transition.from_state} -> {transition.to_state}"
    line = plain(f"{plain(reef_name)}: {topic} {change}{_main_evidence(transition)}")
    return line if len(line) <= SUMMARY_CHARACTERS_LIMIT else line[: SUMMARY_CHARACTERS_LIMIT - 3] + "..."


def describe(alert: Alert) -> str:
    """Return the alert in several lines."""
    lines = [
        alert.summary,
        "",
        f"Reef:      {plain(alert.reef_name)} ({alert.reef_id})",
        f"Changed:   {_topic(alert.kind, alert.subject)}, from {alert.from_state} to {alert.to_state} ({alert.change})",
        f"Happened:  {zulu(alert.occurred_at)}",
        f"Raised:    {zulu(alert.raised_at)}",
        f"Data age:  {age(alert.data_age_seconds)} when the alert was raised",
        *_not_today(alert),
        "Evidence:",
        *(_evidence_line(name, value) for name, value in alert.evidence.items()),
        "",
        f"Alert {alert.alert_id}",
    ]
    return "".join(visible(line, instead=" ") + "\n" for line in lines)


def _not_today(alert: Alert) -> list[str]:
    """Return the line that a level of old data needs: it is the last one known, and not today's."""
    day = alert.occurred_at.date()
    if alert.kind != "heat" or is_still_known(day, alert.raised_at):
        return []
    return [f"Today:     unknown; {alert.to_state} is the last level known, of {day.isoformat()}"]


def summarise_digest(alerts: Sequence[Alert], *, recipient: str) -> str:
    """Return a digest's one line."""
    reefs = len({alert.reef_id for alert in alerts})
    counted = "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"
    return plain(f"reefmesh digest for {recipient}: {counted} at {reefs} {'reef' if reefs == 1 else 'reefs'}")


def age(seconds: float) -> str:
    """Return a duration in the largest unit of which it has at least two."""
    for unit, length in _AGES:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def zulu(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _topic(kind: Kind, subject: str) -> str:
    """Return what an alert of this kind is about, in words."""
    match kind:
        case "heat":
            return "heat stress"
        case "dive":
            return "dive verdict"
        case "chemistry":
            return "aragonite saturation"
        case "buoy_silent" | "buoy_drift":
            return f"buoy {subject}"
        case "buoy_battery":
            return f"battery of buoy {subject}"
        case "sensor_fault":
            return f"sensor {subject}"
        case "quantity_silent":
            return f"quantity {subject}"
        case _:
            assert_never(kind)


def _main_evidence(transition: Transition) -> str:
    """Return the part of the evidence that belongs in the one line."""
    evidence = transition.evidence
    match transition.kind:
        case "heat":
            dhw = evidence["dhw_celsius_weeks"]
            known = "DHW unknown" if dhw is None else f"DHW {dhw:.2f} degC-weeks"
            words = dict.fromkeys((evidence["status"], evidence["day_status"]))
            said = "".join(f", {word}" for word in words if word != "ok")
            return f" ({evidence['date']}, {known}{said})"
        case "dive":
            return f" ({evidence['reasons']})"
        case "chemistry":
            omega = evidence["omega_aragonite"]
            marked = ", indicative" if evidence["status"] == "indicative" else ""
            return "" if omega is None else f" (Omega {omega:.2f}, daily mean of {evidence['date']}{marked})"
        case "buoy_silent":
            return f" (last seen {evidence['last_seen_at']})"
        case "buoy_drift":
            return f" ({evidence['drift_metres']:.0f} m from its mooring, limit {evidence['limit_metres']:g} m)"
        case "buoy_battery":
            volts, percent = evidence["battery_volts"], evidence["battery_percent"]
            charge = [f"{volts:g} V"] if volts is not None else []
            charge += [f"{percent:g} %"] if percent is not None else []
            return f" ({', '.join(charge)})" if charge else ""
        case "sensor_fault":
            fault = evidence["fault"]
            return f" ({fault})" if fault else " (its values fail quality control)" if transition.stands else ""
        case "quantity_silent":
            missing = evidence.get("missing")
            return f" (last value {evidence['last_value_at']}{f'; {missing}' if missing else ''})"
        case _:
            assert_never(transition.kind)


def _evidence_line(name: str, value: str | float | None) -> str:
    unit = next((f" {unit}" for ending, unit in _UNITS if name.endswith(ending)), "")
    if value is None:
        return f"  {name}: unknown"
    shown = f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
    return f"  {name}: {shown}{unit}"
