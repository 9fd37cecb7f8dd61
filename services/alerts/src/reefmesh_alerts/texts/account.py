"""An alert told in full: what changed, since when, why, how sure, what to do. Each target lays it out in its own way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.scores import is_still_known
from reefmesh_alerts.domain.alert_text import age, plain, zulu
from reefmesh_alerts.texts.advice import what_to_do
from reefmesh_alerts.texts.headline import alert_subject, headline, words
from reefmesh_alerts.texts.reason import how_sure, why
from reefmesh_alerts.texts.site_clock import SiteClock

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """``rows`` are (label, sentences), in the order in which people ask; ``evidence`` are (name, value with its unit)."""

    subject: str
    alert: Alert
    rows: Sequence[tuple[str, Sequence[str]]]
    advice: Sequence[str]
    link: str | None
    evidence: Sequence[tuple[str, str]]


def account_of(alert: Alert, clock: SiteClock, *, link: str | None = None) -> Account:
    """Return the alert in full. Every string in it is of visible characters alone."""
    rows = [
        ("Reef", [f"{plain(alert.reef_name)} ({alert.reef_id})"]),
        ("Changed", [f"{headline(alert).topic}, {transition(alert)}"]),
        ("Since", _since(alert, clock)),
        *_today(alert),
        ("Why", why(alert, clock)),
        ("How sure", how_sure(alert)),
        ("Data age", [f"{age(alert.data_age_seconds)} when the alert was raised, {clock.when(alert.raised_at)}"]),
    ]
    return Account(
        subject=alert_subject(alert),
        alert=alert,
        rows=[(label, [plain(sentence) for sentence in said]) for label, said in rows],
        advice=[plain(each) for each in what_to_do(alert)],
        link=link,
        evidence=[(plain(name), plain(_valued(name, value))) for name, value in _evidence(alert)],
    )


def transition(alert: Alert) -> str:
    return f"from {words(alert.from_state)} to {words(alert.to_state)} ({alert.change})"


def _since(alert: Alert, clock: SiteClock) -> list[str]:
    """Heat happens on a solar date, which no instant stands for."""
    if alert.kind == "heat":
        return [f"{alert.occurred_at.date().isoformat()}, a solar date of the reef; told once that day was complete"]
    return [clock.when(alert.occurred_at)]


def _today(alert: Alert) -> list[tuple[str, Sequence[str]]]:
    """Return the row that a level of old data needs: it is the last one known, and not today's."""
    day = alert.occurred_at.date()
    if alert.kind != "heat" or is_still_known(day, alert.raised_at):
        return []
    return [("Today", [f"unknown; {alert.to_state} is the last level known, of {day.isoformat()}"])]


def _evidence(alert: Alert) -> Iterator[tuple[str, str | float | int | None]]:
    """Yield what the alert rests on. Of a sensor, a fault that there is not is left out, and one that is over is said to be."""
    of_sensor, is_over = alert.kind == "sensor_fault", alert.change == "closed"
    for name, value in alert.evidence.items():
        if of_sensor and name in ("fault", "failing_in_a_row"):
            if value is not None:
                yield (f"{name}_before" if is_over else name), value
        else:
            yield name, value


def _valued(name: str, value: str | float | None) -> str:
    if value is None:
        return "unknown"
    unit = next((f" {unit}" for ending, unit in _UNITS if name.endswith(ending)), "")
    shown = f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
    return f"{shown}{unit}"


def stamp(alert: Alert) -> str:
    """Return the last line of an alert: what to name when asking about it."""
    return f"Alert {alert.alert_id}, {zulu(alert.occurred_at)}"
