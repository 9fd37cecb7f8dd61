"""Puts the gateway together: the only module of it that names adapters."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from reefmesh.contracts import services
from reefmesh.observability import table
from reefmesh.observability.page_connections import Closing, ConnectionLimits
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.lifecycle import Background
from reefmesh.service.program import Program
from reefmesh.store.migrations import read_migrations
from reefmesh_gateway.answers import Answers
from reefmesh_gateway.domain.sender_address import networks_of
from reefmesh_gateway.door.application import application
from reefmesh_gateway.door.intake import Intake
from reefmesh_gateway.door.listener import Door, DoorAddress
from reefmesh_gateway.identities.known import KnownIdentities
from reefmesh_gateway.identities.last_use import LastUse
from reefmesh_gateway.limits import DoorLimits
from reefmesh_gateway.publishing import ReportPublisher
from reefmesh_gateway.settings import GatewaySettings

MIGRATIONS: Final = (read_migrations("gateway", "reefmesh_gateway"),)

log = structlog.get_logger()


def blueprint(settings: GatewaySettings) -> Blueprint:
    """Return what is particular to the gateway: it consumes nothing, and its work is in its doors.

    Raises:
        ConfigurationError: the door's certificate cannot be used.
    """
    address = None
    if settings.door_port is not None:
        address = DoorAddress.of(settings.door_host, settings.door_port, settings.door_certificate_file, settings.door_key_file)

    def background(parts: Parts) -> Sequence[Background]:
        if address is None:
            log.info("the HTTP door is closed: REEFMESH_GATEWAY_DOOR_PORT is not set")
            return ()
        door, beside = door_of(settings, address, parts)
        if parts.health is not None:
            parts.health.add("http door", door.check)
        return (door.run, *beside)

    return Blueprint(name="gateway", handlers={}, migrations=MIGRATIONS, background=background)


def door_of(
    settings: GatewaySettings, address: DoorAddress, parts: Parts, *, monotonic: Callable[[], float] = time.monotonic
) -> tuple[Door, Sequence[Background]]:
    """Return the HTTP door, and what has to run beside it. ``monotonic``: the clock of limits, in seconds."""
    metrics = parts.metrics
    identities, last_use = KnownIdentities(parts.store, now=monotonic), LastUse(parts.store)
    answers = Answers(parts.store, parts.clock)
    limits = DoorLimits(address_requests=settings.address_requests_limit, bytes_a_day=settings.bytes_a_day_limit, now=monotonic)
    intake = Intake(
        identities=identities,
        last_use=last_use,
        limits=limits,
        answers=answers,
        publisher=ReportPublisher(parts.broker, timeout_seconds=settings.publish_timeout_seconds),
        clock=parts.clock,
        metrics=metrics,
    )

    def closed(why: Closing) -> None:
        metrics.count(table.GATEWAY_CONNECTIONS_CLOSED, why)

    async def sample() -> None:
        metrics.set(table.GATEWAY_DEVICES, identities.devices)
        metrics.set(table.GATEWAY_IDENTITIES_AGE_SECONDS, identities.age_seconds or 0.0)

    metrics.add_sampler(sample)
    app = application(intake, limits, metrics, trusted_proxies=networks_of(settings.trusted_proxies))
    connections = ConnectionLimits(
        in_all=settings.door_connections_limit,
        for_each_peer=settings.door_connections_each_limit,
        request_timeout_seconds=settings.request_timeout_seconds,
        answer_timeout_seconds=settings.answer_timeout_seconds,
    )
    return Door(app, address, limits=connections, closed=closed), (last_use.run, answers.run)


PROGRAM: Final = Program(entry=services.GATEWAY, settings=GatewaySettings, blueprint=blueprint, migrations=MIGRATIONS)
