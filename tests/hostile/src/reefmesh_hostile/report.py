"""The figures of a campaign: for people, and for machines."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from reefmesh_hostile.campaign import Tally, wait_seconds


def document(tally: Tally, *, seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "acts": tally.played,
        "acts_wanted": tally.wanted,
        "acts_by_kind": dict(tally.acts),
        "seconds_by_kind": {kind: round(seconds, 1) for kind, seconds in tally.seconds.items()},
        "confirmed": dict(tally.confirmed),
        "refused": dict(tally.refused),
        "accounted": tally.accounted,
        "most_behind": tally.most_behind,
        "lasted_seconds": round(tally.lasted_seconds, 1),
        "honest": honest(tally.waits_seconds),
        "honest_of_the_attackers_reef": honest(tally.own_waits_seconds),
        "peaks_bytes": tally.peaks,
        "breaches": [
            {"findings": [str(finding) for finding in breach.findings], "suspects": list(breach.suspects)}
            for breach in tally.breaches
        ],
    }


def honest(waits_seconds: Sequence[float]) -> dict[str, float]:
    """Return how long honest reports took, in seconds."""
    return {
        "reports": len(waits_seconds),
        "p50": round(wait_seconds(waits_seconds, 0.5), 2),
        "p99": round(wait_seconds(waits_seconds, 0.99), 2),
        "p99.9": round(wait_seconds(waits_seconds, 0.999), 2),
        "longest": round(max(waits_seconds, default=0.0), 2),
    }


def show(tally: Tally, console: Console, *, seed: int) -> None:
    kinds = Table("mischief", "acts", "confirmed", "refused", "seconds", title=f"{tally.played} acts, seed {seed}")
    for kind in sorted(tally.acts):
        counts = (f"{counter[kind]:,}" for counter in (tally.acts, tally.confirmed, tally.refused))
        kinds.add_row(kind, *counts, f"{tally.seconds[kind]:,.0f}")
    console.print(kinds)
    waits = Table("honest reports, seconds to their last effect", "other reefs", "the attacker's reef")
    others, own = honest(tally.waits_seconds), honest(tally.own_waits_seconds)
    for name, value in others.items():
        waits.add_row(name, f"{value:,}", f"{own[name]:,}")
    console.print(waits)
    figures = Table("most that was held", "MB")
    for name, size_bytes in sorted(tally.peaks.items()):
        figures.add_row(name, f"{size_bytes / 1024 / 1024:,.0f}")
    console.print(figures)
    console.print(
        f"{tally.accounted:,} messages of the attacker are accounted for; the run lasted {tally.lasted_seconds:,.0f} s."
    )
    if not tally.is_complete:
        console.print(f"INCOMPLETE: {tally.played:,} of {tally.wanted:,} acts were played.")
    if not tally.breaches:
        console.print("The checker found nothing.")
        return
    found = Counter(finding.kind for breach in tally.breaches for finding in breach.findings)
    table = Table("found", "times")
    for kind, times in found.most_common():
        table.add_row(kind, str(times))
    console.print(table)
    for breach in tally.breaches:
        for finding in breach.findings[:2]:
            console.print(f"FOUND  {finding}", markup=False, soft_wrap=True)
        console.print(f"  after {breach.suspects[0] if breach.suspects else 'the start'}", markup=False, soft_wrap=True)
