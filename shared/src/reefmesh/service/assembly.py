"""From a service's blueprint to a service that runs: its store, workers, background tasks and pages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from reefmesh.broker.connect import engine_of, open_broker
from reefmesh.broker.parking_quota import ParkingQuota
from reefmesh.broker.port import Broker
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.contracts.senders import ANYBODY_WITH_THE_JOURNAL, BrokerUsers, Senders, senders_to
from reefmesh.errors import TransientError
from reefmesh.observability import table
from reefmesh.observability.broker_events import broker_event_counter, broker_event_log
from reefmesh.observability.health import Health
from reefmesh.observability.http import PageRoute, pages, refuse_hidden_pages, serve
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.page_connections import ConnectionLimits
from reefmesh.observability.progress import Progress
from reefmesh.observability.sampling import Sampling
from reefmesh.observability.tracing import Tracer, open_tracer
from reefmesh.service.breaker import PoisonBreaker, TooMuchPoison
from reefmesh.service.gap_check import gap_check
from reefmesh.service.handler import Handler
from reefmesh.service.lifecycle import Background, Service
from reefmesh.service.parking_removal import ParkingRemoval
from reefmesh.service.reef_cache import ReefCache
from reefmesh.service.relay import OutboxRelay
from reefmesh.service.stamps import require_stamps
from reefmesh.service.start import start_until
from reefmesh.service.stop_event import is_set_within
from reefmesh.service.worker import Worker
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.settings import PoisonPolicy, ServiceSettings
from reefmesh.store.connect import open_store
from reefmesh.store.migrations import MigrationSet
from reefmesh.store.port import Store

USUAL_CONNECTIONS: Final = ConnectionLimits()

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a blueprint builds from. ``health`` takes further checks; it is None where no page shows them."""

    store: Store
    broker: Broker
    clock: Clock
    metrics: Metrics
    health: Health | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What is particular to one service.

    ``handlers``: for each of its subscriptions, what makes the handler; each subscription gets a worker of its own. All of them
    share the service's row of a reef: each handler loads the whole state of the reef and dumps it whole.
    ``background``: tasks that run beside the workers. ``routes``: pages of its own, served beside health and metrics, over as
    many connections as ``connections`` allows.
    """

    name: str
    handlers: Mapping[Subscription, Callable[[Parts], Handler[Any]]]
    migrations: Sequence[MigrationSet] = ()
    background: Callable[[Parts], Sequence[Background]] = lambda _: ()
    routes: Callable[[Parts], Sequence[PageRoute]] = lambda _: ()
    connections: ConnectionLimits = USUAL_CONNECTIONS

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        return tuple(self.handlers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A service ready to ``run``, and what its pages show meanwhile."""

    service: Service
    store: Store
    health: Health
    metrics: Metrics
    routes: Sequence[PageRoute] = ()


@asynccontextmanager
async def assemble(
    blueprint: Blueprint,
    settings: ServiceSettings,
    *,
    broker: Broker,
    clock: Clock,
    tracer: Tracer | None = None,
    roles: Sequence[str] = (),
) -> AsyncIterator[Assembled]:
    """Open the service's store and put the service together on a broker, which may connect later (its events are counted from
    here on); close the store at the end.
    Without a ``tracer`` the settings decide whether there is one. ``roles``: the services for which this broker client speaks
    besides, where several share it.

    Raises:
        ConfigurationError: the store's address, its schema or tracing is wrong.
        StoreUnavailable: the store cannot be reached.
        ValueError: a route of the service would hide one of the pages that every service has.
    """
    subscriptions = blueprint.subscriptions
    async with AsyncExitStack() as stack:
        if tracer is None:
            tracing = open_tracer(settings.tracing, service=blueprint.name, broker_url=settings.broker_url)
            tracer = await stack.enter_async_context(tracing)
        metrics = Metrics(blueprint.name, limits={table.REEF.name: settings.metrics_reefs_limit})
        progress = Progress(stall_after_seconds=settings.stall_after_seconds)
        store = open_store(settings.store_address(), migrations=blueprint.migrations, password=settings.store_password_reader())
        await store.open()
        stack.push_async_callback(store.close)
        health = Health(blueprint.name, progress, broker=broker, store=store, subscriptions=subscriptions)
        parts = Parts(store=store, broker=broker, clock=clock, metrics=metrics, health=health)
        limits = WorkerLimits(
            lanes=settings.lanes,
            poison_policy=settings.poison_policy,
            crash_limit=settings.crash_limit,
            gap_patience_seconds=settings.gap_patience_seconds,
            reefs_cached_limit=settings.reefs_cached_limit,
            parking_quota=ParkingQuota(
                messages_limit=settings.parking_messages_limit,
                bytes_limit=settings.parking_bytes_limit,
                age_limit=_days(settings.parking_age_limit_days),
                whole_age_limit=_days(settings.parking_own_age_limit_days),
            ),
        )
        users = settings.users_of_broker((blueprint.name, *roles))
        handlers = {subscription: make_handler(parts) for subscription, make_handler in blueprint.handlers.items()}
        reefs: ReefCache[Any] = ReefCache(limit=limits.reefs_cached_limit)
        workers = [
            Worker(
                subscription=subscription,
                broker=broker,
                store=store,
                handler=handler,
                clock=clock,
                metrics=metrics,
                progress=progress,
                senders=_senders(subscription, users, settings),
                limits=limits,
                reefs=reefs,
                breaker=PoisonBreaker(ratio=settings.poison_breaker_ratio, reefs_minimum=settings.poison_breaker_reefs),
                tracer=tracer,
            )
            for subscription, handler in handlers.items()
        ]
        health.add("gaps", gap_check(workers, clock))
        broker.on_event(broker_event_counter(metrics, subscriptions))
        service = Service(
            name=blueprint.name,
            workers=workers,
            background=[
                OutboxRelay(store=store, broker=broker, metrics=metrics).run,
                *_removals(workers, broker, clock, metrics, policy=settings.poison_policy),
                _until_stopped(health),
                *blueprint.background(parts),
            ],
            drain_timeout_seconds=settings.drain_timeout_seconds,
        )
        sampling = Sampling(
            metrics,
            store=store,
            broker=broker,
            progress=progress,
            reefs_cached={worker.subscription: _reefs_cached_by(worker) for worker in workers},
        )
        metrics.add_sampler(sampling.sample)
        routes = tuple(blueprint.routes(parts))
        refuse_hidden_pages(routes)
        yield Assembled(service=service, store=store, health=health, metrics=metrics, routes=routes)


