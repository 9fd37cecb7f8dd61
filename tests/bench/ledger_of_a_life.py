"""One fleet's life and its ledger: what was told, how often, and what contradicts itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from alert_contradictions import Contradiction
from reefmesh.contracts.alerts import Alert
from reefmesh_standalone.simulator.fleet import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
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
    def mean_of_a_reef_and_day(self) -> float:
        """Over the reefs of the register, days without an alert included."""
        return len(self.alerts) / (self.days * sum(site.registered for site in self.fleet.sites))

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
