"""Changes of the dive verdict that is told, and its expiry when the values behind it are too old.

The score's verdict is that of the newest values alone. What is told of each factor has a margin and must hold (``dive_told``);
the worst factor decides. A score without instants (``scores/1``) is told as it is.

A verdict that was told stands for as long as its buoys are known to hold their readings back, beyond the three report intervals
after which the score calls it unknown: between two batches nothing changed. It comes back with values that are fresh only, and
never at an instant before the alert that was told last.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Final

from reefmesh.contracts.alerts import Change
from reefmesh.contracts.quantities import SEA_WATER_SPEED, VISIBILITY
from reefmesh.contracts.scores import BuoyHealth, DiveConditions, DiveFactor, DiveInstant, DiveVerdict
from reefmesh_alerts.domain.dive_reason import own_reason_of, reason_of
from reefmesh_alerts.domain.dive_told import FactorWatch, Told, verdict_of
from reefmesh_alerts.domain.schedule import SILENT_INTERVALS
from reefmesh_alerts.domain.severity import dive_severity
from reefmesh_alerts.domain.transition import SECOND_US, Evidence, Transition, instant_of, microseconds, utc_microseconds

UNKNOWN: Final[DiveVerdict] = "unknown"
_NO_INSTANTS: Final = FactorWatch()
OVERDUE: Final = "current or visibility is overdue by three report intervals and the usual delay of its buoy"
FACTORS: Final = frozenset({SEA_WATER_SPEED, VISIBILITY})


Step = tuple[int, DiveVerdict, Mapping[str, Told]]
"""From an instant on: the verdict that is told, and what it rests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiveWatch:
    """``verdict`` is that of the last alert, which told of the instant ``told_us``; it stands until ``valid_until_us``. ``met``
    is True once any verdict was known at this reef. ``factors`` maps a quantity to its instants, of which those up to
    ``judged_us`` were judged."""

    verdict: DiveVerdict = UNKNOWN
    valid_until_us: int | None = None
    met: bool = False
    factors: Mapping[str, FactorWatch] = field(default_factory=dict)
    judged_us: int | None = None
    told_us: int | None = None


def judge_dive(
    watch: DiveWatch,
    dive: DiveConditions,
    *,
    as_of: datetime,
    heard_us: int,
    buoys: Iterable[BuoyHealth] = (),
    held_back_us: Mapping[str, int] | None = None,
    measured_by: Mapping[str, str] | None = None,
    newest: bool = True,
) -> tuple[DiveWatch, list[Transition]]:
    """Judge a verdict that arrived at ``heard_us``; ``newest`` is False when a later score was handled before.

    ``held_back_us``: how long each buoy usually holds its readings back. ``measured_by``: the buoy of each quantity's newest
    value, for values without an instant. If the values were too old by then, no verdict comes of them: a backlog or a replay of
    old data invites nobody to dive. A reef whose first verdict is good raises no alert.
    """
    fresh_us = {each.facts.buoy_id: SILENT_INTERVALS * each.facts.report_interval_seconds * SECOND_US for each in buoys}
    stands_us = {buoy_id: each + (held_back_us or {}).get(buoy_id, 0) for buoy_id, each in fresh_us.items()}
    as_of_us = utc_microseconds(as_of)
    if newest and (steady := _steadily(watch, dive, as_of_us, heard_us=heard_us, fresh_us=fresh_us, stands_us=stands_us)):
        return steady, []
    factors = _with_instants(watch, dive, as_of_us=as_of_us, fresh_us=fresh_us, newest=newest)
    if not newest:
        return replace(watch, factors=factors), []
    told = {quantity: factor.told_recently for quantity, factor in factors.items()}
    judged_us = watch.judged_us
    newest_us = max([each[-1].instant[0] for each in told.values() if each], default=judged_us)
    now_told = [_newest_of(factor, told.get(factor.quantity, ())) for factor in dive.factors]
    fresh_until_us = None if dive.valid_until is None else microseconds(dive.valid_until)
    stands_until_us = _stands_until_us(dive, now_told, stands_us, measured_by or {})
    valid_until_us = fresh_until_us if stands_until_us is None else stands_until_us
    watch = replace(watch, valid_until_us=valid_until_us, factors=factors, judged_us=newest_us)
    comes = dive.verdict != UNKNOWN and (fresh_until_us is None or heard_us <= fresh_until_us)
    stays = watch.verdict != UNKNOWN and stands_until_us is not None and heard_us <= stands_until_us
    if not (comes or stays):
        ended_at = as_of if stands_until_us is None else instant_of(stands_until_us)
        stale = dive.verdict != UNKNOWN
        return _tell(watch, UNKNOWN, None, dive, at=ended_at, as_of=as_of, heard_us=heard_us, stale=stale)
    transitions: list[Transition] = []
    # A factor without the instant of its newest value is told as it is, and then instants alone say nothing of the verdict.
    is_complete = None not in now_told
    comes_back = watch.verdict == UNKNOWN and watch.told_us is not None  # as it is now: until then it was not known
    steps = _since(watch, told, judged_us, fresh_us, stands_us) if is_complete and not comes_back else ()
    for at_us, verdict, factors_then in steps:
        watch, changes = _tell_at(watch, verdict, factors_then, dive, at=instant_of(at_us), is_newest=at_us == newest_us)
        transitions += changes
    now = _told_now(dive, now_told)
    if now == UNKNOWN:  # by age: what was told stands
        now = watch.verdict
    if comes_back and is_complete:
        newest_of_each = {quantity: each[-1] for quantity, each in told.items() if each}
        at_us = _after_told(watch, as_of_us, heard_us=heard_us)
        watch, changes = _tell_at(watch, now, newest_of_each, dive, at=instant_of(at_us), is_newest=True)
        transitions += changes
    watch, changes = _tell(watch, now, valid_until_us, dive, at=as_of, as_of=as_of, heard_us=heard_us)
    return watch, transitions + changes


