"""The measured sections of docs/alerts.md: a year of the demonstration's fleet by reef, and several seas of a demo's length."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from ledger_of_a_life import Life
from reefmesh_standalone.simulator.fleet import DAYS

PAGE: Final = Path(__file__).parents[2] / "docs" / "alerts.md"
OF_A_YEAR: Final = "## A year of the demo's fleet\n"
OF_SEAS: Final = "## The demo on several seas\n"


def write_page(page: Path, lives: Sequence[Life], command: str, today: date) -> None:
    """Put the figures in their section: lives as long as ``reefmesh demo`` have one of their own."""
    if lives[0].days == DAYS:
        _write_section(page, OF_SEAS, section_of_seas(lives, command, today))
    else:
        _write_section(page, OF_A_YEAR, section_of_year(lives, command, today))


def section_of_year(lives: Sequence[Life], command: str, today: date) -> str:
    lines = [
        OF_A_YEAR,
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
        *_kinds_by_reef(lives),
        "",
        *(life.sentence for life in lives),
    ]
    return "\n".join(lines) + "\n"


def section_of_seas(lives: Sequence[Life], command: str, today: date) -> str:
    kinds = sorted({each.kind for life in lives for each in life.alerts})
    heads = ["sea", *(f"`{kind}`" for kind in kinds), "all", "a reef and day", "at most", "laws broken"]
    lines = [
        OF_SEAS,
        f"The same script and laws, with other seas around the same buoys, for the {lives[0].days} days of `reefmesh demo`.",
        "A reef and day: the mean over all reefs of the register and all days, and the most of any.",
        "",
        f"`{command} --write-page`, {today.isoformat()}:",
        "",
        f"| {' | '.join(heads)} |",
        f"|---|{'---:|' * (len(heads) - 2)}---|",
        *(_line_of_sea(life, kinds) for life in lives),
    ]
    return "\n".join(lines) + "\n"


def _line_of_sea(life: Life, kinds: Sequence[str]) -> str:
    told = Counter[str](each.kind for each in life.alerts)
    figures = [str(told[kind]) for kind in kinds]
    figures += [str(len(life.alerts)), f"{life.mean_of_a_reef_and_day:.2f}", str(life.most_of_a_reef_and_day)]
    return f"| `{life.fleet.seed}` | {' | '.join(figures)} | {life.laws_broken} |"


def _kinds_by_reef(lives: Sequence[Life]) -> list[str]:
    reefs = [site.reef_id for site in lives[0].fleet.sites if site.registered]
    told = Counter((each.kind, each.reef_id) for life in lives for each in life.alerts)
    kinds = sorted({kind for kind, _ in told})
    lines = [f"| kind | {' | '.join(reefs)} | all |", f"|---|{'---:|' * (len(reefs) + 1)}"]
    for kind in kinds:
        counts = [told[kind, reef] for reef in reefs]
        lines.append(f"| `{kind}` | {' | '.join(str(each) for each in counts)} | {sum(counts)} |")
    sums = [sum(told[kind, reef] for kind in kinds) for reef in reefs]
    lines.append(f"| all | {' | '.join(str(each) for each in sums)} | {sum(sums)} |")
    return lines


def _write_section(page: Path, heading: str, section: str) -> None:
    """Put the section in the place of its predecessor, or at the end of the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(heading)
    _, mark, after = rest.partition("\n## ")
    page.write_text(before.rstrip("\n") + "\n\n" + section + (mark and f"\n## {after}"), encoding="utf-8")
