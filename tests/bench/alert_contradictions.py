"""What no ledger holds: opposite alerts within a dwell time, texts against their numbers, silences of buoys that report, and
verdicts that are unknown although values come."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.register import DiveLimits
from reefmesh.contracts.scores import DiveVerdict, Level
from reefmesh.dive_reasons import KNOT_METRES_PER_SECOND
from reefmesh_scoring.domain.dive import judge_current, judge_visibility
from reefmesh_standalone.simulator.arrivals import arrivals_of
from reefmesh_standalone.simulator.fleet import Fleet, Site

WORSE: Final = frozenset({"opened", "worsened"})
BETTER: Final = frozenset({"eased", "closed"})

LIMITS: Final = {Level.ALERT_1: 4.0, Level.ALERT_2: 8.0, Level.ALERT_3: 12.0, Level.ALERT_4: 16.0, Level.ALERT_5: 20.0}
LEVELS: Final = {level.title: level for level in Level}
BANDS: Final = {"good": (4.0, 1e9), "adequate": (3.5, 4.0), "low": (3.0, 3.5), "marginal": (0.0, 3.0)}

_COMPARED: Final = re.compile(
    r"(?P<value>\d+(?:\.\d+)?) (?P<unit>kn|m|V|%)\b(?P<between>[^:;]{0,20})[:,;]? "
    r"(?P<relation>above|below|at least|at most) (?P<limit>\d+(?:\.\d+)?) (?P=unit)"
)
_MEASURED: Final = re.compile(r"(?P<what>current|visibility) (?P<value>\d+(?:\.\d+)?) (?P<unit>kn|m/s|m)\b")
_VERDICT: Final = re.compile(_MEASURED.pattern + r": (?P<verdict>good|fair|poor|experienced_only|no_go)\b")
_DHW: Final = re.compile(r"DHW (?P<dhw>\d+\.\d+)")
_OMEGA: Final = re.compile(r"Omega (?P<omega>\d+\.\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    law: str
    what: str
    alert: Alert


def contradictions(alerts: Sequence[Alert], fleet: Fleet) -> list[Contradiction]:
    """Return all that is wrong with the ledger of this fleet."""
    sites = {site.reef_id: site for site in fleet.sites}
    found = [*opposites(alerts, sites)]
    for alert in alerts:
        found += [Contradiction(law="text", what=what, alert=alert) for what in text_against_numbers(alert)]
    return [*found, *silences(alerts, fleet), *unknowns(alerts, sites.values(), fleet)]


def opposites(alerts: Sequence[Alert], sites: Mapping[str, Site]) -> Iterator[Contradiction]:
    """Two alerts of one subject in opposite directions: of heat and chemistry at most one in each direction on a date, of
    everything else at least a report interval apart."""
    by_subject: dict[tuple[str, str, str], list[Alert]] = defaultdict(list)
    for alert in sorted(alerts, key=lambda each: (each.raised_at, each.occurred_at)):
        by_subject[alert.reef_id, alert.kind, alert.subject].append(alert)
    for (reef_id, kind, _), told in by_subject.items():
        if kind in {"heat", "chemistry"}:
            yield from _twice_a_date(told)
            continue
        interval = sites[reef_id].device.report_interval
        for one, other in pairwise(told):
            apart = other.occurred_at - one.occurred_at
            if _is_opposite(one, other) and apart < interval:
                yield Contradiction(law="dwell", what=f"{apart} after its opposite", alert=other)


def _twice_a_date(told: Iterable[Alert]) -> Iterator[Contradiction]:
    seen: set[tuple[object, bool]] = set()
    for alert in told:
        key = (alert.evidence["date"], alert.change in WORSE)
        if key in seen:
            yield Contradiction(law="dwell", what=f"another one of {key[0]} in the same direction", alert=alert)
        seen.add(key)


def _is_opposite(one: Alert, other: Alert) -> bool:
    return one.from_state == other.to_state and one.to_state == other.from_state


def text_against_numbers(alert: Alert) -> Iterator[str]:
    """What the one line says that its own numbers, the evidence or the state do not."""
    if alert.from_state == alert.to_state:
        yield f"changes from {alert.from_state} to itself"
    for found in _COMPARED.finditer(alert.summary):
        value, limit = float(found["value"]), float(found["limit"])
        held = {"above": value > limit, "below": value < limit, "at least": value >= limit, "at most": value <= limit}
        if not held[found["relation"]]:
            yield f"{found[0]!r} is not so"
    match alert.kind:
        case "heat":
            yield from _heat(alert)
        case "dive":
            yield from _dive(alert)
        case "chemistry":
            yield from _chemistry(alert)
        case "sensor_fault":
            fault = alert.evidence.get("fault")
            if alert.change == "closed" and fault and str(fault) in alert.summary.replace(f"before: {fault}", ""):
                yield f"is over, and says {str(fault)!r}"
        case "buoy_silent":
            seconds = alert.evidence.get("silence_seconds")
            if isinstance(seconds, int | float) and seconds <= 0:
                yield f"a silence of {seconds} s"


def _heat(alert: Alert) -> Iterator[str]:
    dhw, level = alert.evidence["dhw_celsius_weeks"], LEVELS[alert.to_state]
    said = _DHW.search(alert.summary)
    if dhw is None:
        return
    if said is None:
        yield f"does not say the DHW of {dhw}"
        return
    if abs(float(said["dhw"]) - float(dhw)) > 0.5 * 10 ** -len(said["dhw"].partition(".")[2]) + 1e-9:
        yield f"says DHW {said['dhw']}, which is {dhw}"
    limit = LIMITS.get(level, 0.0)
    if alert.change in WORSE and min(float(dhw), float(said["dhw"])) < limit:
        yield f"{alert.to_state} begins at {limit:g}, and it says {said['dhw']} ({dhw})"


def _dive(alert: Alert) -> Iterator[str]:
    """A verdict that is told later than it was so says what it comes after."""
    if alert.to_state == "unknown":
        return
    if not _MEASURED.search(alert.summary):
        yield "gives no number for its verdict"
    for found in _VERDICT.finditer(alert.summary):
        if found["verdict"] != _verdict_on(found["what"], float(found["value"]), found["unit"]):
            yield f"{found[0]!r} is not so"
    worst = [name for name, value in alert.evidence.items() if name.endswith("_verdict") and value == alert.to_state]
    if not worst and f"after {alert.to_state}" not in alert.summary:
        yield f"no factor of its evidence is {alert.to_state}"


def _verdict_on(what: str, value: float, unit: str) -> DiveVerdict:
    """The fleet's reefs have the default limits."""
    if what == "visibility":
        return judge_visibility(value, DiveLimits())[0]
    return judge_current(value * (KNOT_METRES_PER_SECOND if unit == "kn" else 1.0), DiveLimits())[0]


