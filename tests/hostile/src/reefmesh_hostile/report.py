"""The figures of a campaign: for people, and for machines."""

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from reefmesh_hostile.campaign import Tally


def document(tally: Tally, *, seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "acts": tally.played,
        "acts_by_kind": dict(tally.acts),
        "confirmed": dict(tally.confirmed),
        "refused": dict(tally.refused),
        "accounted": tally.accounted,
        "lasted_seconds": round(tally.lasted_seconds, 1),
        "honest": honest(tally),
        "breaches": [
            {"findings": [str(finding) for finding in breach.findings], "suspects": list(breach.suspects)}
            for breach in tally.breaches
        ],
    }


def honest(tally: Tally) -> dict[str, float]:
    """Return how long honest reports took, in seconds."""
    return {
        "reports": len(tally.waits_seconds),
        "p50": round(tally.wait_seconds(0.5), 2),
        "p99": round(tally.wait_seconds(0.99), 2),
        "p99.9": round(tally.wait_seconds(0.999), 2),
        "longest": round(max(tally.waits_seconds, default=0.0), 2),
    }


def show(tally: Tally, console: Console, *, seed: int) -> None:
    kinds = Table("mischief", "acts", "confirmed", "refused", title=f"{tally.played} acts, seed {seed}")
    for kind in sorted(tally.acts):
        kinds.add_row(kind, *(f"{counter[kind]:,}" for counter in (tally.acts, tally.confirmed, tally.refused)))
    console.print(kinds)
    figures = Table(show_header=False, title="honest reports, seconds to their last effect")
    for name, value in honest(tally).items():
        figures.add_row(name, f"{value:,}")
    figures.add_row("attacker's messages accounted for", f"{tally.accounted:,}")
    figures.add_row("lasted", f"{tally.lasted_seconds:,.0f} s")
    console.print(figures)
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
