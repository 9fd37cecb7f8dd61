"""The figures of a run, from its history: for people, for machines, and for ``docs/reliability.md``."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from reefmesh.contracts.channels import SCORES
from reefmesh.contracts.envelope import event_id_of
from reefmesh_faults.finding import Finding
from reefmesh_faults.history import History
from reefmesh_faults.nemesis import Suffered

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Of one kind of fault, in seconds after it was healed, until all that had been confirmed by then was scored."""

    faults: int
    median_seconds: float
    longest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """``longest_stall_seconds``: the longest that any confirmed message waited for its score; ``stalled_reef``: whose that was;
    ``median_seconds``: of all. ``recovery`` by kind of fault."""

    longest_stall_seconds: float
    stalled_reef: str
    median_seconds: float
    recovery: Mapping[str, Recovery]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``repeated``: attempts to publish that were not confirmed, each of them repeated. ``counters``: of all processes that
    ever ran. ``did``: what faults say that they did. ``left_out``: kinds of faults that this machine has not what for, and why.
    ``delays`` None: not measured, the recorders heard only afterwards."""

    engine: str
    store: str
    seed: int
    faults: int
    lasted_seconds: float
    messages: int
    readings: int
    repeated: int
    restarts: int
    outputs: Mapping[str, int]
    counters: Mapping[str, int]
    did: Mapping[str, int]
    left_out: Mapping[str, str]
    faults_by_kind: Mapping[str, int]
    delays: Delays | None
    findings: Sequence[Finding]

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "findings": [str(finding) for finding in self.findings]}


def measured(history: History, suffered: Sequence[Suffered]) -> Delays | None:
    """Return how long what was confirmed waited for its score; None when nothing was scored."""
    scored_ns = _scored(history)
    done = sorted(
        (sent.confirmed_ns, scored_ns[sent.event_id], sent.reef_id)
        for sent in history.sent
        if sent.confirmed_ns is not None and sent.event_id in scored_ns
    )
    if not done:
        return None
    waits = [(scored - confirmed, reef_id) for confirmed, scored, reef_id in done]
    longest, reef_id = max(waits)
    confirmed_at = [confirmed for confirmed, _, _ in done]
    last_scored = list(accumulate((scored for _, scored, _ in done), max))
    recovered: dict[str, list[float]] = defaultdict(list)
    for each in suffered:
        before = bisect_right(confirmed_at, each.healed_ns)
        if before:
            recovered[each.fault.kind].append(max(0, last_scored[before - 1] - each.healed_ns) / SECOND_NS)
    recovery = {
        kind: Recovery(faults=len(seconds), median_seconds=round(median(seconds), 2), longest_seconds=round(max(seconds), 2))
        for kind, seconds in sorted(recovered.items())
    }
    return Delays(
        longest_stall_seconds=round(longest / SECOND_NS, 2),
        stalled_reef=reef_id,
        median_seconds=round(median(wait for wait, _ in waits) / SECOND_NS, 3),
        recovery=recovery,
    )


def _scored(history: History) -> dict[str, int]:
    """Return when the first score that a telemetry message led to was heard, by the message's event id."""
    scores: dict[str, int] = {}
    for heard in history.heard:
        if heard.channel == SCORES.name:
            scores.setdefault(heard.event_id, heard.heard_ns)
    found = {}
    for sent in history.sent:
        score_id = event_id_of(event_id_of(sent.event_id, "readings-0"), "score")
        if score_id in scores:
            found[sent.event_id] = scores[score_id]
    return found


def outputs(history: History) -> dict[str, int]:
    """Return how many messages each channel carried, repeats left out."""
    return dict(Counter(channel for channel, _ in {(each.channel, each.event_id) for each in history.heard}))


def facts_of(report: Report) -> dict[str, str]:
    """Return the figures of a run in words."""
    facts = {
        "lasted": f"{report.lasted_seconds:,.0f} s",
        "messages / readings": f"{report.messages:,} / {report.readings:,}",
        "publish attempts not confirmed": f"{report.repeated:,}",
        "processes started again": f"{report.restarts:,}",
        **{name: f"{count:,}" for name, count in sorted(report.outputs.items())},
        **{name: f"{count:,}" for name, count in sorted(report.counters.items())},
    }
    facts |= {what: f"{count:,}" for what, count in report.did.items()}
    if (delays := report.delays) is not None:
        facts["telemetry to score, median"] = f"{delays.median_seconds:.2f} s"
        facts["longest stall of a reef"] = f"{delays.longest_stall_seconds:.1f} s ({delays.stalled_reef})"
    return facts


def recovery_of(report: Report) -> list[tuple[str, str, str, str]]:
    """Return of each kind of fault: name, how many, median and longest seconds until it had recovered."""
    recovery = {} if report.delays is None else report.delays.recovery
    rows = []
    for kind, count in report.faults_by_kind.items():
        each = recovery.get(kind)
        seconds = ("", "") if each is None else (f"{each.median_seconds:.2f}", f"{each.longest_seconds:.2f}")
        rows.append((kind, str(count), *seconds))
    return rows


def _left_out(report: Report) -> list[str]:
    return [f"{kind} was left out: {why}" for kind, why in report.left_out.items()]


def markdown(report: Report) -> str:
    """Return the figures as they go into ``docs/reliability.md``."""
    found = f"found {len(report.findings)} breaches" if report.findings else "found nothing"
    lines = [
        f"{report.faults} faults, seed {report.seed}, {report.engine} and {report.store}: the checker {found}.",
        "",
        "| figure | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts_of(report).items()),
        "",
        "Recovery: from the end of a fault until all that had been confirmed by then was scored. Other faults overlap it.",
        "",
        "| fault | how many | recovered, median s | longest s |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in recovery_of(report)),
        *(f"- {line}" for line in _left_out(report)),
        *(f"- {finding}" for finding in report.findings),
    ]
    return "\n".join(lines) + "\n"


def show(report: Report, console: Console) -> None:
    """Print a report for people."""
    facts = Table(show_header=False, title=f"{report.faults} faults, seed {report.seed}, {report.engine} and {report.store}")
    for name, value in facts_of(report).items():
        facts.add_row(name, value)
    console.print(facts)
    kinds = Table("fault", "how many", "recovered, median s", "longest s", title="until all that was confirmed is scored")
    for row in recovery_of(report):
        kinds.add_row(*row)
    console.print(kinds)
    for line in _left_out(report):
        console.print(f"NOT DONE  {line}", markup=False, soft_wrap=True)
    if not report.findings:
        console.print("The checker found nothing.")
    for finding in report.findings:
        console.print(f"FOUND  {finding}", markup=False, soft_wrap=True)
