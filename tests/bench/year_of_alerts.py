"""The alerts of the demonstration's fleet over a year: how many of which kind, and whether any contradicts itself.

python tests/bench/year_of_alerts.py                         # 400 days
python tests/bench/year_of_alerts.py --days 126 --seeds 5    # five seas, as long as `reefmesh demo`
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from alert_contradictions import Contradiction, contradictions, untold
from lived_fleet import alerts_of
from reefmesh.contracts.alerts import Alert
from reefmesh.observability.logs import configure_logging
from reefmesh_standalone.simulator.fleet import Fleet, demonstration

UNTIL: Final = datetime(2025, 6, 1, tzinfo=UTC)
FIRST_SEED: Final = "reefmesh"
SHOWN: Final = 12

PAGE: Final = Path(__file__).parents[2] / "docs" / "alerts.md"
HEADING: Final = "## A year of the demo's fleet\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """One fleet's life and its ledger."""

    fleet: Fleet
    alerts: Sequence[Alert]
    found: Sequence[Contradiction]
    untold: Sequence[str]

    @property
    def days(self) -> int:
        return (self.fleet.ends_at - self.fleet.begins_at).days

    @property
    def most_of_a_reef_and_day(self) -> int:
        return max(Counter((each.reef_id, each.occurred_at.date()) for each in self.alerts).values(), default=0)

    @property
    def laws_broken(self) -> str:
        """The laws that this ledger breaks, with how often."""
        counts = Counter(each.law for each in self.found) + Counter({"outage not told": len(self.untold)})
        return ", ".join(f"{law} {count}" for law, count in counts.items()) or "none"

    @property
    def sentence(self) -> str:
        told = f"{len(self.alerts)} alerts, at most {self.most_of_a_reef_and_day} of a reef and day"
        return f"Seed `{self.fleet.seed}`, {self.days} days: {told}; laws broken: {self.laws_broken}."

    def document(self) -> dict[str, object]:
        return {
            "seed": self.fleet.seed,
            "days": self.days,
            "alerts": len(self.alerts),
            "by_kind": Counter(each.kind for each in self.alerts),
            "by_reef": Counter(each.reef_id for each in self.alerts),
            "most_of_a_reef_and_day": self.most_of_a_reef_and_day,
            "silences_untold": list(self.untold),
            "contradictions": [
                {"law": each.law, "what": each.what, "alert": each.alert.model_dump(mode="json")} for each in self.found
            ],
        }


def table_of(years: Sequence[Year]) -> Table:
    """Kind and change by reef, over all these years."""
    reefs = [site.reef_id for site in years[0].fleet.sites if site.registered]
    table = Table("kind", "change", *reefs, "all", title="Alerts", title_justify="left")
    told = Counter((each.kind, each.change, each.reef_id) for year in years for each in year.alerts)
    for kind, change in sorted({(kind, change) for kind, change, _ in told}):
        counts = [told[kind, change, reef] for reef in reefs]
        table.add_row(kind, change, *(str(each or "") for each in counts), str(sum(counts)))
    return table


def markdown_of(years: Sequence[Year]) -> str:
    """The same as lines of a page: kind by reef."""
    reefs = [site.reef_id for site in years[0].fleet.sites if site.registered]
    told = Counter((each.kind, each.reef_id) for year in years for each in year.alerts)
    lines = [f"| kind | {' | '.join(reefs)} | all |", f"|---|{'---:|' * (len(reefs) + 1)}"]
    for kind in sorted({kind for kind, _ in told}):
        counts = [told[kind, reef] for reef in reefs]
        lines.append(f"| `{kind}` | {' | '.join(str(each) for each in counts)} | {sum(counts)} |")
    sums = [sum(told[kind, reef] for kind in {kind for kind, _ in told}) for reef in reefs]
    lines.append(f"| all | {' | '.join(str(each) for each in sums)} | {sum(sums)} |")
    return "\n".join(lines)


def section_of(years: Sequence[Year], command: str, today: date) -> str:
    """The section of docs/alerts.md."""
    lines = [
        HEADING,
        "A script lives through the fleet of `reefmesh demo` from its first day to its last: every report arrives at its time, "
        "batches, duplicates and late messages included, and deadlines are looked at as time passes.",
        "It compares the ledger with three laws:",
        "",
        "- no two opposite alerts of one subject within its dwell time: of heat and chemistry one in each direction a date, "
        "of all else a report interval apart;",
        "- no text against its own numbers;",
        "- no silence but where the simulation was silent or its link held up a message, and no outage untold.",
        "",
        f"`{command} --write-page`, {today.isoformat()}:",
        "",
        markdown_of(years),
        "",
    ]
    lines += [year.sentence for year in years]
    return "\n".join(lines) + "\n"


def write_section(page: Path, section: str) -> None:
    """Put the section in the place of its predecessor, or at the end of the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(HEADING)
    _, mark, after = rest.partition("\n## ")
    page.write_text(before.rstrip("\n") + "\n\n" + section + (mark and f"\n## {after}"), encoding="utf-8")


def show(years: Sequence[Year]) -> None:
    out = Console(highlight=False, markup=False, width=200)
    out.print(table_of(years))
    for year in years:
        out.print(year.sentence)
        for outage in year.untold:
            out.print(f"  not told: an outage of {outage}")
        shown: Counter[tuple[str, str]] = Counter()
        for each in year.found:
            shown[each.law, each.alert.kind] += 1
            if shown[each.law, each.alert.kind] <= SHOWN:
                out.print(f"  {each.law}: {each.what}: {each.alert.occurred_at:%Y-%m-%d %H:%M} {each.alert.summary}")


def main() -> int:
    """Return 1 when a ledger contradicts itself."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=1, help="so many seas")
    parser.add_argument("--until", type=datetime.fromisoformat, default=UNTIL, help="the end of the fleet's life")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--alerts", type=Path, help="where to write the ledgers (JSON lines)")
    parser.add_argument("--write-page", action="store_true", help=f"write the figures to {PAGE.name}")
    arguments = parser.parse_args()
    configure_logging("year-of-alerts", level="error")
    years = []
    for number in range(arguments.seeds):
        seed = FIRST_SEED if number == 0 else f"{FIRST_SEED}-{number}"
        fleet = demonstration(arguments.until, seed=seed, days=arguments.days)
        alerts = asyncio.run(alerts_of(fleet, report=_report))
        years.append(Year(fleet=fleet, alerts=alerts, found=contradictions(alerts, fleet), untold=untold(alerts, fleet)))
    if arguments.alerts:
        arguments.alerts.write_text("".join(each.model_dump_json() + "\n" for year in years for each in year.alerts))
    if arguments.json:
        arguments.json.write_text(json.dumps([year.document() for year in years], indent=2) + "\n")
    show(years)
    if arguments.write_page:
        command = f"python tests/bench/{Path(__file__).name} --days {arguments.days} --seeds {arguments.seeds}"
        write_section(PAGE, section_of(years, command, datetime.now(UTC).date()))
    return int(any(year.found or year.untold for year in years))


def _report(through: int, of: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{through:,} of {of:,} messages")


if __name__ == "__main__":
    sys.exit(main())