def _steadily(
    watch: DiveWatch,
    dive: DiveConditions,
    as_of_us: int,
    *,
    heard_us: int,
    fresh_us: Mapping[str, int],
    stands_us: Mapping[str, int],
) -> DiveWatch | None:
    """Return the watch after the usual score, which brings one later instant of each factor and leaves what is told of it as it
    is, and so the verdict; None if the score must be judged."""
    judged_us = watch.judged_us
    if judged_us is None or dive.all_instants or not len(dive.instants) == len(dive.factors) == len(watch.factors):
        return None
    news = {each.quantity: each for each in dive.instants}
    factors: dict[str, FactorWatch] = {}
    severity, until_us, newest_us = 0, [], []
    for factor in dive.factors:
        quantity = factor.quantity
        known, new = watch.factors.get(quantity), news.get(quantity)
        if known is None or new is None or factor.value is None or factor.observed_at is None:
            return None
        at_us, stands = utc_microseconds(new.observed_at), stands_us.get(new.buoy_id)
        if stands is None or at_us != utc_microseconds(factor.observed_at):
            return None
        after = known.steadily_after(new, at_us, as_of_us=as_of_us, fresh_us=fresh_us, judged_us=judged_us)
        if after is None or not (told := after.told_recently):
            return None
        factors[quantity] = after
        until_us.append(at_us + stands)
        newest_us.append(at_us)
        severity = max(severity, told[-1].told)
    if not factors or verdict_of(severity) != watch.verdict or heard_us > min(until_us):
        return None
    return replace(watch, valid_until_us=min(until_us), factors=factors, judged_us=max(newest_us))


def expire_dive(watch: DiveWatch, *, now_us: int) -> tuple[DiveWatch, list[Transition]]:
    """Make the verdict unknown once its values are too old."""
    if watch.valid_until_us is None or now_us <= watch.valid_until_us:
        return watch, []
    ended_us = _after_told(watch, watch.valid_until_us, heard_us=now_us)
    after = replace(watch, verdict=UNKNOWN, valid_until_us=None, met=True, told_us=ended_us)
    ended_at = instant_of(ended_us)
    evidence = {"reasons": OVERDUE}
    return after, [_transition(watch, after, occurred_at=ended_at, evidence_at=ended_at, evidence=evidence)]


