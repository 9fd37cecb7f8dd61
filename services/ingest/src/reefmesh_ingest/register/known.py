"""Entries of the register as the steps of a message use them: everything that depends on an entry alone, made once."""

from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter

from reefmesh.contracts.register import BuoyFacts, ReefFacts, SensorFacts
from reefmesh_ingest.domain.assignment import Assignment
from reefmesh_ingest.domain.decode.values import us_of
from reefmesh_ingest.domain.deployment import Deployment
from reefmesh_ingest.domain.ph import Seawater
from reefmesh_ingest.domain.quality.limits import QuantityLimits
from reefmesh_ingest.register.entries import BuoyEntry, ReefEntry

_SENSORS: Final = TypeAdapter(dict[str, dict[str, SensorFacts]])


@dataclass(slots=True)
class KnownReef:
    """A registered reef: its facts and its stated conditions as JSON text (None: none is stated), its limits of quality
    control, and its water."""

    entry: ReefEntry
    facts_json: str = field(init=False)
    conditions_json: str | None = field(init=False)
    water: Seawater = field(init=False)
    limits: dict[str, QuantityLimits] = field(init=False)

    def __post_init__(self) -> None:
        self.facts_json = self.facts.model_dump_json()
        self.limits = self.entry.limits_in_force()
        conditions = self.entry.conditions()
        self.conditions_json = None if conditions is None else conditions.model_dump_json()
        self.water = self.entry.water()

    @property
    def facts(self) -> ReefFacts:
        return self.entry.facts()


@dataclass(slots=True)
class KnownBuoy:
    """A registered buoy: its facts and what is stated of its sensors as JSON text (None: nothing is), what its sensors measure,
    and how it is deployed."""

    entry: BuoyEntry
    facts_json: str = field(init=False)
    sensors_json: str | None = field(init=False)
    assignment: Assignment = field(init=False)
    deployment: Deployment = field(init=False)

    def __post_init__(self) -> None:
        entry = self.entry
        self.facts_json = self.facts.model_dump_json()
        sensors = entry.sensor_facts()
        self.sensors_json = _SENSORS.dump_json({entry.id: sensors}).decode() if sensors else None
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
