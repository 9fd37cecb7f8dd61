"""Puts the gateway together: the only module of it that names adapters."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
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
from reefmesh_gateway.mqtt.address import MqttAddress
from reefmesh_gateway.mqtt.door import NAME as MQTT_DOOR
from reefmesh_gateway.mqtt.door import MqttDoor
from reefmesh_gateway.mqtt.held import HeldReports
from reefmesh_gateway.mqtt.intake import MqttIntake
from reefmesh_gateway.mqtt.lease import Lease
from reefmesh_gateway.mqtt.receipts import Receipts
from reefmesh_gateway.mqtt.session import DeviceSession, MqttSession
from reefmesh_gateway.publishing import ReportPublisher
from reefmesh_gateway.settings import GatewaySettings

MIGRATIONS: Final = (read_migrations("gateway", "reefmesh_gateway"),)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What both doors work with, so that a device has one limit and one last use."""

    identities: KnownIdentities
    last_use: LastUse
    limits: DoorLimits
    publisher: ReportPublisher


def blueprint(settings: GatewaySettings) -> Blueprint:
    """Return what is particular to the gateway: it consumes nothing, and its work is in its doors.

    Raises:
        ConfigurationError: an address or a certificate of a door cannot be used.
    """
    address = None
    if settings.door_port is not None:
        address = DoorAddress.of(settings.door_host, settings.door_port, settings.door_certificate_file, settings.door_key_file)
    mqtt_address = mqtt_address_of(settings)

    def background(parts: Parts) -> Sequence[Background]:
        common = common_of(settings, parts)
        tasks: list[Background] = []
        if address is None:
            log.info("the HTTP door is closed: REEFMESH_GATEWAY_DOOR_PORT is not set")
        else:
            door, answers = door_of(settings, address, parts, common)
            if parts.health is not None:
                parts.health.add("http door", door.check)
            tasks += [door.run, answers]
        if mqtt_address is not None:
            mqtt_door = mqtt_door_of(mqtt_address, parts, common, in_hand_limit=settings.mqtt_in_hand_limit)
            if parts.health is not None:
                parts.health.add(MQTT_DOOR, mqtt_door.check)
            tasks.append(mqtt_door.run)
        return [*tasks, common.last_use.run] if tasks else []

    return Blueprint(name="gateway", handlers={}, migrations=MIGRATIONS, background=background)


def common_of(settings: GatewaySettings, parts: Parts, *, monotonic: Callable[[], float] = time.monotonic) -> Common:
    """Return what both doors share. ``monotonic``: the clock of limits, in seconds."""
    metrics, identities = parts.metrics, KnownIdentities(parts.store, now=monotonic)

    async def sample() -> None:
        metrics.set(table.GATEWAY_DEVICES, identities.devices)
        metrics.set(table.GATEWAY_IDENTITIES_AGE_SECONDS, identities.age_seconds or 0.0)

    metrics.add_sampler(sample)
    return Common(
        identities=identities,
        last_use=LastUse(parts.store),
        limits=DoorLimits(
            address_requests=settings.address_requests_limit, bytes_a_day=settings.bytes_a_day_limit, now=monotonic
        ),
        publisher=ReportPublisher(parts.broker, timeout_seconds=settings.publish_timeout_seconds),
    )


def door_of(settings: GatewaySettings, address: DoorAddress, parts: Parts, common: Common) -> tuple[Door, Background]:
    """Return the HTTP door, and what has to run beside it."""
    metrics, limits = parts.metrics, common.limits
    answers = Answers(parts.store, parts.clock)
    intake = Intake(
        identities=common.identities,
        last_use=common.last_use,
        limits=limits,
        answers=answers,
        publisher=common.publisher,
        clock=parts.clock,
        metrics=metrics,
    )

    def closed(why: Closing) -> None:
        metrics.count(table.GATEWAY_CONNECTIONS_CLOSED, why)

    app = application(intake, limits, metrics, trusted_proxies=networks_of(settings.trusted_proxies))
    connections = ConnectionLimits(
        in_all=settings.door_connections_limit,
        for_each_peer=settings.door_connections_each_limit,
        request_timeout_seconds=settings.request_timeout_seconds,
        answer_timeout_seconds=settings.answer_timeout_seconds,
    )
    return Door(app, address, limits=connections, closed=closed), answers.run


def mqtt_address_of(settings: GatewaySettings) -> MqttAddress | None:
    """Return where the MQTT broker is; None: there is none. Raises ConfigurationError."""
    if settings.mqtt_url is None:
        return None
    return MqttAddress.of(
        settings.mqtt_url,
        client_id=settings.mqtt_client_id,
        password=None if settings.mqtt_password is None else settings.mqtt_password.get_secret_value(),
        ca_file=settings.mqtt_ca_file,
        certificate_file=settings.mqtt_certificate_file,
        key_file=settings.mqtt_key_file,
    )


def mqtt_door_of(
    address: MqttAddress,
    parts: Parts,
    common: Common,
    *,
    in_hand_limit: int,
    open_session: Callable[[], DeviceSession] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> MqttDoor:
    """Return the MQTT door. ``open_session``: what makes a session, where it is not one at that address."""
    intake = MqttIntake(
        identities=common.identities,
        last_use=common.last_use,
        limits=common.limits,
        receipts=Receipts(parts.store, address.session),
        held=HeldReports(parts.store),
        publisher=common.publisher,
        clock=parts.clock,
        metrics=parts.metrics,
    )
    door = MqttDoor(
        open_session=open_session or (lambda: MqttSession(address, in_hand_limit=in_hand_limit, clock=parts.clock)),
        intake=intake,
        lease=Lease(parts.store, address.session, now=monotonic),
        metrics=parts.metrics,
        random=Random(),  # noqa: S311 - it spreads retries, and hides nothing
    )
    parts.metrics.add_sampler(door.sample)
    return door


PROGRAM: Final = Program(entry=services.GATEWAY, settings=GatewaySettings, blueprint=blueprint, migrations=MIGRATIONS)
