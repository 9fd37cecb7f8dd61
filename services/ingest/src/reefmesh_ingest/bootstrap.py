"""Puts the ingest service together: the only module of it that names adapters."""

from collections.abc import Sequence
from typing import Final

from reefmesh.broker.devices import DeviceBroker
from reefmesh.contracts import channels, services
from reefmesh.contracts.senders import Senders, device_senders
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.lifecycle import Background
from reefmesh.service.program import Program
from reefmesh.store.migrations import read_migrations
from reefmesh.store.port import Store
from reefmesh_ingest.bridge import Bridge
from reefmesh_ingest.handler import IngestHandler
from reefmesh_ingest.quarantine.removal import QuarantineRemoval
from reefmesh_ingest.quarantine.storage import QuarantineStorage
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

    quota = settings.quota()
    kept: tuple[Store, QuarantineStorage] | None = None

    def storage_of(parts: Parts) -> QuarantineStorage:
        """Return the storage that handler and removal share: what it adds to the figures of the store is this process's."""
        nonlocal kept
        if kept is None or kept[0] is not parts.store:
            storage = QuarantineStorage(store=parts.store, clock=parts.clock, quota=quota, metrics=parts.metrics)
            kept = (parts.store, storage)
        return kept[1]

    def handler(parts: Parts) -> IngestHandler:
        register, storage = register_of(parts.store), storage_of(parts)
        return IngestHandler(store=parts.store, register=register, clock=parts.clock, storage=storage, metrics=parts.metrics)

    def background(parts: Parts) -> Sequence[Background]:
        storage = storage_of(parts)
        parts.metrics.add_sampler(storage.sample)
        removal = QuarantineRemoval(store=parts.store, clock=parts.clock, quota=quota, storage=storage, metrics=parts.metrics)
        if not settings.mqtt_bridge or not isinstance(parts.broker, DeviceBroker):
            return (removal.run,)
        queue, register = parts.broker.device_queue(), register_of(parts.store)
        senders = Senders(
            speakers=device_senders(settings.users_of_broker(("ingest",))), unstamped_until=settings.accept_unstamped_until
        )
        bridge = Bridge(queue=queue, register=register, clock=parts.clock, metrics=parts.metrics, senders=senders)
        parts.metrics.add_sampler(bridge.sample)
        if parts.health is not None:
            parts.health.add("mqtt bridge", bridge.check)
        return (removal.run, bridge.run)

    return Blueprint(name="ingest", handlers={channels.INGEST: handler}, migrations=MIGRATIONS, background=background)


PROGRAM: Final = Program(entry=services.INGEST, settings=IngestSettings, blueprint=blueprint, migrations=MIGRATIONS)
