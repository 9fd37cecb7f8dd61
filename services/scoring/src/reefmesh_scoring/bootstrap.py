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


def blueprint(settings: ScoringSettings) -> Blueprint:
    """Return what is particular to the scoring service."""

    def handler(parts: Parts) -> ScoringHandler:
        gauges = ReefGauges(parts.metrics, parts.clock)
        parts.metrics.add_sampler(gauges.sample)
        return ScoringHandler(
            parts.store,
            gauges=gauges,
            timeliness=Timeliness(parts.metrics, parts.clock),
            clock=parts.clock,
            scores_schema=settings.scores_schema,
        )

    return Blueprint(name="scoring", handlers={channels.SCORING: handler}, migrations=MIGRATIONS)


PROGRAM: Final = Program(entry=services.SCORING, settings=ScoringSettings, blueprint=blueprint, migrations=MIGRATIONS)
