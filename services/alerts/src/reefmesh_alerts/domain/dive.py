"""Changes of the dive verdict, and its expiry when the values behind it are too old."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reefmesh.contracts.alerts import Change
from reefmesh.contracts.scores import DiveConditions, DiveVerdict
from reefmesh_alerts.domain.severity import dive_severity
from reefmesh_alerts.domain.transition import Evidence, Transition, instant_of, microseconds

UNKNOWN: Final[DiveVerdict] = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiveWatch:
    """``verdict`` is that of the last alert; ``met`` is True once any verdict was known at this reef."""

    verdict: DiveVerdict = UNKNOWN
    valid_until_us: int | None = None
    met: bool = False


def judge_dive(watch: DiveWatch, dive: DiveConditions, *, as_of: datetime, heard_us: int) -> tuple[DiveWatch, list[Transition]]:
    """Judge a verdict that arrived at ``heard_us``.

    If its values were too old by then, the verdict is unknown from the start: a backlog or a replay of old data invites
    nobody to dive. A reef whose first verdict is good raises no alert.
    """
    valid_until_us = None if dive.valid_until is None else microseconds(dive.valid_until)
    stale = valid_until_us is not None and valid_until_us < heard_us
    verdict: DiveVerdict = UNKNOWN if stale else dive.verdict
    valid_until_us = None if verdict == UNKNOWN else valid_until_us
    if verdict == watch.verdict:
        return (watch if valid_until_us == watch.valid_until_us else replace(watch, valid_until_us=valid_until_us)), []
    after = DiveWatch(verdict=verdict, valid_until_us=valid_until_us, met=True)
    if not watch.met and verdict == "good":
        return after, []
    evidence: dict[str, str | float | int | None] = {"reasons": "; ".join(dive.reasons)}
    for factor in dive.factors:
        evidence[factor.quantity] = None if factor.value is None else f"{factor.value:g} {factor.unit}"
        evidence[f"{factor.quantity}_verdict"] = factor.verdict
        evidence[f"{factor.quantity}_observed_at"] = None if factor.observed_at is None else factor.observed_at.isoformat()
    if stale:
        evidence["reasons"] = "the values were already too old when they arrived"
    observed = [factor.observed_at for factor in dive.factors if factor.observed_at is not None]
    return after, [_transition(watch, after, occurred_at=as_of, evidence_at=max(observed, default=as_of), evidence=evidence)]


def expire_dive(watch: DiveWatch, *, now_us: int) -> tuple[DiveWatch, list[Transition]]:
    """Make the verdict unknown once its values are too old."""
    if watch.valid_until_us is None or now_us <= watch.valid_until_us:
        return watch, []
    after = DiveWatch(met=True)
    ended_at = instant_of(watch.valid_until_us)
    evidence = {"reasons": "current or visibility has not been heard of for three report intervals"}
    return after, [_transition(watch, after, occurred_at=ended_at, evidence_at=ended_at, evidence=evidence)]


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
