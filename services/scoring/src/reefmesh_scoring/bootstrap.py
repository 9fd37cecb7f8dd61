"""Puts the scoring service together: the only module of it that names adapters."""

from typing import Final

from reefmesh.contracts import channels, services
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.program import Program
from reefmesh.store.migrations import read_migrations
from reefmesh_scoring.handler import ScoringHandler
from reefmesh_scoring.reef_gauges import ReefGauges
from reefmesh_scoring.settings import ScoringSettings
from reefmesh_scoring.timeliness import Timeliness

MIGRATIONS: Final = (read_migrations("scoring", "reefmesh_scoring"),)


def blueprint(_: ScoringSettings) -> Blueprint:
    """Return what is particular to the scoring service."""
    return Blueprint(name="scoring", handlers={channels.SCORING: _handler}, migrations=MIGRATIONS)


def _handler(parts: Parts) -> ScoringHandler:
    gauges = ReefGauges(parts.metrics)
    parts.metrics.add_sampler(gauges.sample)
    timeliness = Timeliness(parts.metrics, parts.clock)
    return ScoringHandler(parts.store, gauges=gauges, timeliness=timeliness, clock=parts.clock)


PROGRAM: Final = Program(entry=services.SCORING, settings=ScoringSettings, blueprint=blueprint, migrations=MIGRATIONS)