def _stands_until_us(
    dive: DiveConditions, now_told: Sequence[Told | None], stands_us: Mapping[str, int], measured_by: Mapping[str, str]
) -> int | None:
    """Return until when a verdict on these values stands once it is told; None if a value or its buoy is not known."""
    until_us: list[int] = []
    for factor, newest in zip(dive.factors, now_told, strict=True):
        buoy_id = measured_by.get(factor.quantity, "") if newest is None else newest.instant.buoy_id
        buoy_stands_us = stands_us.get(buoy_id)
        if buoy_stands_us is None or factor.value is None or factor.observed_at is None:
            return None
        until_us.append((microseconds(factor.observed_at) if newest is None else newest.at_us) + buoy_stands_us)
    return min(until_us, default=None)


def _after_told(watch: DiveWatch, at_us: int, *, heard_us: int) -> int:
    """Return when a change is told to have happened: not before, nor with, what was told last."""
    if watch.told_us is None or at_us > watch.told_us:
        return at_us
    return max(heard_us, watch.told_us + SECOND_US)


def _with_instants(
    watch: DiveWatch, dive: DiveConditions, *, as_of_us: int, fresh_us: Mapping[str, int], newest: bool
) -> Mapping[str, FactorWatch]:
    if not dive.instants and not watch.factors:
        return watch.factors
    news: dict[str, list[DiveInstant]] = {}
    for each in dive.instants:
        news.setdefault(each.quantity, []).append(each)
    known = {} if dive.all_instants and newest else watch.factors
    quantities = known if news.keys() <= known.keys() else sorted({*known, *news})
    return {
        quantity: known.get(quantity, _NO_INSTANTS).after(
            news.get(quantity, ()), as_of_us=as_of_us, fresh_us=fresh_us, newest=newest, judged_us=watch.judged_us
        )
        for quantity in quantities
    }


def _since(
    watch: DiveWatch,
    told: Mapping[str, Sequence[Told]],
    judged_us: int | None,
    fresh_us: Mapping[str, int],
    stands_us: Mapping[str, int],
) -> Iterator[Step]:
    """Iterate over what is told from each instant on that was not judged yet. It begins with the last change before, if late
    or revised values made another verdict of what was judged."""
    factors: dict[str, Told] = {}
    if judged_us is not None:
        factors = {name: known[-1] for name in told if (known := [each for each in told[name] if each.at_us <= judged_us])}
        at_us = max((each.at_us for each in factors.values()), default=judged_us)
        if watch.verdict not in (UNKNOWN, _worst(factors, at_us, stands_us) or watch.verdict):
            whole = {name: list(factor.told(fresh_us)) for name, factor in watch.factors.items()}
            steps = [step for step in _steps(whole, {}, None, stands_us) if step[0] <= judged_us]
            while len(steps) > 1 and steps[-2][1] == steps[-1][1]:
                steps.pop()
            yield steps[-1]
    yield from _steps(told, factors, judged_us, stands_us)


def _steps(
    told: Mapping[str, Sequence[Told]], factors: Mapping[str, Told], after_us: int | None, fresh_us: Mapping[str, int]
) -> Iterator[Step]:
    """Iterate over the instants after one at which both factors are known; ``factors``: what was told until then."""
    new = [(each.at_us, name, each) for name in told for each in told[name] if after_us is None or each.at_us > after_us]
    for at_us, group in groupby(sorted(new, key=itemgetter(0, 1)), key=itemgetter(0)):
        factors = {**factors, **{name: each for _, name, each in group}}
        verdict = _worst(factors, at_us, fresh_us)
        if verdict is not None:
            yield at_us, verdict, factors


def _worst(factors: Mapping[str, Told], at_us: int, fresh_us: Mapping[str, int]) -> DiveVerdict | None:
    """Return the verdict of both factors; None if one is not known at this instant."""
    if len(factors) < len(FACTORS):
        return None
    for each in factors.values():
        fresh = fresh_us.get(each.instant.buoy_id)
        if fresh is not None and at_us - each.instant.observed_us > fresh:
            return None
    return verdict_of(max(each.told for each in factors.values()))


def _told_now(dive: DiveConditions, now_told: Sequence[Told | None]) -> DiveVerdict:
    """Return the worst of what is told of each factor now: of one whose newest value came without its instant, the verdict."""
    told = [verdict_of(each.told) if each is not None else dive.factors[place].verdict for place, each in enumerate(now_told)]
    return max(told, key=dive_severity, default=dive.verdict)


