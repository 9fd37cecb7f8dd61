"""An alert in one line: the important part first, whole reef names only where there is room for them."""

import re
from dataclasses import dataclass
from typing import Final, assert_never

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.scores import is_still_known
from reefmesh_alerts.domain.alert_text import age, plain
from reefmesh_alerts.texts.evidence import count, is_of_ignored, number, word
from reefmesh_alerts.texts.measured import battery, dhw, distance, saturation
from reefmesh_alerts.texts.room import cut, first_that_fits

SUBJECT_CHARACTERS_LIMIT: Final = 77
"""A header line has at most 78 (RFC 5322), and telephones show fewer."""
SUMMARY_CHARACTERS_LIMIT: Final = 200
REEF_CHARACTERS_LEAST: Final = 12
_IN_OTHER_UNITS: Final = re.compile(r" \([^()]*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """``topic`` is what it is about; ``state`` what is so now, ``before`` what was so (empty where ``state`` implies it);
    ``figure`` is the number behind it in few characters, ``reason`` the same with what weakens it."""

    topic: str
    state: str
    before: str = ""
    figure: str = ""
    reason: str = ""


def summarise(alert: Alert) -> str:
    """Return the alert in one line for the ledger, the log and the console."""
    news = headline(alert)
    return plain(_within(news, alert.reef_name, SUMMARY_CHARACTERS_LIMIT, [news.reason, news.figure]))


def alert_subject(alert: Alert, *, before: str = "") -> str:
    """Return the alert in fewer than 78 characters, behind the few words of ``before``."""
    news = headline(alert)
    room = SUBJECT_CHARACTERS_LIMIT - len(before)
    return before + plain(_within(news, alert.reef_name, room, [news.figure]))


def headline(alert: Alert) -> Headline:
    evidence, opens = alert.evidence, alert.change != "closed"
    buoy = plain(alert.buoy_id or alert.subject)
    match alert.kind:
        case "heat":
            return _heat(alert)
        case "dive":
            reasons = plain(word(evidence, "reasons") or "")
            return Headline(
                topic="dive verdict",
                state=f"Diving {words(alert.to_state)}",
                before=words(alert.from_state),
                figure=_IN_OTHER_UNITS.sub("", reasons.partition("; ")[0]),
                reason=reasons,
            )
        case "chemistry":
            omega = saturation(evidence)
            marked = [word(evidence, "status")] if word(evidence, "status") == "indicative" else []
            reason = ", ".join(part for part in (omega, f"daily mean of {_day(alert)}", *marked) if part)
            return Headline(
                topic="aragonite saturation",
                state=f"Aragonite saturation {alert.to_state}",
                before="" if alert.from_state == "unknown" else alert.from_state,
                figure=", ".join(part for part in (omega, *marked) if part),
                reason=reason,
            )
        case "buoy_silent":
            seconds = number(evidence, "silence_seconds")
            seen = word(evidence, "last_seen_at")
            if opens:
                state, reason = f"Buoy {buoy} silent", "" if seen is None else f"last seen {_short_instant(seen)}"
            else:
                state, reason = f"Buoy {buoy} reports again", "" if seconds is None else f"silent for {age(seconds)}"
            return Headline(topic=f"reports of buoy {buoy}", state=state, figure=reason, reason=reason)
        case "buoy_drift":
            state = f"Buoy {buoy} adrift" if opens else f"Buoy {buoy} back within its drift limit"
            short, full = distance(evidence, short=True), distance(evidence)
            return Headline(topic=f"position of buoy {buoy}", state=state, figure=short, reason=full)
        case "buoy_battery":
            state = f"Battery of buoy {buoy} low" if opens else f"Battery of buoy {buoy} charged again"
            short, full = battery(evidence, limits=False), battery(evidence)
            return Headline(topic=f"battery of buoy {buoy}", state=state, figure=short, reason=full)
        case "sensor_fault":
            return _sensor_fault(alert, buoy)
        case "quantity_silent":
            return _quantity_silent(alert, buoy)
        case _:
            assert_never(alert.kind)


def words(name: str) -> str:
    """Return a name of the wire as words: ``no_go`` as no-go."""
    return "no-go" if name == "no_go" else name.replace("_", " ")


def _heat(alert: Alert) -> Headline:
    evidence = alert.evidence
    amount = dhw(evidence)
    weakness = dict.fromkeys(filter(None, (word(evidence, "status"), word(evidence, "day_status"))))
    weak = [each for each in weakness if each != "ok"]
    date = _day(alert)
    old = not is_still_known(alert.occurred_at.date(), alert.raised_at)
    known = "DHW unknown" if amount is None else f"DHW {amount} degC-weeks"
    short = "DHW unknown" if amount is None else f"DHW {amount}"
    shown_level = count(evidence, "level_7day_max")
    return Headline(
        topic="heat stress",
        state=f"Last known {alert.to_state}" if old else alert.to_state,
        before="" if old or alert.from_state == "unknown" else alert.from_state,
        figure=", ".join(([date] if old else []) + ([short] if shown_level != 0 or weak else []) + weak[:1]),
        reason=", ".join([date, known, *weak]),
    )


def _sensor_fault(alert: Alert, buoy: str) -> Headline:
    opens = alert.change != "closed"
    quantity = words(plain(alert.subject).partition("/")[2])
    if is_of_ignored(alert.evidence):
        return _ignored(quantity, buoy)
    state = f"Sensor faulty: {quantity} of buoy {buoy}" if opens else f"Sensor works again: {quantity} of buoy {buoy}"
    fault = plain(word(alert.evidence, "fault") or "")
    reason = fault or "its values fail quality control"
    if not opens:
        reason = f"before: {fault}" if fault else ""
    topic = f"sensor of {quantity}, buoy {buoy}"
    return Headline(topic=topic, state=state, figure=reason if opens else "", reason=reason)


def _ignored(quantity: str, buoy: str) -> Headline:
    topic, why = f"{quantity} of buoy {buoy}", "ignored by the register"
    return Headline(topic=topic, state=f"No longer used: {topic}", figure=why, reason=why)


def _quantity_silent(alert: Alert, buoy: str) -> Headline:
    evidence = alert.evidence
    quantity = words(plain(alert.subject).partition("/")[2])
    if is_of_ignored(evidence):
        return _ignored(quantity, buoy)
    state, reason = f"No {quantity} from buoy {buoy}", ""
    if alert.change == "closed":
        dropped = alert.to_state == "dropped"
        state = f"No longer watched: {quantity} of buoy {buoy}" if dropped else f"Buoy {buoy} reports {quantity} again"
        seconds = number(evidence, "silence_seconds")
        reason = "" if seconds is None else f"none for {age(seconds)}"
    elif (seen := word(evidence, "last_value_at")) is not None:
        reason = f"last value {_short_instant(seen)}"
    return Headline(topic=f"{quantity} of buoy {buoy}", state=state, figure=reason, reason=reason)


def _day(alert: Alert) -> str:
    return plain(word(alert.evidence, "date") or alert.occurred_at.date().isoformat())


def _short_instant(iso: str) -> str:
    return plain(iso)[:16].replace("T", " ") + " UTC"


def _within(news: Headline, reef_name: str, room: int, figures: list[str]) -> str:
    reef = plain(reef_name)
    before = f", was {news.before}" if news.before else ""
    shown = [f": {figure}" if "(" in figure else f" ({figure})" for figure in figures if figure]
    tails = [*(f"{before}{figure}" for figure in shown), before, *shown, ""]
    least = min(len(reef), REEF_CHARACTERS_LEAST)
    fitting = first_that_fits([f"{news.state} at {reef}{tail}" for tail in tails], room)
    if fitting is not None:
        return fitting
    left = room - len(news.state) - len(" at ")
    if left >= least:
        return f"{news.state} at {cut(reef, left)}"
    return f"{cut(news.state, room - len(' at ') - least)} at {cut(reef, least)}"
