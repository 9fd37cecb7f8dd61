"""Entries of the register as the steps of a message use them: everything that depends on an entry alone, made once."""

from dataclasses import dataclass, field

from reefmesh.contracts.register import BuoyFacts, ReefFacts
from reefmesh_ingest.domain.assignment import Assignment
from reefmesh_ingest.domain.decode.values import us_of
from reefmesh_ingest.domain.deployment import Deployment
from reefmesh_ingest.domain.quality.limits import QuantityLimits
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry


@dataclass(slots=True)
class KnownReef:
    """A registered reef: its facts as JSON text, and its limits of quality control."""

    entry: ReefEntry
    facts_json: str = field(init=False)
    limits: dict[str, QuantityLimits] = field(init=False)

    def __post_init__(self) -> None:
        self.facts_json = self.facts.model_dump_json()
        self.limits = self.entry.limits_in_force()

    @property
    def facts(self) -> ReefFacts:
        return self.entry.facts()


@dataclass(slots=True)
class KnownBuoy:
    """A registered buoy: its facts as JSON text, what its sensors measure, and how it is deployed."""

    entry: BuoyEntry
    facts_json: str = field(init=False)
    assignment: Assignment = field(init=False)
    deployment: Deployment = field(init=False)

    def __post_init__(self) -> None:
        entry = self.entry
        self.facts_json = self.facts.model_dump_json()
        self.assignment = entry.assignment()
        self.deployment = Deployment(
            earliest_us=us_of(entry.earliest_observed_at),
            mooring=(entry.mooring.latitude_degrees, entry.mooring.longitude_degrees) if entry.mooring else None,
            drift_limit_metres=entry.drift_limit_metres,
            report_interval_us=entry.report_interval_seconds * 1_000_000,
        )

    @property
    def facts(self) -> BuoyFacts:
        return self.entry.facts()
