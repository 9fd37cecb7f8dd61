"""Puts the dashboard together: the only module of it that names adapters."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from reefmesh.contracts import services
from reefmesh.contracts.channels import ALERTS, READINGS, SCORES, Channel, Subscription
from reefmesh.observability import table
from reefmesh.observability.http import PageRoute
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.handler import Handler
from reefmesh.service.program import Program
from reefmesh.store.migrations import read_migrations
from reefmesh_dashboard.api.app import make_api
from reefmesh_dashboard.erddap.app import make_erddap
from reefmesh_dashboard.exports.downloads import Downloads
from reefmesh_dashboard.handler import PublishedAlertsHandler, ReadingsHandler, ScoresHandler
from reefmesh_dashboard.months import Months
from reefmesh_dashboard.pages.routes import page_routes
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.settings import DashboardSettings
from reefmesh_dashboard.web.clients import networks
from reefmesh_dashboard.web.rate_rule import RateRule
from reefmesh_dashboard.web.site import routes_of

MIGRATIONS: Final = (read_migrations("dashboard", "reefmesh_dashboard"),)


def blueprint(settings: DashboardSettings) -> Blueprint:
    """Return what is particular to the dashboard."""

    def readings(parts: Parts) -> ReadingsHandler:
        return ReadingsHandler(parts.store, months=Months(), clock=parts.clock)

    def scores(parts: Parts) -> ScoresHandler:
        return ScoresHandler(parts.store)

    def alerts(parts: Parts) -> PublishedAlertsHandler:
        return PublishedAlertsHandler(parts.store)

    subscribed: dict[Channel, Callable[[Parts], Handler[Any]]] = {READINGS: readings, SCORES: scores, ALERTS: alerts}
    handlers = {Subscription(services.DASHBOARD.name, channel): subscribed[channel] for channel in services.DASHBOARD.consumes}

    def routes(parts: Parts) -> Sequence[PageRoute]:
        reader = Reader(parts.store, timeout_seconds=settings.page_query_seconds)
        rule = RateRule(
            settings.requests_limit,
            trusted=networks(settings.trusted_proxies),
            refused=lambda: parts.metrics.count(table.REQUESTS_REFUSED),
        )
        downloads = Downloads(settings.download_limits, refused=lambda why: parts.metrics.count(table.DOWNLOADS_REFUSED, why))
        erddap = make_erddap(reader, clock=parts.clock, publisher=settings.publisher, downloads=downloads)
        return routes_of(page_routes(reader, clock=parts.clock), make_api(reader, clock=parts.clock), erddap, rule=rule)

    return Blueprint(name=services.DASHBOARD.name, handlers=handlers, migrations=MIGRATIONS, routes=routes)


PROGRAM: Final = Program(entry=services.DASHBOARD, settings=DashboardSettings, blueprint=blueprint, migrations=MIGRATIONS)