def _newest_of(factor: DiveFactor, told: Sequence[Told]) -> Told | None:
    """Return what is told from the newest value of a factor on; None if it came without its instant."""
    if not told or factor.observed_at is None or told[-1].at_us != microseconds(factor.observed_at):
        return None
    return told[-1]


def _tell(
    watch: DiveWatch,
    verdict: DiveVerdict,
    valid_until_us: int | None,
    dive: DiveConditions,
    *,
    at: datetime,
    as_of: datetime,
    heard_us: int,
    stale: bool = False,
) -> tuple[DiveWatch, list[Transition]]:
    """Tell the verdict of the newest values, if it is another one."""
    if verdict == watch.verdict:
        return (watch if valid_until_us == watch.valid_until_us else replace(watch, valid_until_us=valid_until_us)), []
    after = replace(watch, verdict=verdict, valid_until_us=valid_until_us, met=True)
    if not watch.met and verdict == "good":
        return after, []
    at_us = _after_told(watch, microseconds(at), heard_us=heard_us)
    after = replace(after, told_us=at_us)
    evidence: dict[str, str | float | int | None] = {"reasons": "; ".join(dive.reasons)}
    for factor in dive.factors:
        evidence[factor.quantity] = None if factor.value is None else f"{factor.value:g} {factor.unit}"
        evidence[f"{factor.quantity}_verdict"] = factor.verdict
        evidence[f"{factor.quantity}_reason"] = factor.reason
        evidence[f"{factor.quantity}_observed_at"] = None if factor.observed_at is None else factor.observed_at.isoformat()
    if stale:
        evidence["reasons"] = "the values were already too old when they arrived"
    observed = [factor.observed_at for factor in dive.factors if factor.observed_at is not None]
    evidence_at = max(observed, default=as_of)
    return after, [_transition(watch, after, occurred_at=instant_of(at_us), evidence_at=evidence_at, evidence=evidence)]


def _tell_at(
    watch: DiveWatch,
    verdict: DiveVerdict,
    factors: Mapping[str, Told],
    dive: DiveConditions,
    *,
    at: datetime,
    is_newest: bool,
) -> tuple[DiveWatch, list[Transition]]:
    """Tell what held at an instant, if it is another verdict."""
    if verdict == watch.verdict:
        return watch, []
    after = replace(watch, verdict=verdict, met=True)
    if not watch.met and verdict == "good":
        return after, []
    after = replace(after, told_us=max(microseconds(at), watch.told_us or 0))
    units = {factor.quantity: factor.unit for factor in dive.factors}
    reasons = [reason_of(quantity, each, dive.limits) for quantity, each in factors.items() if verdict_of(each.told) == verdict]
    if is_newest and dive.verdict == verdict:
        reasons = dive.reasons
    evidence: dict[str, str | float | int | None] = {"reasons": "; ".join(reasons)}
    for quantity, each in factors.items():
        evidence[quantity] = f"{each.instant.value:g} {units.get(quantity, '')}".rstrip()
        evidence[f"{quantity}_verdict"] = verdict_of(each.instant.verdict)
        evidence[f"{quantity}_reason"] = own_reason_of(quantity, each, dive.limits)
        evidence[f"{quantity}_observed_at"] = instant_of(each.instant.observed_us).isoformat()
    return after, [_transition(watch, after, occurred_at=at, evidence_at=at, evidence=evidence)]


def _transition(
    before: DiveWatch, after: DiveWatch, *, occurred_at: datetime, evidence_at: datetime, evidence: Evidence
) -> Transition:
    severity, told = dive_severity(after.verdict), dive_severity(before.verdict)
    change: Change = "worsened" if severity > told else "eased"
    if UNKNOWN in (before.verdict, after.verdict):
        change = "changed"
    return Transition(
        kind="dive",
        change=change,
        from_state=before.verdict,
        to_state=after.verdict,
        severity=severity,
        # No alert ever called a reef "unknown" that had no verdict yet.
        worst_severity=max(severity, told if before.met else 0),
        occurred_at=occurred_at,
        evidence_at=evidence_at,
        stands=severity > dive_severity("good"),
        evidence=evidence,
    )
