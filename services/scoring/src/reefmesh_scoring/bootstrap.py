"""Assembles the service from its settings. No other module names an adapter."""

from typing import Final

from reefmesh.contracts import channels
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.store.migrations import read_migrations
from reefmesh_scoring.handler import ScoringHandler
from reefmesh_scoring.reef_gauges import ReefGauges
from reefmesh_scoring.settings import ScoringSettings
from reefmesh_scoring.timeliness import Timeliness

MIGRATIONS: Final = (read_migrations("scoring", "reefmesh_scoring"),)


def blueprint(_: ScoringSettings) -> Blueprint:
    """Return the parts of a service that are scoring's own."""
    return Blueprint(name="scoring", subscription=channels.SCORING, migrations=MIGRATIONS, handler=_handler)


def _handler(parts: Parts) -> ScoringHandler:
    gauges = ReefGauges(parts.metrics)
    parts.metrics.add_sampler(gauges.sample)
    return ScoringHandler(parts.store, gauges=gauges, timeliness=Timeliness(parts.metrics, parts.clock))
