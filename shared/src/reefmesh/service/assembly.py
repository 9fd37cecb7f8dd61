"""From a service's blueprint to a service that runs: its store, lanes, background tasks, health and metrics."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from reefmesh.broker.connect import open_broker
from reefmesh.broker.port import Broker
from reefmesh.clock import Clock
from reefmesh.contracts.channels import Subscription
from reefmesh.errors import TransientError
from reefmesh.observability import table
from reefmesh.observability.broker_events import broker_event_counter, log_broker_event
from reefmesh.observability.health import Health
from reefmesh.observability.http import pages, serve
from reefmesh.observability.metrics import Metrics
from reefmesh.observability.progress import Progress
from reefmesh.observability.sampling import Sampling
from reefmesh.observability.tracing import Tracer, open_tracer
from reefmesh.service.breaker import PoisonBreaker, TooMuchPoison
from reefmesh.service.handler import Handler
from reefmesh.service.lifecycle import Background, Service
from reefmesh.service.relay import OutboxRelay
from reefmesh.service.stop_event import is_set_within
from reefmesh.service.worker import Worker
from reefmesh.service.worker_limits import WorkerLimits
from reefmesh.settings import ServiceSettings
from reefmesh.store.connect import open_store
from reefmesh.store.migrations import MigrationSet
from reefmesh.store.port import Store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a blueprint is built from. ``health`` is for what brings checks of its own; None where nobody asks for them."""

    store: Store
    broker: Broker
    clock: Clock
    metrics: Metrics
    health: Health | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What is particular to one service; ``background`` are the tasks that run beside its lanes."""

    name: str
    subscription: Subscription
    migrations: Sequence[MigrationSet]
    handler: Callable[[Parts], Handler[Any]]
    background: Callable[[Parts], Sequence[Background]] = lambda _: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A service ready to ``run``, and what others look at meanwhile."""

    service: Service
    store: Store
    health: Health
    metrics: Metrics


@asynccontextmanager
async def assemble(
    blueprint: Blueprint, settings: ServiceSettings, *, broker: Broker, clock: Clock, tracer: Tracer | None = None
) -> AsyncIterator[Assembled]:
    """Open the service's store and put the service together on a broker, which may be connected later (its events are
    counted from here on); closes the store at the end.
    Without a ``tracer`` the settings say whether there is one.

    Raises:
        ConfigurationError: the store's address, its schema or tracing is wrong.
        StoreUnavailable: the store cannot be reached.
    """
    async with AsyncExitStack() as stack:
        if tracer is None:
            tracing = open_tracer(settings.tracing, service=blueprint.name, broker_url=settings.broker_url)
            tracer = await stack.enter_async_context(tracing)
        metrics = Metrics(blueprint.name, limits={table.REEF.name: settings.metrics_reefs_limit})
        progress = Progress(stall_after_seconds=settings.stall_after_seconds)
        store = open_store(settings.store_address(), migrations=blueprint.migrations)
        await store.open()
        stack.push_async_callback(store.close)
        health = Health(blueprint.name, progress, broker=broker, store=store)
        parts = Parts(store=store, broker=broker, clock=clock, metrics=metrics, health=health)
        worker = Worker(
            subscription=blueprint.subscription,
            broker=broker,
            store=store,
            handler=blueprint.handler(parts),
            clock=clock,
            metrics=metrics,
            progress=progress,
            limits=WorkerLimits(
                lanes=settings.lanes,
                poison_policy=settings.poison_policy,
                crash_limit=settings.crash_limit,
                gap_patience_seconds=settings.gap_patience_seconds,
                reefs_cached_limit=settings.reefs_cached_limit,
            ),
            breaker=PoisonBreaker(ratio=settings.poison_breaker_ratio),
            tracer=tracer,
        )
        broker.on_event(broker_event_counter(metrics, blueprint.subscription))
        service = Service(
            name=blueprint.name,
            workers=[worker],
            background=[
                OutboxRelay(store=store, broker=broker, metrics=metrics).run,
                _until_stopped(health),
                *blueprint.background(parts),
            ],
            drain_timeout_seconds=settings.drain_timeout_seconds,
        )
        metrics.add_sampler(
            Sampling(
                metrics,
                store=store,
                broker=broker,
                subscription=blueprint.subscription,
                progress=progress,
                reefs_cached=lambda: worker.reefs_cached,
            ).sample
        )
        yield Assembled(service=service, store=store, health=health, metrics=metrics)


async def run_alone(blueprint: Blueprint, settings: ServiceSettings, stop: asyncio.Event, *, clock: Clock) -> None:
    """Run one service as a process of its own: its own broker connection, its pages, until ``stop``.

    Raises TransientError when the drain did not end within its time-out.
    """
    broker = open_broker(settings.broker_address(), clock=clock)
    broker.on_event(log_broker_event)
    async with assemble(blueprint, settings, broker=broker, clock=clock) as assembled, _connected(broker):
        await broker.declare([blueprint.subscription])
        async with serve(
            pages([assembled.health], [assembled.metrics]), host=settings.http_host, port=settings.http_port
        ) as address:
            log.info("pages served", service=blueprint.name, url=address.url)
            try:
                clean = await assembled.service.run(stop)
            except TooMuchPoison:
                await _linger(stop, settings.poison_linger_seconds)
                raise
            if not clean:
                raise TransientError("the drain time-out passed: what was still in hand is delivered again")


@asynccontextmanager
async def _connected(broker: Broker) -> AsyncIterator[None]:
    await broker.connect()
    try:
        yield
    finally:
        await broker.close()


async def _linger(stop: asyncio.Event, seconds: float) -> None:
    """Show the pages a little longer: the scrape is to see why this process ends, and who starts it again is not to hurry."""
    log.warning("pages linger", seconds=seconds)
    await is_set_within(stop, seconds)


def _until_stopped(health: Health) -> Background:
    async def watch(stop: asyncio.Event) -> None:
        watching = asyncio.create_task(health.watch(), name="health")
        await stop.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    return watch
