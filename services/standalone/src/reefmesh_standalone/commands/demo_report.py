"""The output of the demonstration: the fleet and its troubles, then reefs, alerts and the accounting."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from reefmesh.contracts.alerts import Alert
from reefmesh.contracts.scores import ReefScore
from reefmesh_ingest.accounting import Accounting
from reefmesh_standalone.commands.books_table import books_table
from reefmesh_standalone.commands.reef_table import ReefLine, reef_table, table_of, words
from reefmesh_standalone.simulator.fleet import Fleet

SHOWN_OF_EACH_KIND: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """The results of the fleet's telemetry, ``at`` the end."""

    scores: Sequence[ReefScore]
    alerts: Sequence[Alert]
    books: Accounting
    sent: int
    received_before: int
    at: datetime

    @property
    def unexplained(self) -> int:
        return self.sent - (self.books.messages.received - self.received_before)


def fleet_table(fleet: Fleet) -> Table:
    """Return the fleet and what happens to it."""
    table = table_of("The fleet", "reef", "format", "what happens there")
    for site in fleet.sites:
        table.add_row(site.name, site.device.generation.value, site.story)
    return table


def show(out: Console, fleet: Fleet, outcomes: Outcomes) -> None:
    """Print everything for a person."""
    by_reef = {score.reef_id: score for score in outcomes.scores}
    lines = [ReefLine(name=site.name, score=by_reef.get(site.reef_id)) for site in fleet.sites]
    out.print(reef_table(lines, now=outcomes.at, width=out.width))
    out.print(_alert_table(outcomes.alerts))
    out.print(books_table(outcomes.books))
    _show_verdict(out, outcomes)


def document(fleet: Fleet, outcomes: Outcomes) -> dict[str, Any]:
    """Return everything for a machine."""
    books = {"sent": outcomes.sent, "unexplained": outcomes.unexplained, **asdict(outcomes.books)}
    return {
        "at": outcomes.at.isoformat(),
        "reefs": [score.model_dump(mode="json", exclude={"heat": {"changed"}}) for score in outcomes.scores],
        "alerts": [alert.model_dump(mode="json") for alert in outcomes.alerts],
        "accounting": {**books, "discrepancies": list(outcomes.books.discrepancies)},
        "sites": [{"reef_id": site.reef_id, "story": site.story} for site in fleet.sites],
    }


def _alert_table(alerts: Sequence[Alert]) -> Table:
    counts = Counter(alert.kind for alert in alerts)
    latest: Counter[str] = Counter()
    newest = []
    for alert in sorted(alerts, key=lambda alert: (alert.occurred_at, alert.alert_id), reverse=True):
        latest[alert.kind] += 1
        if latest[alert.kind] <= SHOWN_OF_EACH_KIND:
            newest.append(alert)
    kinds = ", ".join(f"{words(kind)} {count}" for kind, count in sorted(counts.items()))
    table = table_of(f"{len(alerts)} alerts: {kinds}", "happened (UTC)", "alert")
    if len(newest) < len(alerts):
        table.caption = f"The latest {SHOWN_OF_EACH_KIND} of each kind."
        table.caption_justify = "left"
    for alert in reversed(newest):
        table.add_row(f"{alert.occurred_at:%Y-%m-%d %H:%M}", alert.summary)
    return table


def _show_verdict(out: Console, outcomes: Outcomes) -> None:
    if outcomes.unexplained:
        out.print(f"{outcomes.unexplained} of {outcomes.sent} messages are unexplained.")
    for discrepancy in outcomes.books.discrepancies:
        out.print(f"The books do not agree: {discrepancy}.")
    if not outcomes.unexplained and not outcomes.books.discrepancies:
        out.print(f"All {outcomes.sent} messages that were sent are accounted for, nothing is unexplained.")
