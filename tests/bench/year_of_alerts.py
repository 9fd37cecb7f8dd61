"""The alerts of the demonstration's fleet over a year: how many of which kind, and whether any contradicts itself.

python tests/bench/year_of_alerts.py                         # 400 days
python tests/bench/year_of_alerts.py --days 126 --seeds 5    # five seas, as long as `make demo`
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from alert_contradictions import contradictions, untold
from alerts_page import PAGE, write_page
from ledger_of_a_life import Life
from lived_fleet import alerts_of
from reefmesh.observability.logs import configure_logging
from reefmesh_standalone.simulator.fleet import demonstration

UNTIL: Final = datetime(2025, 6, 1, tzinfo=UTC)
FIRST_SEED: Final = "reefmesh"
SHOWN: Final = 12


def table_of(lives: Sequence[Life]) -> Table:
    """Kind and change by reef, over all these lives."""
    reefs = [site.reef_id for site in lives[0].fleet.sites if site.registered]
    table = Table("kind", "change", *reefs, "all", title="Alerts", title_justify="left")
    told = Counter((each.kind, each.change, each.reef_id) for life in lives for each in life.alerts)
    for kind, change in sorted({(kind, change) for kind, change, _ in told}):
        counts = [told[kind, change, reef] for reef in reefs]
        table.add_row(kind, change, *(str(each or "") for each in counts), str(sum(counts)))
    return table


def show(lives: Sequence[Life]) -> None:
    out = Console(highlight=False, markup=False, width=200)
    out.print(table_of(lives))
    for life in lives:
        out.print(life.sentence)
        for outage in life.untold:
            out.print(f"  not told: an outage of {outage}")
        shown: Counter[tuple[str, str]] = Counter()
        for each in life.found:
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
    parser.add_argument("--write-page", action="store_true", help=f"write the figures to their section of {PAGE.name}")
    arguments = parser.parse_args()
    configure_logging("year-of-alerts", level="error")
    lives = []
    for number in range(arguments.seeds):
        seed = FIRST_SEED if number == 0 else f"{FIRST_SEED}-{number}"
        fleet = demonstration(arguments.until, seed=seed, days=arguments.days)
        alerts = asyncio.run(alerts_of(fleet, report=_report))
        lives.append(Life(fleet=fleet, alerts=alerts, found=contradictions(alerts, fleet), untold=untold(alerts, fleet)))
    if arguments.alerts:
        arguments.alerts.write_text("".join(each.model_dump_json() + "\n" for life in lives for each in life.alerts))
    if arguments.json:
        arguments.json.write_text(json.dumps([life.document() for life in lives], indent=2) + "\n")
    show(lives)
    if arguments.write_page:
        command = f"python tests/bench/{Path(__file__).name} --days {arguments.days} --seeds {arguments.seeds}"
        write_page(PAGE, lives, command, datetime.now(UTC).date())
    return int(any(life.found or life.untold for life in lives))


def _report(through: int, of: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{through:,} of {of:,} messages")


if __name__ == "__main__":
    sys.exit(main())
