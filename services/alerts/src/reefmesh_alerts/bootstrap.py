"""Puts the alerts service together: the only module of it that names adapters."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from reefmesh.backoff import Backoff
from reefmesh.contracts import services
from reefmesh.contracts.channels import ALERTING
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.lifecycle import Background
from reefmesh.service.program import Program
from reefmesh.store.migrations import MigrationSet, read_migrations
from reefmesh_alerts.delivery.dispatcher import DeliveryDispatcher
from reefmesh_alerts.delivery.lane import DeliveryLimits
from reefmesh_alerts.delivery.surveyor import Addresses, Surveyor
from reefmesh_alerts.handler import AlertsHandler
from reefmesh_alerts.muting.ending import MuteEnds
from reefmesh_alerts.recipients.in_force import InForce
from reefmesh_alerts.recipients.watching import Recipients
from reefmesh_alerts.settings import AlertsSettings
from reefmesh_alerts.targets.opening import open_target
from reefmesh_alerts.targets.proxy import Proxies, proxies_of
from reefmesh_alerts.ticker import Ticker

MIGRATIONS: Final[Sequence[MigrationSet]] = (read_migrations("alerts", "reefmesh_alerts"),)


def blueprint(settings: AlertsSettings) -> Blueprint:
    """Return the parts of a service that are the alerts service's own.

    Raises:
        ConfigurationError: the subscriptions file cannot be read or is wrong, a proxy of the environment is, or the address by
            which recipients unsubscribe needs a key.
    """
    recipients = Recipients(settings.subscriptions_file)
    proxies = proxies_of(settings.proxy)
    addresses = Addresses(link=settings.link_template, unsubscribing=settings.unsubscribing())

    def handler(parts: Parts) -> AlertsHandler:
        return AlertsHandler(clock=parts.clock, recipients=recipients, heat_opens_at=settings.heat_opens_at)

    def background(parts: Parts) -> Sequence[Background]:
        dispatcher = make_dispatcher(settings, parts, recipients, proxies, addresses)
        parts.metrics.add_sampler(dispatcher.sample)
        if parts.health is not None:
            parts.health.add("targets", dispatcher.check)
        ticker = make_ticker(settings, parts, handler(parts), recipients)
        in_force = InForce(store=parts.store, clock=parts.clock, recipients=recipients)
        ends = MuteEnds(store=parts.store, clock=parts.clock, recipients=recipients, metrics=parts.metrics)
        return (recipients.run, ticker.run, dispatcher.run, in_force.run, ends.run)

    return Blueprint(name="alerts", handlers={ALERTING: handler}, migrations=MIGRATIONS, background=background)


def make_ticker(settings: AlertsSettings, parts: Parts, handler: AlertsHandler, recipients: Recipients) -> Ticker:
    return Ticker(
        store=parts.store,
        broker=parts.broker,
        clock=parts.clock,
        handler=handler,
        recipients=recipients,
        heat_opens_at=settings.heat_opens_at,
        interval_seconds=settings.tick_seconds,
        grace_seconds=settings.tick_grace_seconds,
    )


def lone_ticker(settings: AlertsSettings, parts: Parts) -> Ticker:
    """Return a ticker beside the service's own, for a caller that must know when deadlines were checked (``look_once``).

    Raises:
        ConfigurationError: the subscriptions file cannot be read or is wrong.
    """
    recipients = Recipients(settings.subscriptions_file)
    handler = AlertsHandler(clock=parts.clock, recipients=recipients, heat_opens_at=settings.heat_opens_at)
    return make_ticker(settings, parts, handler, recipients)


def make_dispatcher(
    settings: AlertsSettings, parts: Parts, recipients: Recipients, proxies: Proxies, addresses: Addresses
) -> DeliveryDispatcher:
    backoff = Backoff(first_seconds=settings.delivery_backoff_first_seconds, max_seconds=settings.delivery_backoff_max_seconds)
    limits = DeliveryLimits(
        attempts=settings.delivery_attempts_limit,
        backoff=backoff,
        expires_after=timedelta(hours=settings.delivery_expires_hours),
    )
    return DeliveryDispatcher(
        store=parts.store,
        clock=parts.clock,
        recipients=recipients,
        metrics=parts.metrics,
        limits=limits,
        poll_seconds=settings.delivery_poll_seconds,
        opener=partial(open_target, proxies=proxies),
        surveyor=Surveyor(parts.store, addresses),
    )


PROGRAM: Final = Program(entry=services.ALERTS, settings=AlertsSettings, blueprint=blueprint, migrations=MIGRATIONS)
