"""Puts the dashboard together: the only module of it that names adapters."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from reefmesh.contracts import services
from reefmesh.contracts.channels import ALERTS, READINGS, SCORES, Channel, Subscription
from reefmesh.observability import table
from reefmesh.observability.http import PageRoute
from reefmesh.observability.page_connections import ConnectionLimits
from reefmesh.service.assembly import Blueprint, Parts
from reefmesh.service.handler import Handler
from reefmesh.service.program import Program
from reefmesh.store.migrations import read_migrations
from reefmesh_dashboard.api.app import make_api
from reefmesh_dashboard.erddap.app import make_erddap
from reefmesh_dashboard.exports.downloads import Downloads
from reefmesh_dashboard.handler import PublishedAlertsHandler, ReadingsHandler, ScoresHandler
from reefmesh_dashboard.live.changes import Changes
from reefmesh_dashboard.live.listeners import ListenerLimits, Listeners
from reefmesh_dashboard.live.stream import Stream
from reefmesh_dashboard.months import Months
from reefmesh_dashboard.pages.language import read_languages
from reefmesh_dashboard.pages.renderer import Renderer
from reefmesh_dashboard.pages.routes import page_routes, rows_of
from reefmesh_dashboard.queries.reading import Reader
from reefmesh_dashboard.settings import DashboardSettings
from reefmesh_dashboard.web.clients import networks
from reefmesh_dashboard.web.rate_rule import RateRule
from reefmesh_dashboard.web.site import routes_of

MIGRATIONS: Final = (read_migrations("dashboard", "reefmesh_dashboard"),)


def blueprint(settings: DashboardSettings) -> Blueprint:
    """Return what is particular to the dashboard."""

    trusted = networks(settings.trusted_proxies)
    languages = read_languages()
    limits = ListenerLimits(in_all=settings.listeners_limit, for_each_address=settings.listeners_each_limit)
    listeners = Listeners(limits)

    def readings(parts: Parts) -> ReadingsHandler:
        return ReadingsHandler(parts.store, months=Months(), clock=parts.clock)

    def scores(parts: Parts) -> ScoresHandler:
        return ScoresHandler(parts.store)

    def alerts(parts: Parts) -> PublishedAlertsHandler:
        return PublishedAlertsHandler(parts.store)

    subscribed: dict[Channel, Callable[[Parts], Handler[Any]]] = {READINGS: readings, SCORES: scores, ALERTS: alerts}
    handlers = {Subscription(services.DASHBOARD.name, channel): subscribed[channel] for channel in services.DASHBOARD.consumes}

    def reader_of(parts: Parts) -> Reader:
        return Reader(parts.store, timeout_seconds=settings.page_query_seconds)

    def routes(parts: Parts) -> Sequence[PageRoute]:
        reader = reader_of(parts)
        renderer = Renderer(languages)
        rule = RateRule(
            settings.requests_limit,
            trusted=trusted,
            refused=lambda: parts.metrics.count(table.REQUESTS_REFUSED),
        )
        stream = Stream(
            listeners, clock=parts.clock, metrics=parts.metrics, rows=rows_of(renderer, clock=parts.clock), trusted=trusted
        )
        pages = page_routes(reader, renderer, clock=parts.clock)
        downloads = Downloads(settings.download_limits, refused=lambda why: parts.metrics.count(table.DOWNLOADS_REFUSED, why))
        erddap = make_erddap(reader, clock=parts.clock, publisher=settings.publisher, downloads=downloads)
        return routes_of(pages, make_api(reader, clock=parts.clock), stream, erddap, rule=rule)

    return Blueprint(
        name=services.DASHBOARD.name,
        handlers=handlers,
        migrations=MIGRATIONS,
        background=lambda parts: [Changes(reader_of(parts), listeners).run],
        routes=routes,
        connections=_connections(limits, behind_proxies=bool(trusted)),
    )


def _connections(listeners: ListenerLimits, *, behind_proxies: bool) -> ConnectionLimits:
    """Streams are open for hours, so they come on top of what pages need; behind proxies all connections come from these."""
    usual = ConnectionLimits()
    in_all = usual.in_all + listeners.in_all
    return ConnectionLimits(
        in_all=in_all, for_each_peer=in_all if behind_proxies else usual.for_each_peer + listeners.for_each_address
    )


PROGRAM: Final = Program(entry=services.DASHBOARD, settings=DashboardSettings, blueprint=blueprint, migrations=MIGRATIONS)
