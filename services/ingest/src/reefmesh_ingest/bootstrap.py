"""Puts the ingest service together: the only module of it that names adapters."""

from collections.abc import Sequence
from typing import Final

from reefmesh.broker.devices import DeviceBroker
from reefmesh.contracts import channels, services
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.lifecycle import Background
from reefmesh.service.program import Program
from reefmesh.store.migrations import read_migrations
from reefmesh.store.port import Store
from reefmesh_ingest.bridge import Bridge
from reefmesh_ingest.handler import IngestHandler
from reefmesh_ingest.register.table import Register
from reefmesh_ingest.settings import IngestSettings

MIGRATIONS: Final = (read_migrations("ingest", "reefmesh_ingest"),)


def blueprint(settings: IngestSettings) -> Blueprint:
    """Return what is particular to the ingest service."""
    shared: tuple[Store, Register] | None = None

    def register_of(store: Store) -> Register:
        """Return the register that handler and bridge share: what it keeps in memory is large."""
        nonlocal shared
        if shared is None or shared[0] is not store:
            shared = (store, Register(store))
        return shared[1]

    def handler(parts: Parts) -> IngestHandler:
        register = register_of(parts.store)
        return IngestHandler(store=parts.store, register=register, clock=parts.clock, metrics=parts.metrics)

    def background(parts: Parts) -> Sequence[Background]:
        if not settings.mqtt_bridge or not isinstance(parts.broker, DeviceBroker):
            return ()
        queue, register = parts.broker.device_queue(), register_of(parts.store)
        bridge = Bridge(queue=queue, register=register, clock=parts.clock, metrics=parts.metrics)
        parts.metrics.add_sampler(bridge.sample)
        if parts.health is not None:
            parts.health.add("mqtt bridge", bridge.check)
        return (bridge.run,)

    return Blueprint(name="ingest", handlers={channels.INGEST: handler}, migrations=MIGRATIONS, background=background)


PROGRAM: Final = Program(entry=services.INGEST, settings=IngestSettings, blueprint=blueprint, migrations=MIGRATIONS)