async def run_alone(blueprint: Blueprint, settings: ServiceSettings, stop: asyncio.Event, *, clock: Clock) -> None:
    """Run one service as a process of its own, with its own broker connection and its pages, until ``stop``, which
    is heard at once while it starts.

    Raises TransientError when the drain time-out passes first.
    """
    broker = open_broker(settings.broker_address(), clock=clock, password=settings.broker_password_reader())
    broker.on_event(broker_event_log())
    async with AsyncExitStack() as stack:
        async with start_until(stop) as start:
            assembled = await stack.enter_async_context(assemble(blueprint, settings, broker=broker, clock=clock))
            await stack.enter_async_context(_connected(broker))
            await broker.declare(blueprint.subscriptions)
            await require_stamps(broker, blueprint.name)
        if start.stopped:
            log.info("stopped at its start", service=blueprint.name)
            return
        app = pages([assembled.health], [assembled.metrics], routes=assembled.routes)
        async with serve(
            app,
            host=settings.http_host,
            port=settings.http_port,
            metrics=assembled.metrics,
            limits=blueprint.connections,
        ) as address:
            log.info("pages served", service=blueprint.name, url=address.url)
            try:
                clean = await assembled.service.run(stop)
            except TooMuchPoison:
                await _linger(stop, settings.poison_linger_seconds)
                raise
            if not clean:
                raise TransientError("the drain time-out passed: the broker delivers unfinished messages again")


def _days(days: float) -> timedelta | None:
    return timedelta(days=days) if days else None


def _removals(
    workers: Sequence[Worker[Any]], broker: Broker, clock: Clock, metrics: Metrics, *, policy: PoisonPolicy
) -> Sequence[Background]:
    """With the policy ``park`` nothing is removed: a reef that stands behind a parked message waits for that one's replay."""
    if policy == "park":
        return []
    return [
        ParkingRemoval(
            subscription=worker.subscription, broker=broker, quota=worker.parking_quota, clock=clock, metrics=metrics
        ).run
        for worker in workers
        if worker.parking_quota.has_age
    ]


def _senders(subscription: Subscription, users: BrokerUsers, settings: ServiceSettings) -> Senders:
    if not engine_of(settings.broker_url).authenticates:
        return ANYBODY_WITH_THE_JOURNAL
    return senders_to(subscription, users, unstamped_until=settings.accept_unstamped_until)


@asynccontextmanager
async def _connected(broker: Broker) -> AsyncIterator[None]:
    await broker.connect()
    try:
        yield
    finally:
        await broker.close()


async def _linger(stop: asyncio.Event, seconds: float) -> None:
    """Keep the pages up a little longer, so that a scrape sees why this process ends and its restart is delayed."""
    log.warning("pages linger", seconds=seconds)
    await is_set_within(stop, seconds)


def _reefs_cached_by(worker: Worker[Any]) -> Callable[[], int]:
    return lambda: worker.reefs_cached


def _until_stopped(health: Health) -> Background:
    async def watch(stop: asyncio.Event) -> None:
        watching = asyncio.create_task(health.watch(), name="health")
        await stop.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    return watch