def _chemistry(alert: Alert) -> Iterator[str]:
    omega, said = alert.evidence["omega_aragonite"], _OMEGA.search(alert.summary)
    if omega is None:
        return
    if said is None:
        yield f"does not say the Omega of {omega}"
        return
    first, last = BANDS[alert.to_state]
    for value in (float(omega), float(said["omega"])):
        if not first <= value <= last or (alert.to_state == "good" and value <= first):
            yield f"{alert.to_state} is {first:g} to {last:g}, and it says {said['omega']} ({omega})"


def silences(alerts: Iterable[Alert], fleet: Fleet) -> Iterator[Contradiction]:
    """Silences of buoys that the simulation let report, beginnings after their end, and outages that nobody was told of."""
    told: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if alert.kind == "buoy_silent":
            told[alert.reef_id].append(alert)
    for site in fleet.sites:
        outages = [*outages_of(site, fleet.ends_at), *held_up(site, fleet)]
        opened = sorted((each for each in told[site.reef_id] if each.change == "opened"), key=lambda each: each.occurred_at)
        closed = sorted((each for each in told[site.reef_id] if each.change == "closed"), key=lambda each: each.occurred_at)
        for alert in opened:
            if not any(first <= alert.occurred_at <= last for first, last in outages):
                yield Contradiction(law="silence", what="the simulation was not silent", alert=alert)
        for one, other in zip(opened, closed, strict=False):
            if other.occurred_at <= one.occurred_at:
                yield Contradiction(
                    law="silence", what=f"over {one.occurred_at - other.occurred_at} before it began", alert=other
                )


def unknowns(alerts: Iterable[Alert], sites: Iterable[Site], fleet: Fleet) -> Iterator[Contradiction]:
    """Dive verdicts that became unknown while the values came as usual."""
    told: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if alert.kind == "dive" and alert.to_state == "unknown":
            told[alert.reef_id].append(alert)
    for site in sites:
        without = [*outages_of(site, fleet.ends_at), *held_up(site, fleet)] if told[site.reef_id] else []
        for alert in told[site.reef_id]:
            if not any(first <= alert.occurred_at <= last for first, last in without):
                yield Contradiction(law="unknown", what="values came as usual", alert=alert)


def untold(alerts: Iterable[Alert], fleet: Fleet) -> list[str]:
    """Return the outages of the simulation of which no alert tells."""
    opened = [each for each in alerts if each.kind == "buoy_silent" and each.change == "opened"]
    return [
        f"{site.reef_id} from {first:%Y-%m-%d %H:%M}"
        for site in fleet.sites
        if site.registered
        for first, last in outages_of(site, fleet.ends_at)
        if not any(each.reef_id == site.reef_id and first <= each.occurred_at <= last for each in opened)
    ]


def held_up(site: Site, fleet: Fleet) -> Iterator[tuple[datetime, datetime]]:
    """The times in which the link of a site held up a message: nothing came of the buoy although it sent, a silence too
    if it lasts."""
    if not site.troubles.reorder_share:
        return
    orderly = replace(site.troubles, reorder_share=0.0, duplicate_share=0.0)
    span: Mapping[str, datetime] = {"begins_at": fleet.begins_at, "ends_at": fleet.ends_at}
    sent = {each.number: each.received_at for each in arrivals_of(site.device, orderly, seed=fleet.seed, **span)}
    for arrival in arrivals_of(site.device, site.troubles, seed=fleet.seed, **span):
        if not arrival.copy and arrival.received_at > sent[arrival.number]:
            yield sent[arrival.number], arrival.received_at


def outages_of(site: Site, ends_at: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The times in which nothing comes of a site; the last report before may lie a report interval earlier."""
    early = site.device.report_interval
    for span in site.troubles.offline:
        if span.begins_at < ends_at:
            yield span.begins_at - early, span.ends_at + timedelta(minutes=1)
    if site.troubles.silent_from is not None:
        yield site.troubles.silent_from - early, ends_at + timedelta(days=1)
